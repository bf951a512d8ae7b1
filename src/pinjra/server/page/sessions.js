// Sessions: what is open, and one of them: a console, variables, files, what it may use, what holds it.

import { html, useEffect, useReducer, useRef, useState } from "./vendor/preact.js";
import { download, escaped, get, post, putFile, send } from "./api.js";
import { Act, Code, Output, Problem, Table } from "./parts.js";
import { ago, bytes, clean, cleanLine, count, grouped, seconds, Screen } from "./text.js";

export function SessionsPage() {
  const [sessions, setSessions] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    const load = () => get("/v1/sessions").then((found) => setSessions(found.sessions), setError);
    load();
    const timer = setInterval(load, 2000);
    return () => clearInterval(timer);
  }, []);
  const open = async () => {
    const made = await post("/v1/sessions");
    location.hash = `#/sessions/${made.id}`;
  };
  return html`<div class="start"><div class="line top"><h1>Sessions</h1><${Act} kind="strong" run=${open}>Open a session<//></div>
    <${Problem} error=${error} />
    ${sessions && (sessions.length ? html`<ul class="runs">${sessions.map(({ id, executor, started, in_use: isUsed }) => html`<li key=${id}><a href=${`#/sessions/${id}`}>
      <span class="task mono">${id}</span><span class="quiet">${executor} · opened ${ago(started)}</span>${isUsed && html`<span class="badge live">in use</span>`}</a></li>`)}</ul>` : html`<p class="quiet">None is open.</p>`)}
  </div>`;
}

export function SessionPage({ id }) {
  const [session, setSession] = useState(null);
  const [error, setError] = useState(null);
  const [round, changed] = useReducer((number) => number + 1, 0);
  const [used, note] = useReducer((all, more) => ({ ...all, ...more }), {});
  useEffect(() => void get(`/v1/sessions/${id}`).then(setSession, setError), [id]);
  if (!session) return html`<${Problem} error=${error} />`;
  const close = async () => {
    await send("DELETE", `/v1/sessions/${id}`);
    location.hash = "#/sessions";
  };
  const fork = async () => {
    const copy = await post(`/v1/sessions/${id}/fork`);
    location.hash = `#/sessions/${copy.id}`;
  };
  return html`<div class="session">
    <header><div class="line top"><h1>Session <span class="mono">${id.slice(0, 8)}</span></h1><span class="quiet">${session.executor}, opened ${ago(session.started)}</span></div>
      <div class="line">
        <${Act} run=${() => post(`/v1/sessions/${id}/interrupt`)}>Interrupt<//>
        ${session.guarantees.fork && html`<${Act} run=${fork}>Fork<//>`}
        <${Act} run=${async () => (await post(`/v1/sessions/${id}/reset`), changed())}>Reset<//>
        <${Act} kind="danger" run=${close}>End the session<//>
      </div></header>
    <div class="columns"><${Console} id=${id} changed=${changed} note=${note} />
      <div><${Variables} id=${id} round=${round} /><${Files} id=${id} round=${round} changed=${changed} note=${note} /><${Guarantees} session=${session} used=${used} /></div></div>
  </div>`;
}

// ------------------------------------------------------------------ console

function Console({ id, changed, note }) {
  const [entries, setEntries] = useState([]);
  const [code, setCode] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [at, setAt] = useState(0); // in the history, counted from its end
  const end = useRef(null);
  const history = entries.map((entry) => entry.code);
  const run = async () => {
    if (!code.trim() || isBusy) return;
    const number = entries.length;
    const put = (entry) => setEntries((all) => [...all.slice(0, number), entry, ...all.slice(number + 1)]);
    put({ code });
    setCode("");
    setAt(0);
    setBusy(true);
    try {
      const done = await post(`/v1/sessions/${id}/runs`, { code });
      put({ code, ...done });
      note({ ...done.usage, memory_bytes: done.usage.memory_peak_bytes });
    } catch (error) {
      put({ code, failed: error });
    }
    setBusy(false);
    changed();
    end.current?.scrollIntoView({ block: "nearest" });
  };
  const walk = (by) => {
    const to = Math.min(Math.max(at + by, 0), history.length);
    setAt(to);
    setCode(to ? history[history.length - to] : "");
  };
  const key = (event) => {
    const { value, selectionStart: place } = event.target;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || !(event.shiftKey || value.includes("\n") || /:\s*$/.test(value)))) {
      event.preventDefault();
      run();
    } else if (event.key === "ArrowUp" && !value.slice(0, place).includes("\n")) walk(1);
    else if (event.key === "ArrowDown" && !value.slice(place).includes("\n")) walk(-1);
  };
  return html`<section class="console" aria-label="Console"><h2>Console</h2>
    ${entries.map((entry, number) => html`<${Entry} key=${number} entry=${entry} />`)}
    <div ref=${end}></div>
    <textarea class="editor" aria-label="Code to run" rows=${Math.max(code.split("\n").length, 2)} spellcheck=${false} value=${code} placeholder="Python; Enter runs a line, Ctrl+Enter a block, ↑ goes back"
      onInput=${(event) => setCode(event.target.value)} onKeyDown=${key}></textarea>
    <div class="line"><button type="button" class="strong" disabled=${isBusy || !code.trim()} onClick=${run}>Run</button></div>
  </section>`;
}

function Entry({ entry }) {
  const { stdout, stderr, error, value, artifacts, usage, failed } = entry;
  const table = asTable(value, artifacts);
  const printed = stdout || stderr ? new Screen().write(stdout + (stderr ? `\x1b[33m${stderr}\x1b[39m` : "")) : null;
  return html`<div class="entry"><${Code} code=${entry.code} label="Code that ran" />
    ${!usage && !failed && html`<p class="note pulse">runs</p>`}
    ${printed && html`<${Output} screen=${printed} version=${0} />`}
    ${artifacts?.filter(({ media_type: type }) => !(table && type === "text/html")).map((artifact, at) => html`<${Picture} key=${at} artifact=${artifact} />`)}
    ${table && html`<${Table} table=${table} />`}
    ${!table && value !== null && value !== undefined && html`<pre class="value">${clean(typeof value === "string" ? value : (value?.repr ?? JSON.stringify(value, null, 1)))}</pre>`}
    ${error && html`<pre class="problem">${clean(error.traceback || `${error.type}: ${error.message}`)}${error.hint ? `\n${clean(error.hint)}` : ""}</pre>`}
    ${failed && html`<${Problem} error=${failed} />`}
    ${usage && html`<p class="figure">${seconds(usage.wall_seconds)}${usage.memory_peak_bytes ? ` · ${bytes(usage.memory_peak_bytes)} at most` : ""}${usage.operations ? ` · ${count(usage.operations, "operation")}` : ""}</p>`}
  </div>`;
}

// A pandas table as the service writes one: {column: {row: cell}}, with its page beside it. Null for anything else.
function asTable(value, artifacts) {
  if (!artifacts?.some(({ media_type: type }) => type === "text/html")) return null;
  const columns = Object.values(value ?? {});
  if (!columns.length || !columns.every((column) => column && typeof column === "object" && !Array.isArray(column))) return null;
  const rows = Object.keys(columns[0]);
  const cell = (inside) => (typeof inside === "number" && !Number.isInteger(inside) ? String(Number(inside.toPrecision(7))) : inside);
  return { columns: Object.keys(value), rows: rows.slice(0, 200).map((row) => [row, ...columns.map((column) => cell(column[row]))]), total: rows.length };
}

// A picture of a console's run; what is no picture is only named.
function Picture({ artifact }) {
  const { media_type: type, data } = artifact;
  const isPicture = /^image\/(png|jpeg|gif|webp)$/.test(type);
  return isPicture ? html`<img class="picture" src=${`data:${type};base64,${data}`} alt="A picture that the code displayed" />` : html`<p class="note">${clean(type)}, ${bytes(Math.floor(data.length * 0.75))}</p>`;
}

// ------------------------------------------------------------------ variables

function Variables({ id, round }) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const [shown, setShown] = useState(null);
  const load = () => get(`/v1/sessions/${id}/variables`).then((answer) => (setFound(answer.variables), setError(null)), setError);
  useEffect(() => void load(), [id, round]);
  return html`<section aria-label="Variables"><div class="line top"><h2>Variables</h2><button type="button" class="small" onClick=${load}>Look again</button></div>
    <${Problem} error=${error} />
    ${found && (found.length ? html`<div class="table" tabindex="0" role="region" aria-label="Variables"><table class="variables"><thead><tr><th scope="col">name</th><th scope="col">type</th><th scope="col">size</th><th scope="col">value</th></tr></thead><tbody>
      ${found.map(({ name, type, size, text, is_table: isTable }) => html`<tr key=${name}><th scope="row">${isTable ? html`<button type="button" class="small" aria-expanded=${shown === name} onClick=${() => setShown(shown === name ? null : name)}>${clean(name)}</button>` : clean(name)}</th><td>${clean(type)}</td><td>${clean(size)}</td><td class="text">${clean(text)}</td></tr>`)}
    </tbody></table></div>` : html`<p class="quiet">There are none yet.</p>`)}
    ${found?.some(({ name }) => name === shown) && html`<${Pages} key=${shown} id=${id} name=${shown} />`}
  </section>`;
}

const ROWS = 20;

function Pages({ id, name }) {
  const [from, setFrom] = useState(0);
  const [table, setTable] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => void get(`/v1/sessions/${id}/variables/${encodeURIComponent(name)}?from=${from}&rows=${ROWS}`).then(setTable, setError), [id, name, from]);
  if (!table) return html`<${Problem} error=${error} />`;
  const last = Math.min(from + ROWS, table.total);
  return html`<${Table} table=${{ ...table, total: table.rows.length }} label=${`Rows of ${clean(name)}`} /><div class="line">
    <strong class="mono">${clean(name)}</strong>
    <button type="button" class="small" disabled=${from === 0} onClick=${() => setFrom(Math.max(from - ROWS, 0))}>Before</button>
    <span class="quiet">${from + 1}–${last} of ${grouped(table.total)}</span>
    <button type="button" class="small" disabled=${last >= table.total} onClick=${() => setFrom(from + ROWS)}>Next</button></div>`;
}

// ------------------------------------------------------------------ files, guarantees

function Files({ id, round, changed, note }) {
  const [files, setFiles] = useState(null);
  const [error, setError] = useState(null);
  const take = ({ files: found }) => (setFiles(found), note({ disk_bytes: Object.values(found).reduce((all, size) => all + size, 0) }));
  useEffect(() => void get(`/v1/sessions/${id}/files`).then(take, setError), [id, round]);
  const add = async (list) => {
    try {
      for (const file of list) await putFile(id, file);
      setError(null);
    } catch (problem) {
      setError(problem);
    }
    changed();
  };
  return html`<section class="drop" aria-label="Files" onDragOver=${(event) => event.preventDefault()} onDrop=${(event) => (event.preventDefault(), add(event.dataTransfer.files))}>
    <div class="line top"><h2>Files</h2><label class="button file-button small">Add<input type="file" multiple class="sr" onChange=${(event) => add([...event.target.files])} /></label></div>
    <${Problem} error=${error} />
    ${files && html`<ul class="files">${Object.entries(files).map(([name, size]) => html`<li key=${name}><${Act} kind="file" run=${() => download(`/v1/sessions/${id}/files/${escaped(name)}`, name)}>${cleanLine(name)}<//> <span class="quiet">${bytes(size)}</span></li>`)}</ul>`}
    ${files && !Object.keys(files).length && html`<p class="quiet">None. Drop some here.</p>`}
  </section>`;
}

function Guarantees({ session, used }) {
  const { guarantees, limits = {} } = session;
  const rows = Object.entries(guarantees).filter(([, value]) => value && value.length);
  return html`<section aria-label="What holds it"><h2>What holds it</h2><dl class="pairs">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${clean(Array.isArray(value) ? value.join("; ") : value)}</dd></div>`)}</dl>
    ${Object.keys(limits).length > 0 && html`<h2>What a run may use</h2><dl class="pairs">${Object.entries(limits).map(([name, value]) => html`<div><dt>${name.replace(/_(seconds|bytes)$/, "").replaceAll("_", " ")}</dt><dd><${Use} name=${name} most=${value} used=${used[name]} /></dd></div>`)}</dl>`}
  </section>`;
}

// A limit, and how much of it the console's last run used (of the disk: all files).
function Use({ name, most, used }) {
  if (used === null || used === undefined || most === null) return limit(name, most);
  return html`<div class="use"><meter min="0" max=${most} value=${used} aria-label=${`${name} used`}></meter><span>${limit(name, used)} of ${limit(name, most)}</span></div>`;
}

function limit(name, value) {
  if (value === null) return "no limit";
  if (name.endsWith("_bytes")) return bytes(value);
  return name.endsWith("_seconds") ? `${Number(value.toPrecision(2))} s` : grouped(value);
}
