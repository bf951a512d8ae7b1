// The machine: what /metrics says, as figures and rates of the last minute.

import { html, useEffect, useState } from "./vendor/preact.js";
import { text } from "./api.js";
import { Problem } from "./parts.js";
import { bytes, clean } from "./text.js";

const EVERY_MS = 2000;
const KEPT = 30; // looks: a minute

// The text that Prometheus reads -> [{name, labels, value}]
export function samples(page) {
  const found = [];
  for (const line of page.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match) continue;
    const labels = Object.fromEntries([...(match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c))]));
    found.push({ name: match[1], labels, value: Number(match[3]) });
  }
  return found;
}

function sum(found, name, by) {
  const sums = new Map();
  for (const each of found.filter((sample) => sample.name === name)) sums.set(each.labels[by] ?? "", (sums.get(each.labels[by] ?? "") ?? 0) + each.value);
  return sums;
}

const total = (sums) => [...sums.values()].reduce((all, value) => all + value, 0);

export function NodePage() {
  const [looks, setLooks] = useState([]);
  const [error, setError] = useState(null);
  useEffect(() => {
    const look = () => text("/metrics").then((page) => (setError(null), setLooks((all) => [...all.slice(1 - KEPT), { time: Date.now() / 1000, found: samples(page) }])), setError);
    look();
    const timer = setInterval(look, EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  if (!looks.length) return html`<${Problem} error=${error} />`;
  const last = looks.at(-1);
  const first = looks[0];
  const passed = last.time - first.time;
  const rate = (name) => (passed ? (total(sum(last.found, name, "")) - total(sum(first.found, name, ""))) / passed : 0);
  const one = (name) => total(sum(last.found, name, ""));
  const rates = looks.slice(1).map((look, at) => (total(sum(look.found, "pinjra_runs_total", "")) - total(sum(looks[at].found, "pinjra_runs_total", ""))) / (look.time - looks[at].time));
  const ends = sum(last.found, "pinjra_runs_total", "end");
  const errors = new Map([...ends].filter(([end]) => end !== "ok"));
  return html`<div class="start node"><h1>This machine</h1><${Problem} error=${error} />
    <dl class="figures large">
      <div><dt>sessions open</dt><dd>${one("pinjra_sessions")}</dd></div>
      <div><dt>runs a second</dt><dd>${rate("pinjra_runs_total").toFixed(1)}</dd></div>
      <div><dt>processors busy</dt><dd>${rate("pinjra_run_cpu_seconds_total").toFixed(2)}</dd></div>
      <div><dt>load</dt><dd>${one("pinjra_load").toFixed(2)}</dd></div>
      <div><dt>memory of the service</dt><dd>${bytes(one("pinjra_memory_bytes"))}</dd></div>
    </dl>
    <${Line} values=${rates} />
    <div class="columns"><${Bars} title="Sessions by tenant" sums=${sum(last.found, "pinjra_sessions", "tenant")} /><${Bars} title="Runs by tenant" sums=${sum(last.found, "pinjra_runs_total", "tenant")} />
    <${Bars} title="Tasks of agents, by how they ended" sums=${sum(last.found, "pinjra_agent_runs_total", "state")} />
    <${Bars} title="Runs that failed, by kind" sums=${errors} empty="None has failed." /></div>
  </div>`;
}

// Runs a second, over the last minute.
function Line({ values }) {
  if (values.length < 2) return null;
  const most = Math.max(...values, 1);
  const points = values.map((value, at) => `${((at + KEPT - 1 - values.length) / (KEPT - 2)) * 600},${78 - (value / most) * 72}`).join(" ");
  return html`<svg class="line-chart" viewBox="0 0 600 80" preserveAspectRatio="none" role="img" aria-label=${`Runs a second over the last minute, at most ${most.toFixed(1)}`}><polyline points=${points} fill="none" vector-effect="non-scaling-stroke" /></svg>`;
}

function Bars({ title, sums, empty = "None." }) {
  const most = Math.max(...sums.values(), 1);
  const rows = [...sums].sort((a, b) => b[1] - a[1]);
  return html`<section><h2>${title}</h2>${rows.length ? html`<ul class="bars">${rows.map(([name, value]) => html`<li><span>${clean(name) || "all"}</span><meter min="0" max=${most} value=${value} aria-label=${clean(name)}></meter><span>${value.toLocaleString("en")}</span></li>`)}</ul>` : html`<p class="quiet">${empty}</p>`}</section>`;
}
