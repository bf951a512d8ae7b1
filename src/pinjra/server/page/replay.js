// A saved run, an audit log or a run of this service, played again: at any speed, or step by step.

import { html, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "./vendor/preact.js";
import { follow } from "./api.js";
import { RunTree } from "./model.js";
import { Problem } from "./parts.js";
import { Steps } from "./run.js";
import { clean, seconds } from "./text.js";
import { eventsOf } from "./saved.js";

const SPEEDS = [1, 4, 16, 64];
const LONGEST_PAUSE = 2; // seconds: nobody wants to wait for a model again

export function ReplayPage({ id }) {
  const [events, setEvents] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    if (!id) return undefined;
    const found = [];
    return follow(id, 0, {
      on: (record) => found.push(record),
      onEnd: () => setEvents(found),
      onState: (state) => state !== "live" && setError(state === "lost" ? "the service does not answer" : state),
    });
  }, [id]);
  const load = async (file) => {
    try {
      setEvents(eventsOf(await file.text()));
      setError(null);
    } catch (problem) {
      setError(problem);
    }
  };
  if (events) return html`<${Player} events=${events} />`;
  return html`<div class="start"><h1>Play a run again</h1><${Problem} error=${error} />
    ${!id && html`<div class="drop big" onDragOver=${(event) => event.preventDefault()} onDrop=${(event) => (event.preventDefault(), event.dataTransfer.files[0] && load(event.dataTransfer.files[0]))}>
      <p>A saved run (<code>pinjra run --save</code>, <code>memory.to_json()</code>), the lines of <code>pinjra run --json</code>, or an audit log. It stays in this page.</p>
      <label class="button file-button strong">Choose a file<input type="file" class="sr" onChange=${(event) => event.target.files[0] && load(event.target.files[0])} /></label>
      <span class="quiet wide"> or drop it here</span></div>`}
  </div>`;
}

// Times of events, with no pause longer than anybody waits.
function moments(events) {
  let now = 0;
  return events.map((event, at) => {
    const passed = at ? (event.time ?? 0) - (events[at - 1].time ?? 0) : 0;
    now += Math.min(Math.max(passed, 0), LONGEST_PAUSE);
    return now;
  });
}

function Player({ events }) {
  const times = useMemo(() => moments(events), [events]);
  const end = times.at(-1) ?? 0;
  const [speed, setSpeed] = useState(1);
  const [isPlaying, setPlaying] = useState(false);
  const [, draw] = useReducer((number) => number + 1, 0);
  const own = useRef({ tree: new RunTree(), at: 0, now: 0 });
  const it = own.current;
  const seek = (to) => {
    if (to < it.at) [it.tree, it.at] = [new RunTree(), 0];
    while (it.at < to) it.tree.apply(events[it.at++]);
    it.now = times[Math.max(it.at - 1, 0)] ?? 0;
    draw();
  };
  useLayoutEffect(() => seek(events.length), [events]); // before anybody can step
  useEffect(() => {
    if (!isPlaying) return undefined;
    let frame = 0;
    let before = performance.now();
    const play = (time) => {
      const now = it.now + ((time - before) / 1000) * speed;
      before = time;
      while (it.at < events.length && times[it.at] <= now) it.tree.apply(events[it.at++]);
      it.now = Math.min(now, end);
      draw();
      if (it.at < events.length) frame = requestAnimationFrame(play);
      else setPlaying(false);
    };
    frame = requestAnimationFrame(play);
    return () => cancelAnimationFrame(frame);
  }, [isPlaying, speed, events]);
  const isStop = (event) => event.event === "StepFinished" || event.event === "RunFinished";
  const next = () => {
    const found = events.findIndex((event, at) => at >= it.at && isStop(event));
    seek(found < 0 ? events.length : found + 1);
  };
  const before = () => seek(events.findLastIndex((event, at) => at < it.at - 1 && isStop(event)) + 1);
  const play = () => {
    if (it.at === events.length) seek(0);
    setPlaying(!isPlaying);
  };
  return html`<div class="single replay"><section class="run">
    <header><h1>${clean(it.tree.roots[0]?.task ?? events.find((event) => event.task)?.task ?? "A run")}</h1>
      <div class="line player">
        <button type="button" class="strong" onClick=${play}>${isPlaying ? "Pause" : "Play"}</button>
        <button type="button" onClick=${before}>Step back</button><button type="button" onClick=${next}>Next step</button>
        <input type="range" min="0" max=${events.length} value=${it.at} aria-label="Place in the run" onInput=${(event) => (setPlaying(false), seek(Number(event.target.value)))} />
        <span class="quiet">${seconds(it.now)} of ${seconds(end)}</span>
        <label class="pick">speed <select aria-label="Speed" value=${speed} onChange=${(event) => setSpeed(Number(event.target.value))}>${SPEEDS.map((each) => html`<option value=${each}>${each}×</option>`)}</select></label>
      </div></header>
    <div class="body">${it.tree.roots.map((run, at) => html`<${Steps} key=${`${run.id}`} run=${run} version=${`${run.version}-${it.at}`} first=${at === 0} />`)}</div>
  </section></div>`;
}
