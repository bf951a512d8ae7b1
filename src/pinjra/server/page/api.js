// Requests to the service that this page came from, and the events of a run as they come.

const BUSY_MS = 8;
const KEY = "pinjra.token";

// A token comes once in the address (#token=…) and is kept for this tab only.
function takeToken() {
  const found = /[#&]token=([^&]+)/.exec(location.hash);
  if (!found) return;
  sessionStorage.setItem(KEY, decodeURIComponent(found[1]));
  history.replaceState(null, "", location.pathname + "#/");
}

export function setToken(token) {
  sessionStorage.setItem(KEY, token);
}

export const hasToken = () => Boolean(sessionStorage.getItem(KEY));

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function headers(more = {}) {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}`, ...more } : more;
}

// A run that the address names is asked for before the views are evaluated: its events come meanwhile (docs/decisions/0017).
const early = new Map();
const leaves = new AbortController();
takeToken();
const [, run] = /^#\/runs\/([\w-]+)$/.exec(location.hash) ?? [];
for (const path of run ? [`/v1/runs/${run}/events`, `/v1/runs/${run}`] : []) early.set(path, fetch(path, { headers: headers(), signal: leaves.signal }));

function askedEarly(path, { signal }) {
  const found = early.get(path);
  early.delete(path);
  if (found) signal?.addEventListener("abort", () => leaves.abort());
  return found;
}

async function answer(path, options = {}) {
  let response;
  try {
    response = await (askedEarly(path, options) ?? fetch(path, { ...options, headers: headers(options.headers) }));
  } catch {
    throw new Refused(0, "the service does not answer");
  }
  if (response.ok) return response;
  if (response.status === 401) dispatchEvent(new CustomEvent("pinjra.stranger"));
  const told = await response.json().catch(() => null);
  throw new Refused(response.status, told?.error?.message ?? `${response.status} ${response.statusText}`);
}

export async function get(path) {
  return (await answer(path)).json();
}

export async function send(method, path, body) {
  const response = await answer(path, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
  });
  return response.status === 204 ? null : response.json();
}

export const post = (path, body = {}) => send("POST", path, body);

export async function text(path) {
  return (await answer(path)).text();
}

export async function blob(path) {
  return (await answer(path)).blob();
}

export async function putFile(session, file) {
  await answer(`/v1/sessions/${session}/files/${escaped(file.name)}`, { method: "PUT", body: file });
}

// A file's name as a path of an address.
export function escaped(name) {
  return name.split("/").map(encodeURIComponent).join("/");
}

export async function download(path, name) {
  save(await blob(path), name);
}

export function save(data, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(data);
  link.download = name.split("/").at(-1) || "file";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export async function base64(file) {
  const data = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let at = 0; at < data.length; at += 0x8000) binary += String.fromCharCode(...data.subarray(at, at + 0x8000));
  return btoa(binary);
}

// Calls `on(record)` for each event of a run until it ends, then `onEnd(run)`; connects again where it was, as long as it takes.
// `onState` is told "live", "lost" or an error's message.
export function follow(run, after, { on, onEnd, onState = () => {} }) {
  const stop = new AbortController();
  const work = async () => {
    let wait = 250;
    for (let last = after; !stop.signal.aborted; ) {
      try {
        const more = last ? { "Last-Event-ID": String(last) } : {};
        const response = await answer(`/v1/runs/${run}/events`, { signal: stop.signal, headers: more });
        onState("live");
        wait = 250;
        let began = performance.now();
        for await (const event of events(response.body)) {
          if (performance.now() - began > BUSY_MS) {
            await new Promise((done) => setTimeout(done)); // a long history must not stall the page
            began = performance.now();
          }
          if (event.event === "end") return onEnd(JSON.parse(event.data));
          last = Number(event.id) || last;
          on(JSON.parse(event.data), last);
        }
      } catch (error) {
        if (stop.signal.aborted) return undefined;
        if (error instanceof Refused && error.status >= 400 && error.status < 500) return onState(error.message);
      }
      onState("lost");
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(wait * 2, 5000);
    }
    return undefined;
  };
  work();
  return () => stop.abort();
}

// A body of server-sent events -> {id, event, data}
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (left + value).replaceAll("\r\n", "\n").split("\n\n");
    left = blocks.pop();
    for (const block of blocks) {
      const event = { data: "" };
      for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
      }
      if (event.data) yield event;
    }
  }
}
