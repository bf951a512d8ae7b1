// Files of saved runs -> events, as a live run would have sent them.

// A saved memory, the lines of `pinjra run --json`, or the lines of an audit log.
export function eventsOf(text) {
  const whole = parsed(text);
  if (whole?.format === "pinjra.memory") return [...ofMemory(whole.steps, { run_id: "saved", agent: "agent", depth: 0, parent: null })];
  const lines = text.split("\n").filter((line) => line.trim()).map(parsed);
  if (lines.length && lines.every((line) => typeof line?.event === "string")) return lines.map(ofLine);
  if (lines.length && lines.every((line) => typeof line?.kind === "string" && "time" in line)) return [...ofAudit(lines)];
  throw new Error("this is no saved run of Pinjra, and no audit log");
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const shown = (value) => (value === null || value === undefined ? "" : typeof value === "string" ? value : (value.repr ?? JSON.stringify(value)));

function ofLine(line, at) {
  const value = "value" in line ? { value: shown(line.value) } : {};
  return { time: at, ...line, ...value };
}

function* ofMemory(steps, where) {
  let time = 0;
  for (const step of steps) {
    const at = { ...where, step: step.step_number ?? 0 };
    time = step.timing?.start_time ?? time;
    const end = step.timing?.end_time ?? time;
    if (step.kind === "task") yield { event: "RunStarted", time, ...at, task: step.task };
    if (step.kind === "planning") yield { event: "PlanMade", time: end, ...at, plan: step.plan };
    if (step.kind === "action") {
      yield* ofAction(step, at, time, end);
      time = end;
    }
    if (step.kind === "final_answer") yield { event: "FinalAnswer", time, ...at, value: shown(step.output) };
  }
  if (!where.depth) yield { event: "RunFinished", time, ...where, step: 0, state: "success", error: "" };
}

function* ofAction(step, at, time, end) {
  yield { event: "StepStarted", time, ...at };
  if (step.code_action !== null && step.code_action !== undefined) yield { event: "CodeReady", time, ...at, code: step.code_action, thought: step.thought ?? "" };
  else if (step.model_output) yield { event: "ModelDelta", time, ...at, text: step.model_output };
  for (const nested of step.nested ?? []) {
    const below = { run_id: nested.run_id, agent: nested.agent, depth: at.depth + 1, parent: at.run_id };
    yield* ofMemory(nested.steps, below);
    yield { event: "RunFinished", time: end, ...below, step: 0, state: nested.state, error: "", seconds: 0 };
  }
  for (const record of step.tool_records ?? []) {
    const { call, name, error, seconds } = record;
    yield { event: "ToolCalled", time: end, ...at, call, name, arguments: record.arguments };
    yield { event: "ToolReturned", time: end, ...at, call, name, value: record.result, error, seconds };
  }
  if (step.observations) yield { event: "OutputText", time: end, ...at, stream: "stdout", text: step.observations };
  yield {
    event: "StepFinished",
    time: end,
    ...at,
    error: step.error ? `${step.error.type}: ${step.error.message}` : "",
    is_final_answer: step.is_final_answer,
    input_tokens: step.token_usage?.input_tokens ?? 0,
    output_tokens: step.token_usage?.output_tokens ?? 0,
    seconds: Math.max(end - time, 0),
    notes: step.notes ?? [],
    artifacts: (step.artifacts ?? []).map(ofArtifact),
  };
}

function ofArtifact({ media_type, name, data }, at) {
  const isPicture = /^image\/(png|jpeg|gif|webp)$/.test(media_type);
  return { media_type: isPicture ? media_type : `${media_type} (not shown)`, name, size: data.length, frame: isPicture ? `data:${media_type};base64,${data}` : `none-${at}` };
}

const AUDIT = {
  code: (line, at) => [{ event: "StepStarted", ...at }, { event: "CodeReady", ...at, code: shown(line.code), thought: "" }],
  replaced: (line, at) => [{ event: "OutputText", ...at, stream: "stderr", text: "the code was changed before it ran\n" }],
  tool_call: (line, at) => [{ event: "ToolCalled", ...at, call: line.call, name: line.tool, arguments: line.arguments ?? {} }],
  tool_return: (line, at) => [{ event: "ToolReturned", ...at, call: line.call, name: line.tool, value: shown(line.result), error: shown(line.error), seconds: line.seconds ?? 0 }],
  refusal: (line, at) => [{ event: "OutputText", ...at, stream: "stderr", text: `refused: ${shown(line.reason)}\n` }],
  run: (line, at) => [{ event: "CodeReady", ...at, code: shown(line.code), thought: "" }, { event: "StepFinished", ...at, error: line.end === "ok" ? "" : `ended by ${line.end}`, seconds: line.wall_seconds ?? 0 }],
  limit: (line, at) => [{ event: "OutputText", ...at, stream: "stderr", text: `limit: ${shown(line.message)}\n` }],
};

function details({ time, kind, session, run, ...more }) {
  return Object.entries(more).map(([name, value]) => `${name} ${shown(value)}`).join(", ");
}

// Lines of an audit log: what each run did, and nothing of what models wrote. A run of an agent that another one called stands below that call;
// of a service's log each session stands for itself, and a run in it is a step.
function* ofAudit(lines) {
  const runs = new Map();
  const calls = new Map(); // that have not returned
  const steps = new Map(); // of sessions: how many runs there were
  for (const line of lines) {
    const id = line.run ?? line.session ?? "service";
    if (line.kind === "run") steps.set(id, (steps.get(id) ?? 0) + 1);
    if (!runs.has(id)) {
      const above = runs.get([...calls.values()].findLast((call) => call.tool === line.agent)?.run);
      runs.set(id, { run_id: id, agent: line.agent ?? "", depth: above ? above.depth + 1 : 0, parent: above?.run_id ?? null });
      yield { event: "RunStarted", time: line.time, ...runs.get(id), step: 0, task: line.session ? `Session ${id}` : line.run ? `${line.agent || "A run"} ${id}` : "Requests" };
    }
    const at = { time: line.time, ...runs.get(id), step: line.step || steps.get(id) || 1 };
    if (line.kind === "tool_call") calls.set(line.call, line);
    if (line.kind === "tool_return") calls.delete(line.call);
    yield* AUDIT[line.kind]?.(line, at) ?? [{ event: "OutputText", ...at, stream: "stdout", text: `${line.kind}: ${details(line)}\n` }];
  }
  for (const run of runs.values()) yield { event: "RunFinished", time: lines.at(-1).time, ...run, step: 0, state: "over", error: "" };
}
