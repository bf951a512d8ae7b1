// The machine: what /metrics says, as figures and rates of the last minute.

import { html, useEffect, useState } from "./vendor/preact.js";
import { text } from "./api.js";
import { Problem } from "./parts.js";
import { bytes, clean, grouped } from "./text.js";

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
  const one = (name) => total(sum(last.found, name, ""));
  const ends = sum(last.found, "pinjra_runs_total", "end");
  const figures = [
    ["sessions open", one("pinjra_sessions")],
    ["runs a second", rate(looks[0], last, "pinjra_runs_total").toFixed(1)],
    ["verdicts a second", rate(looks[0], last, "pinjra_verdicts_total").toFixed(1)],
    ["processors busy", rate(looks[0], last, "pinjra_run_cpu_seconds_total").toFixed(2)],
    ["load", one("pinjra_load").toFixed(2)],
    ["memory of the service", bytes(one("pinjra_memory_bytes"))],
  ];
  return html`<div class="start node"><h1>This machine</h1><${Problem} error=${error} />
    <dl class="figures large">${figures.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    <div class="columns"><${Line} title="Runs a second" looks=${looks} name="pinjra_runs_total" /><${Line} title="Verdicts a second" looks=${looks} name="pinjra_verdicts_total" />
    <${Bars} title="Sessions by tenant" sums=${sum(last.found, "pinjra_sessions", "tenant")} /><${Bars} title="Runs by tenant" sums=${sum(last.found, "pinjra_runs_total", "tenant")} />
    <${Bars} title="Runs that failed, by kind" sums=${new Map([...ends].filter(([end]) => end !== "ok"))} empty="None has failed." />
    <${Bars} title="Verdicts, by kind" sums=${sum(last.found, "pinjra_verdicts_total", "end")} />
    <${Bars} title="Tasks of agents, by how they ended" sums=${sum(last.found, "pinjra_agent_runs_total", "state")} /></div>
  </div>`;
}

// How much a counter grew a second; a service that was restarted begins at nothing.
function rate(before, after, name) {
  const [from, to] = [before, after].map((look) => total(sum(look.found, name, "")));
  return after.time > before.time ? Math.max(to - from, 0) / (after.time - before.time) : 0;
}

// A counter's growth over the last minute.
function Line({ title, looks, name }) {
  if (looks.length < 3) return null;
  const values = looks.slice(1).map((look, at) => rate(looks[at], look, name));
  const most = Math.max(...values, 1);
  const points = values.map((value, at) => `${((at + KEPT - 1 - values.length) / (KEPT - 2)) * 600},${78 - (value / most) * 72}`).join(" ");
  return html`<section><h2>${title} <span class="quiet">at most ${most.toFixed(1)}</span></h2>
    <svg class="line-chart" viewBox="0 0 600 80" preserveAspectRatio="none" role="img" aria-label=${`${title} over the last minute, at most ${most.toFixed(1)}`}><polyline points=${points} fill="none" vector-effect="non-scaling-stroke" /></svg></section>`;
}

function Bars({ title, sums, empty = "None." }) {
  const most = Math.max(...sums.values(), 1);
  const rows = [...sums].sort((a, b) => b[1] - a[1]);
  return html`<section><h2>${title}</h2>${rows.length ? html`<ul class="bars">${rows.map(([name, value]) => html`<li><span>${clean(name) || "all"}</span><meter min="0" max=${most} value=${value} aria-label=${clean(name)}></meter><span>${grouped(value)}</span></li>`)}</ul>` : html`<p class="quiet">${empty}</p>`}</section>`;
}
