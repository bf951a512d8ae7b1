// Events of a run, one after the other -> the tree that the page shows: runs, their steps, what happened in each.
// No drawing here: the same for a live run, a saved one, and one that is played again.

import { Screen } from "./text.js";

// One agent's run: its items are plans, steps and answers in their order.
function newRun(event, above) {
  return {
    id: event.run_id,
    agent: event.agent,
    depth: event.depth ?? 0,
    task: event.task ?? "",
    started: event.time,
    items: [],
    steps: new Map(),
    state: "running",
    above, // the step that called it
    version: 0,
  };
}

function newStep(event, run) {
  return {
    kind: "step",
    number: event.step,
    run,
    started: event.time,
    model: "",
    thought: "",
    code: null,
    screen: new Screen(),
    calls: [],
    nested: [],
    asked: [],
    artifacts: [],
    notes: [],
    value: "",
    table: null,
    error: "",
    state: "thinking",
    version: 0,
  };
}

export class RunTree {
  constructor() {
    this.roots = []; // one after the other: a run that goes on has several
    this.runs = new Map();
    this.figures = { steps: 0, input: 0, output: 0, money: 0 };
    this.version = 0;
    this.news = ""; // for those who listen instead of look
    this.doing = "";
  }

  apply(event) {
    const handle = HANDLERS[event.event];
    if (!handle) return;
    const run = this.#run(event);
    handle.call(this, event, run);
    this.touch(run, event.step);
  }

  // Note that a step has changed, and everything above it.
  touch(run, number) {
    this.version += 1;
    for (let at = run, step = run?.steps.get(number); at; step = at.above, at = step?.run) {
      at.version += 1;
      if (step) step.version += 1;
    }
  }

  #run(event) {
    let run = this.runs.get(event.run_id);
    // The service's own word on a run that it lost has no id of a run of agents.
    if (!run && event.event === "RunFinished" && this.roots.length) run = this.roots.at(-1);
    if (!run) {
      const above = this.runs.get(event.parent);
      const step = above && [...above.steps.values()].at(-1);
      run = newRun(event, step ?? null);
      this.runs.set(event.run_id, run);
      if (step) {
        const call = step.calls.findLast((each) => each.name === event.agent && each.state === "open");
        (call ? call.nested : step.nested).push(run);
      } else this.roots.push(run);
    }
    return run;
  }
}

function stepOf(event, run) {
  let step = run.steps.get(event.step);
  if (!step) {
    stop(run.items.findLast((item) => item.kind === "step"));
    step = newStep(event, run);
    run.steps.set(event.step, step);
    run.items.push(step);
  }
  return step;
}

// Nothing more comes of a step, also where nobody said how it ended.
function stop(step) {
  if (!step || step.state === "done") return;
  step.state = "stopped";
  step.version += 1;
  for (const asked of step.asked) asked.decision ??= "over";
}

function draftOf(run) {
  if (run.items.at(-1)?.kind !== "draft") run.items.push({ kind: "draft", text: "" });
  return run.items.at(-1);
}

function dropDraft(run) {
  if (run.items.at(-1)?.kind === "draft") run.items.pop();
}

const HANDLERS = {
  RunStarted(event, run) {
    run.task = event.task;
    run.state = "running";
    this.news = run.depth ? "" : "The run begins.";
    this.doing = "begins";
  },
  PlanMade(event, run) {
    dropDraft(run);
    run.items.push({ kind: "plan", text: event.plan });
    this.news = "There is a plan.";
  },
  StepStarted(event, run) {
    dropDraft(run);
    stepOf(event, run);
    this.doing = `step ${event.step}: the model writes`;
  },
  ModelDelta(event, run) {
    const step = run.steps.get(event.step);
    if (step && step.state !== "done") step.model += event.text;
    else draftOf(run).text += event.text; // between steps: a plan, or a last word
  },
  CodeReady(event, run) {
    const step = stepOf(event, run);
    Object.assign(step, { code: event.code, thought: event.thought, state: "running", model: "" });
    this.news = run.depth ? "" : `Step ${event.step} runs code.`;
    this.doing = `step ${event.step}: the code runs`;
  },
  OutputText(event, run) {
    const step = stepOf(event, run);
    step.screen.write(event.stream === "stderr" ? `\x1b[33m${event.text}\x1b[39m` : event.text);
  },
  ToolCalled(event, run) {
    const { call, name } = event;
    stepOf(event, run).calls.push({ call, name, arguments: event.arguments, state: "open", nested: [] });
    this.doing = `step ${event.step}: ${name} works`;
  },
  ToolReturned(event, run) {
    const step = stepOf(event, run);
    let call = step.calls.findLast((each) => each.call === event.call);
    if (!call) step.calls.push((call = { call: event.call, name: event.name, arguments: {}, nested: [] }));
    const { value, error, seconds } = event;
    Object.assign(call, { state: "done", value, error, seconds });
  },
  ApprovalAsked(event, run) {
    const { key, kind, code, name } = event;
    stepOf(event, run).asked.push({ key, kind, code, name, arguments: event.arguments, decision: null });
    this.news = kind === "code" ? "Code waits for your approval." : `A call of ${name} waits for your approval.`;
    this.doing = "waits for you";
  },
  ApprovalGiven(event, run) {
    const asked = stepOf(event, run).asked.find((each) => each.key === event.key);
    if (asked) Object.assign(asked, { decision: event.decision, reason: event.reason });
  },
  StepFinished(event, run) {
    const step = stepOf(event, run);
    const { error, value = "", table = null, artifacts = [], notes = [], seconds, money = 0 } = event;
    Object.assign(step, { error, value, table, artifacts, notes, seconds, money, state: "done", isFinal: event.is_final_answer });
    step.input = event.input_tokens ?? 0;
    step.output = event.output_tokens ?? 0;
    for (const asked of step.asked) asked.decision ??= "over";
    this.figures.input += step.input;
    this.figures.output += step.output;
    this.figures.money += money;
    if (!run.depth) this.figures.steps += 1;
  },
  FinalAnswer(event, run) {
    dropDraft(run);
    run.items.push({ kind: "answer", value: event.value, table: event.table });
    if (!run.depth) this.news = "There is an answer.";
  },
  RunFinished(event, run) {
    Object.assign(run, { state: event.state, error: event.error, seconds: event.seconds });
    for (const step of run.steps.values()) stop(step);
    if (!run.depth) {
      this.doing = "";
      this.news = event.state === "success" ? "The run has ended." : `The run has ended: ${event.state}.`;
    }
  },
};
