// The first view: a task for an agent, and the runs so far.

import { html, useEffect, useState } from "./vendor/preact.js";
import { base64, get, post } from "./api.js";
import { Act, Badge, Problem, sends } from "./parts.js";
import { ago, bytes, clean, cleanLine, count } from "./text.js";

export function StartPage() {
  const [offer, setOffer] = useState(null);
  const [runs, setRuns] = useState([]);
  const [error, setError] = useState(null);
  useEffect(() => {
    get("/v1/agents").then(setOffer, setError);
    const load = () => get("/v1/runs").then((found) => setRuns(found.runs), setError);
    load();
    const timer = setInterval(load, 3000);
    return () => clearInterval(timer);
  }, []);
  return html`<div class="start">
    <${Problem} error=${error} />
    ${offer && (offer.agents.length ? html`<${TaskForm} offer=${offer} />` : html`<${NoAgents} />`)}
    ${runs.length > 0 && html`<section><h2>Runs</h2><ul class="runs">${runs.map((run) => html`<${RunRow} key=${run.id} run=${run} />`)}</ul></section>`}
  </div>`;
}

function NoAgents() {
  return html`<section class="empty"><h1>No agent yet</h1><p>The settings of this service name none. <code>pinjra ui --model NAME</code> starts with one; a service names them in its TOML file:</p>
    <pre class="code">[agents.analyst]\nmodel = "qwen2.5-coder-1.5b"</pre></section>`;
}

function RunRow({ run }) {
  return html`<li><a href=${`#/runs/${run.id}`}>
    <span class="task">${clean(run.task)}</span>
    <span class="quiet">${clean(run.agent)} · ${count(run.steps, "step")} · ${ago(run.started)}${run.parent ? ` · branch at step ${run.branch_step}` : ""}</span>
    ${run.waiting.length > 0 ? html`<span class="badge ask">waits for you</span>` : html`<${Badge} state=${run.state} />`}
  </a></li>`;
}

function TaskForm({ offer }) {
  const [task, setTask] = useState("");
  const [name, setName] = useState(offer.agents[0].name);
  const [files, setFiles] = useState([]);
  const [choice, setChoice] = useState({ approval: "", model: "", executor: "", max_steps: "" });
  const [without, setWithout] = useState([]); // tools that this task does not get
  const [over, setOver] = useState(false);
  const agent = offer.agents.find((each) => each.name === name);
  const choose = (what) => ({ target: { value } }) => setChoice((have) => ({ ...have, [what]: value }));
  const add = (list) => setFiles((have) => [...have.filter((file) => ![...list].some((each) => each.name === file.name)), ...list]);
  const start = async () => {
    const data = await Promise.all(files.map(async (file) => [file.name, await base64(file)]));
    const body = { task, files: Object.fromEntries(data) };
    for (const [key, value] of Object.entries(choice)) if (value) body[key] = key === "max_steps" ? Number(value) : value;
    if (without.length) body.tools = agent.tools.filter((tool) => !without.includes(tool));
    const run = await post(`/v1/agents/${encodeURIComponent(name)}/runs`, body);
    location.hash = `#/runs/${run.id}`;
  };
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    add(event.dataTransfer.files);
  };
  return html`<form class=${`task ${over ? "over" : ""}`} onSubmit=${(event) => event.preventDefault()}
      onDragOver=${(event) => (event.preventDefault(), setOver(true))} onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <h1><label for="task">What shall be done?</label></h1>
    <textarea id="task" rows="4" value=${task} onKeyDown=${sends} onInput=${(event) => setTask(event.target.value)}
      placeholder="Plot sales by month from sales.csv, and tell which month was best"></textarea>
    ${files.length > 0 && html`<ul class="files">${files.map((file) => html`<li>${cleanLine(file.name)} <span class="quiet">${bytes(file.size)}</span>
      <button type="button" class="small" aria-label=${`Leave out ${cleanLine(file.name)}`} onClick=${() => setFiles(files.filter((each) => each !== file))}>×</button></li>`)}</ul>`}
    <div class="line">
      <${Act} kind="strong" disabled=${!task.trim()} run=${start}>Start<//>
      <label class="button file-button">Add files<input type="file" multiple class="sr" onChange=${(event) => (add([...event.target.files]), (event.target.value = ""))} /></label>
      <span class="quiet wide">or drop them here</span>
      <label class="pick">agent <select aria-label="Agent" value=${name} onChange=${(event) => (setName(event.target.value), setWithout([]))}>${offer.agents.map((each) => html`<option value=${each.name}>${each.name}</option>`)}</select></label>
    </div>
    <p class="quiet about">${clean(agent.description)} ${agent.tools.length > 0 && `Tools: ${agent.tools.join(", ")}. `}${agent.managed_agents.length > 0 && `Works with: ${agent.managed_agents.join(", ")}.`}</p>
    <details class="options"><summary>Options</summary><div class="grid">
      <label>Ask me before <select value=${choice.approval} onChange=${choose("approval")}><option value="">nothing</option><option value="code">code runs</option><option value="tools">tools are called</option><option value="all">code and tools</option></select></label>
      ${offer.models.length > 1 && html`<label>Model <select value=${choice.model} onChange=${choose("model")}><option value="">${agent.model || "its own"}</option>${offer.models.filter((model) => model !== agent.model).map((model) => html`<option>${model}</option>`)}</select></label>`}
      ${offer.executors.length > 1 && html`<label>Executor <select value=${choice.executor} onChange=${choose("executor")}><option value="">${agent.executor}</option>${offer.executors.filter((each) => each !== agent.executor).map((each) => html`<option>${each}</option>`)}</select></label>`}
      ${agent.tools.length > 0 && html`<fieldset><legend>Tools</legend>${agent.tools.map((tool) => html`<label class="check"><input type="checkbox" checked=${!without.includes(tool)}
        onChange=${(event) => setWithout(event.target.checked ? without.filter((each) => each !== tool) : [...without, tool])} /> ${tool}</label>`)}</fieldset>`}
      <label>Steps at most <input type="number" min="1" max=${agent.max_steps} placeholder=${agent.max_steps} value=${choice.max_steps} onInput=${choose("max_steps")} /></label>
    </div></details>
  </form>`;
}
