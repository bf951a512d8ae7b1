// One run, live or of the past, or two branches side by side.

import { Component, html, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "./vendor/preact.js";
import { escaped, download, follow, get, post, save, send } from "./api.js";
import { exported } from "./export.js";
import { RunTree } from "./model.js";
import { Act, Artifact, Badge, Changing, Code, Elapsed, Gradual, Output, Problem, Prose, sends, Table } from "./parts.js";
import { bytes, clean, cleanLine, count, grouped, money, seconds } from "./text.js";

const WRITING = 4_000; // characters of what the model is writing that are drawn
const TOGETHER = 40; // calls that are drawn in one frame
const MANY = 12; // calls of a step that stand below each other without a box

// A run's tree, kept up to date; drawn at most once a frame.
function useRun(id) {
  const [, draw] = useReducer((number) => number + 1, 0);
  const own = useRef(null);
  if (own.current?.id !== id) own.current = { id, tree: new RunTree(), meta: null, last: 0, state: "", round: 0 };
  const it = own.current;
  const [round, again] = useReducer((number) => number + 1, 0);
  useLayoutEffect(() => {
    let frame = 0;
    let timer = 0;
    let follows = true; // the end of the page, until somebody scrolls up
    let place = 0;
    const scrolled = () => {
      follows = isAtEnd() || (follows && scrollY >= place - 4);
      place = scrollY;
    };
    addEventListener("scroll", scrolled, { passive: true });
    const toEnd = () => follows && it.meta?.state === "running" && scrollTo(0, document.documentElement.scrollHeight);
    const soon = () => (frame ||= requestAnimationFrame(() => ((frame = 0), draw(), requestAnimationFrame(toEnd))));
    const refresh = () => get(`/v1/runs/${id}`).then((meta) => ((it.meta = meta), soon()), () => {});
    refresh();
    const stop = follow(id, it.last, {
      on(record, last) {
        it.tree.apply(record);
        it.last = last;
        if (record.event === "StepFinished" && !record.depth) timer ||= setTimeout(() => ((timer = 0), refresh()), 300);
        soon();
      },
      onEnd: (meta) => ((it.meta = meta), soon()),
      onState: (state) => ((it.state = state), soon()),
    });
    return () => (stop(), cancelAnimationFrame(frame), clearTimeout(timer), removeEventListener("scroll", scrolled));
  }, [id, round]);
  return { ...it, again };
}

// Whether somebody looks at the end of the page, and so wants to see what comes.
function isAtEnd() {
  return innerHeight + scrollY > document.documentElement.scrollHeight - 120;
}

export function RunPage({ id, beside }) {
  const [from, setFrom] = useState(null); // the step at which one of two branched off from the other
  useEffect(() => {
    const runs = beside ? [id, beside] : [];
    Promise.all(runs.map((run) => get(`/v1/runs/${run}`))).then((found) => setFrom(found.find((run) => runs.includes(run.parent))?.branch_step ?? null), () => {});
  }, [id, beside]);
  return html`<div class=${beside ? "beside" : "single"}>
    <${RunColumn} key=${id} id=${id} other=${beside} from=${from} />
    ${beside && html`<${RunColumn} key=${beside} id=${beside} other=${id} from=${from} />`}
  </div>`;
}

function RunColumn({ id, other, from }) {
  const { tree, meta, state, again } = useRun(id);
  const steer = useMemo(() => steering(id), [id]);
  if (!meta) return html`<section class="run">${state && state !== "live" ? html`<${Problem} error=${state === "lost" ? "The service does not answer; trying again." : state} />` : html`<p class="note">…</p>`}</section>`;
  return html`<section class="run" aria-label=${clean(meta.task).slice(0, 80)}>
    <${Head} meta=${meta} tree=${tree} state=${state} other=${other} again=${again} />
    <div class="sr" aria-live="polite">${tree.news}</div>
    ${from > 1 && html`<p class="note">Before step ${from} both are the same.</p>`}
    <div class="body">${tree.roots.map((run, at) => html`<${Steps} key=${run.id} run=${run} version=${run.version} steer=${steer} snapshots=${meta.snapshots} first=${at === 0} from=${from} />`)}</div>
    <${Foot} meta=${meta} tree=${tree} again=${again} />
  </section>`;
}

function steering(id) {
  const base = `/v1/runs/${id}`;
  return {
    decide: (key, body) => post(`${base}/decisions/${key}`, body),
    branch: async (body) => {
      const branch = await post(`${base}/branches`, body);
      location.hash = `#/runs/${id}/beside/${branch.id}`;
    },
  };
}

function Head({ meta, tree, state, other, again }) {
  const base = `/v1/runs/${meta.id}`;
  const live = meta.state === "running";
  const { figures } = tree;
  const element = useRef(null);
  const export_ = async () => save(await exported(element.current.closest(".run"), meta), `${meta.agent}-${meta.id.slice(0, 6)}.html`);
  return html`<header ref=${element}>
    <div class="line">
      <${Badge} state=${meta.state} />
      <span class="quiet">${clean(meta.agent)}</span>
      ${meta.parent && html`<a class="quiet" href=${`#/runs/${meta.parent}/beside/${meta.id}`}>branch at step ${meta.branch_step}</a>`}
      ${other && html`<a class="quiet" href=${`#/runs/${meta.id}`}>alone</a>`}
      ${state === "lost" && html`<span class="problem inline" role="status">no connection; trying again</span>`}
    </div>
    <h1>${clean(meta.task)}</h1>
    <dl class="figures">
      <div><dt>${figures.steps === 1 ? "step" : "steps"}</dt><dd>${figures.steps}</dd></div>
      <div><dt>tokens</dt><dd>${grouped(figures.input + figures.output)}</dd></div>
      ${figures.money > 0 && html`<div><dt>cost</dt><dd>${money(figures.money)}</dd></div>`}
      <div><dt>time</dt><dd><${Elapsed} since=${tree.roots.at(-1)?.started ?? meta.started} total=${meta.seconds} live=${live} /></dd></div>
    </dl>
    <div class="line actions">
      ${live && html`<${Act} run=${() => post(`${base}/interrupt`)} kind="strong">Interrupt<//>`}
      <label class="pick">ask me before <select value=${meta.approval} onChange=${(event) => send("PUT", `${base}/approval`, { approval: event.target.value }).then(again, again)}>
        <option value="">nothing</option><option value="code">code runs</option><option value="tools">tools are called</option><option value="all">code and tools</option>
      </select></label>
      ${meta.session && html`<a class="button" href=${`#/sessions/${meta.session}`}>Session</a>`}
      <details class="menu"><summary class="button">More</summary><div>
        <a href=${`#/replay/${meta.id}`}>Play again</a>
        <${Act} run=${export_}>Save as one HTML file<//>
        <${Act} run=${() => download(`${base}/memory`, `${meta.agent}.json`)}>Save for pinjra replay<//>
        <${Act} run=${async () => { if (confirm("Remove this run and its files for good?")) { await send("DELETE", base); location.hash = "#/"; } }}>Remove<//>
      </div></details>
    </div>
  </header>`;
}

// Steps of a run, some more each frame.
export class Steps extends Gradual {
  get atOnce() {
    return 6;
  }

  size({ run }) {
    return run.items.length;
  }

  shouldComponentUpdate(next, state) {
    return super.shouldComponentUpdate(next, state) || next.snapshots !== this.props.snapshots || next.from !== this.props.from;
  }

  render({ run, steer, snapshots = [], first = true, from = null }, { drawn }) {
    const items = from ? run.items.filter((item) => (item.kind === "step" ? item.number >= from : item.kind !== "plan")) : run.items;
    return html`${!first && html`<h2 class="further">${clean(run.task)}</h2>`}
      <ol class="steps">${items.slice(0, drawn).map((item, at) => html`<li key=${at}>${item.kind === "step" ? html`<${Step} step=${item} version=${item.version} steer=${steer} hasFork=${snapshots.includes(item.number)} />` : item.kind === "plan" ? html`<${Plan} text=${item.text} />` : item.kind === "draft" ? html`<div class="writing draft"><${Prose} text=${tail(item.text)} /></div>` : html`<${Answer} answer=${item} />`}</li>`)}</ol>
      ${run.error && html`<p class=${run.state === "interrupted" ? "note" : "problem"}>${clean(run.error.replace(/^Agent\w+: /, ""))}</p>`}`;
  }
}

function Plan({ text }) {
  return html`<details class="plan" open><summary>Plan</summary><${Prose} text=${text} /></details>`;
}

function Answer({ answer }) {
  return html`<section class="answer" aria-label="Answer"><h3>Answer</h3>${answer.table ? html`<${Table} table=${answer.table} />` : html`<pre class="value">${clean(answer.value)}</pre>`}</section>`;
}

class Step extends Component {
  constructor() {
    super();
    this.state = { editing: false };
  }

  shouldComponentUpdate(next, state) {
    const { version, hasFork } = this.props;
    return next.version !== version || state.editing !== this.state.editing || next.hasFork !== hasFork;
  }

  render({ step, steer, hasFork }, { editing }) {
    const { number, state } = step;
    const isAsked = step.asked.some((asked) => asked.kind === "code" && !asked.decision);
    const canBranch = hasFork && state === "done" && step.code !== null;
    return html`<article class=${`step ${state}`} aria-label=${step.run.depth ? `${clean(step.run.agent)}, step ${number}` : `Step ${number}`}>
      <h3><span class="number">${number}</span><span class="sr"> step</span></h3>
      <div class="what">
        ${step.thought && html`<${Prose} text=${step.thought} />`}
        ${step.model && html`<div class="writing"><${Prose} text=${isAsked ? step.model.split("```")[0] : state === "done" ? step.model : tail(step.model)} /></div>`}
        ${state === "thinking" && !step.model && !step.asked.length && html`<p class="note pulse">the model thinks</p>`}
        ${step.code !== null && !editing && html`<${Code} code=${step.code} label=${`Code of step ${number}`} />`}
        ${editing && html`<${Edit} step=${step} steer=${steer} close=${() => this.setState({ editing: false })} />`}
        ${step.asked.map((asked) => html`<${Approval} key=${asked.key} asked=${asked} steer=${steer} />`)}
        ${step.calls.length > 0 && html`<${Calls} calls=${step.calls} version=${step.version} steer=${steer} />`}
        ${step.nested.map((run) => html`<${Nested} key=${run.id} run=${run} steer=${steer} />`)}
        ${!step.screen.isEmpty && html`<${Output} screen=${step.screen} version=${step.version} label=${`Output of step ${number}`} />`}
        ${step.artifacts.filter(({ media_type: type }) => !(step.table && type === "text/html")).map((artifact) => html`<${Artifact} key=${artifact.frame} artifact=${artifact} />`)}
        ${!step.isFinal && (step.table ? html`<${Table} table=${step.table} />` : step.value && html`<pre class="value">${clean(step.value)}</pre>`)}
        ${step.notes.map((note) => html`<p class="note">${clean(note)}</p>`)}
        ${step.error && html`<pre class="problem">${clean(shorter(step.error))}</pre>`}
        ${state === "running" && step.asked.every((asked) => asked.decision) && html`<p class="note pulse">runs</p>`}
        ${state === "done" && html`<p class="figure">
          ${seconds(step.seconds)}${step.input + step.output > 0 && ` · ${count(step.input + step.output, "token")}`}${step.money > 0 && ` · ${money(step.money)}`}
          ${canBranch && !editing && html` <button type="button" class="small" onClick=${() => this.setState({ editing: true })}>Edit and run again</button>`}
        </p>`}
      </div>
    </article>`;
  }
}

// What went wrong, once: a traceback ends with what the first line says.
function shorter(error) {
  const [first, ...more] = error.replace(/^AgentExecutionError: /, "").split("\n");
  return more.length > 1 && first.startsWith(more.at(-1)) ? more.join("\n") : [first, ...more].join("\n");
}

function tail(text) {
  return text.length > WRITING ? `… ${text.slice(-WRITING)}` : text;
}

// Code to be changed, in a box that grows with it.
function Editor({ value, onInput, label, grab = false }) {
  const box = useRef(null);
  useEffect(() => grab && box.current.focus(), []);
  return html`<textarea class="editor" ref=${box} aria-label=${label} spellcheck=${false} rows=${Math.min(Math.max(value.split("\n").length + 1, 3), 30)} value=${value} onInput=${(event) => onInput(event.target.value)}></textarea>`;
}

function Edit({ step, steer, close }) {
  const [code, setCode] = useState(step.code);
  return html`<div class="edit">
    <${Editor} value=${code} onInput=${setCode} label=${`Other code for step ${step.number}`} grab />
    <div class="line">
      <${Act} kind="strong" run=${() => steer.branch({ step: step.number, code, goes_on: true })}>Run in a branch<//>
      <${Act} run=${() => steer.branch({ step: step.number, code, goes_on: false })}>Only this step<//>
      <button type="button" onClick=${close}>Cancel</button>
    </div>
  </div>`;
}

function parsedArguments(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Arguments are written as JSON. ${error.message}`);
  }
}

const DECISIONS = { approve: "approved", refuse: "refused", edit: "changed", over: "not answered" };

function Approval({ asked, steer }) {
  const isCode = asked.kind === "code";
  const given = isCode ? asked.code : JSON.stringify(asked.arguments, null, 2);
  const [text, setText] = useState(given);
  const [reason, setReason] = useState("");
  if (asked.decision) {
    const why = asked.reason ? `: ${clean(asked.reason)}` : "";
    return html`<p class="note">${isCode ? "Code" : `Call of ${clean(asked.name)}`} ${DECISIONS[asked.decision]}${why}</p>`;
  }
  if (!steer) return null;
  const edited = text !== given;
  const yes = () => {
    if (!edited) return steer.decide(asked.key, { decision: "approve" });
    const change = isCode ? { code: text } : { arguments: parsedArguments(text) };
    return steer.decide(asked.key, { decision: "edit", ...change });
  };
  return html`<form class="approval" aria-label="Approval" onSubmit=${(event) => event.preventDefault()}>
    <p><strong>${isCode ? "Run this code?" : html`Call <code>${clean(asked.name)}</code> with this?`}</strong> You may change it first.</p>
    <${Editor} value=${text} onInput=${setText} label=${isCode ? "Code to approve" : "Arguments to approve"} />
    <div class="line">
      <${Act} kind="strong" run=${yes}>${edited ? "Approve the change" : "Approve"}<//>
      <input type="text" placeholder="why not" aria-label="Reason to refuse" value=${reason} onInput=${(event) => setReason(event.target.value)} />
      <${Act} run=${() => steer.decide(asked.key, { decision: "refuse", reason })}>Refuse<//>
    </div>
  </form>`;
}

// Calls of tools of a step, a group more each frame; many scroll in a box of their own.
class Calls extends Gradual {
  get atOnce() {
    return 1;
  }

  size({ calls }) {
    return Math.ceil(calls.length / TOGETHER);
  }

  render({ calls, steer }, { drawn }) {
    const groups = Array.from({ length: Math.min(drawn, this.size({ calls })) }, (_, at) => calls.slice(at * TOGETHER, (at + 1) * TOGETHER));
    const shown = groups.map((group, at) => html`<${CallGroup} key=${at} calls=${group} version=${group.reduce((sum, call) => sum + versionOf(call), 0)} steer=${steer} />`);
    return calls.length > MANY ? html`<div class="many" tabindex="0" role="region" aria-label=${count(calls.length, "call")}>${shown}</div>` : shown;
  }
}

// How often a call has changed: it began, it ended, something happened below it.
const versionOf = ({ state, nested }) => 1 + (state !== "open") + nested.reduce((sum, run) => sum + run.version, 0);

// Calls that are laid out and looked at together (as the lines of an output): the browser passes over a group that is not in sight.
class CallGroup extends Changing {
  render({ calls, steer }) {
    return html`<div class="calls">${calls.map((call) => html`<${Call} key=${call.call} call=${call} version=${versionOf(call)} steer=${steer} />`)}</div>`;
  }
}

class Call extends Changing {
  render({ call, steer }) {
    const given = Object.entries(call.arguments ?? {}).map(([name, value]) => `${clean(name)}=${short(value)}`).join(", ");
    const isOpen = call.state === "open";
    return html`<details class="call" open=${call.nested.length > 0 && isOpen}>
      <summary><span class="name">${clean(call.name)}</span>(${given}) ${isOpen ? html`<span class="pulse">…</span>` : html`<span class=${call.error ? "bad" : "result"}>→ ${call.error ? clean(call.error) : short(call.value)}</span>`}</summary>
      ${call.nested.map((run) => html`<${Nested} key=${run.id} run=${run} steer=${steer} />`)}
      <dl>${Object.entries(call.arguments ?? {}).map(([name, value]) => html`<div><dt>${clean(name)}</dt><dd><pre>${whole(value)}</pre></dd></div>`)}
        ${!isOpen && html`<div><dt>${call.error ? "error" : "result"}</dt><dd><pre>${call.error ? clean(call.error) : whole(call.value)}</pre></dd></div>
        <div><dt>time</dt><dd>${seconds(call.seconds ?? 0)}</dd></div>`}</dl>
    </details>`;
  }
}

function Nested({ run, steer }) {
  return html`<details class="nested" open=${run.state === "running"}>
    <summary><strong>${clean(run.agent)}</strong> <${Badge} state=${run.state} /> <span class="quiet">${count(run.steps.size, "step")}${run.seconds !== undefined && ` · ${seconds(run.seconds)}`}</span></summary>
    <${Steps} run=${run} version=${run.version} steer=${steer} />
  </details>`;
}

function whole(value) {
  return clean(typeof value === "string" ? value : JSON.stringify(value, null, 1));
}

function short(value) {
  const text = clean(typeof value === "string" ? value : JSON.stringify(value) ?? "").replace(/\s+/g, " ");
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function Foot({ meta, tree, again }) {
  const [task, setTask] = useState("");
  if (meta.state === "running") return html`<p class="now" role="status"><span class="pulse">●</span> ${clean(tree.doing)}</p>`;
  const canGoOn = meta.state !== "success";
  const go = async (body) => {
    await post(`/v1/runs/${meta.id}/resume`, body);
    setTask("");
    again();
  };
  return html`<footer>
    ${meta.files.length > 0 && html`<h2>Files</h2><ul class="files">${meta.files.map(
      ({ name, size }) => html`<li><${Act} kind="file" run=${() => download(`/v1/runs/${meta.id}/files/${escaped(name)}`, name)}>${cleanLine(name)}<//> <span class="quiet">${bytes(size)}</span></li>`,
    )}</ul>`}
    <form class="more" onSubmit=${(event) => event.preventDefault()}>
      <textarea rows="2" aria-label="A further task" placeholder="A further task, in the same session" value=${task} onKeyDown=${sends} onInput=${(event) => setTask(event.target.value)}></textarea>
      <div class="line">
        <${Act} kind="strong" disabled=${!task.trim()} run=${() => go({ task })}>Send<//>
        ${canGoOn && html`<${Act} run=${() => go({})}>Go on with the same task<//>`}
      </div>
    </form>
  </footer>`;
}
