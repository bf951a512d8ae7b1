// The address -> a view; the frame around it; a token where the service wants one.

import { html, render, useEffect, useLayoutEffect, useState } from "./vendor/preact.js";
import { hasToken, setToken } from "./api.js";
import { NodePage } from "./node.js";
import { ReplayPage } from "./replay.js";
import { RunPage } from "./run.js";
import { SessionPage, SessionsPage } from "./sessions.js";
import { StartPage } from "./start.js";

const ID = "([\\w-]+)";
const VIEWS = [
  [/^#\/?$/, "Tasks", () => html`<${StartPage} />`],
  [new RegExp(`^#/runs/${ID}$`), "Run", (id) => html`<${RunPage} key=${id} id=${id} />`],
  [new RegExp(`^#/runs/${ID}/beside/${ID}$`), "Branches", (id, other) => html`<${RunPage} key=${id + other} id=${id} beside=${other} />`],
  [/^#\/sessions$/, "Sessions", () => html`<${SessionsPage} />`],
  [new RegExp(`^#/sessions/${ID}$`), "Session", (id) => html`<${SessionPage} key=${id} id=${id} />`],
  [/^#\/replay$/, "Replay", () => html`<${ReplayPage} />`],
  [new RegExp(`^#/replay/${ID}$`), "Replay", (id) => html`<${ReplayPage} key=${id} id=${id} />`],
  [/^#\/node$/, "Node", () => html`<${NodePage} />`],
];
const PLACES = [["#/", "Tasks"], ["#/sessions", "Sessions"], ["#/replay", "Replay"], ["#/node", "Node"]];
const THEMES = { "": "light", light: "dark", dark: "" };

function App() {
  const [address, setAddress] = useState(location.hash || "#/");
  const [isKnown, setKnown] = useState(true); // until the service says otherwise: the view need not wait for that
  const [theme, setTheme] = useState(localStorage.getItem("pinjra.theme") ?? "");
  useLayoutEffect(() => { // at once: an address that changes before this listens would never be shown
    const moved = () => {
      setAddress(location.hash || "#/");
      document.querySelector("main")?.focus({ preventScroll: true });
      scrollTo(0, 0);
    };
    addEventListener("hashchange", moved);
    addEventListener("pinjra.stranger", () => setKnown(false));
  }, []);
  useLayoutEffect(() => void (document.documentElement.dataset.theme = theme), [theme]);
  const [place, name, view] = VIEWS.find(([pattern]) => pattern.test(address)) ?? [/$/, "Nothing here", () => html`<p>There is nothing at this address.</p>`];
  useEffect(() => void (document.title = `${name} · Pinjra`), [name]);
  const change = () => {
    setTheme(THEMES[theme]);
    localStorage.setItem("pinjra.theme", THEMES[theme]);
  };
  const here = (to) => (to === "#/" ? /^#\/(runs.*)?$/.test(address) : address.startsWith(to));
  return html`<a class="skip" href="#content" onClick=${(event) => (event.preventDefault(), document.querySelector("main").focus())}>To the content</a>
    <nav aria-label="Main"><a class="mark" href="#/"><${Mark} />Pinjra</a>
      ${PLACES.map(([to, word]) => html`<a href=${to} aria-current=${here(to) ? "page" : undefined}>${word}</a>`)}
      <button type="button" class="theme" onClick=${change} aria-label=${`Colours: ${theme || "as the system"}. Change`}>${theme === "dark" ? "◑" : theme === "light" ? "○" : "◐"}</button>
    </nav>
    <main id="content" tabindex="-1">${isKnown ? view(...(place.exec(address)?.slice(1) ?? [])) : html`<${TokenForm} done=${() => setKnown(true)} />`}</main>`;
}

function Mark() {
  return html`<svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><path d="M4 18V9a6 6 0 0 1 12 0v9M2.5 18h15M8 18V3.6M12 18V3.6M10 3V1" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" /></svg>`;
}

function TokenForm({ done }) {
  const [token, setText] = useState("");
  const enter = (event) => {
    event.preventDefault();
    setToken(token.trim());
    done();
  };
  return html`<form class="token" onSubmit=${enter}><h1>This service wants a token</h1>
    <label for="token">Your token; it is kept for this tab only</label>
    <input id="token" type="password" autocomplete="current-password" value=${token} onInput=${(event) => setText(event.target.value)} />
    ${hasToken() && html`<p class="problem" role="alert">Nobody has this token.</p>`}
    <div class="line"><button type="submit" class="strong">Enter</button></div></form>`;
}

render(html`<${App} />`, document.body);
