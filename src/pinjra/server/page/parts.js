// The parts that every view is made of. All text of guests and models goes in as text, cleaned.

import { Component, html, useEffect, useState } from "./vendor/preact.js";
import { bytes, CHUNK, clean, cleanLine, grouped, highlighted, seconds } from "./text.js";

export function Code({ code, label = "Code" }) {
  return html`<pre class="code" tabindex="0" role="region" aria-label=${label}><code>${highlighted(code).map(
    ([kind, text]) => (kind ? html`<span class=${`t-${kind}`}>${text}</span>` : text),
  )}</code></pre>`;
}

// A view that is drawn again when its version is another one; a negative version is always another one.
export class Changing extends Component {
  shouldComponentUpdate(next) {
    return next.version < 0 || next.version !== this.props.version;
  }
}

class Chunk extends Changing {
  render({ lines }) {
    const last = lines.length - 1;
    return html`<div class="chunk">${lines.flatMap((line, at) => [
      ...line.map(([look, text]) => (look ? html`<span class=${look}>${text}</span>` : text)),
      at < last ? "\n" : "",
    ])}</div>`;
  }
}

// A view of many items that draws some more each frame, so that a long one does not stall the page.
export class Gradual extends Component {
  constructor() {
    super();
    this.state = { drawn: this.atOnce };
  }

  shouldComponentUpdate(next, state) {
    return next.version !== this.props.version || state.drawn !== this.state.drawn;
  }

  componentDidMount() {
    this.componentDidUpdate();
  }

  componentDidUpdate() {
    if (this.state.drawn < this.size(this.props)) this.frame ||= requestAnimationFrame(() => this.more());
  }

  more() {
    this.frame = 0;
    this.setState(({ drawn }) => ({ drawn: drawn + this.atOnce }));
  }
}

// Output as a terminal would show it. The box is laid out from its end, so that it stays there as it grows unless somebody
// has scrolled up.
export class Output extends Gradual {
  get atOnce() {
    return 10; // chunks
  }

  size({ screen }) {
    return screen.chunks.length + 1;
  }

  render({ screen, label = "Output" }, { drawn }) {
    const chunks = screen.drawn().map((chunk, at) => html`<${Chunk} key=${at + screen.dropped / CHUNK} ...${chunk} />`);
    return html`<div class="output" tabindex="0" role="region" aria-label=${label}><div>
      ${screen.dropped > 0 && html`<div class="note">${grouped(screen.dropped)} lines before are not shown</div>`}
      ${chunks.slice(-drawn)}
    </div></div>`;
  }
}

// A picture, or a page in a frame that is an origin of its own, runs no scripts and reaches nothing.
export function Artifact({ artifact }) {
  const { media_type: type, frame } = artifact;
  const [scripts, setScripts] = useState(false);
  const name = cleanLine(artifact.name) || "picture";
  if (/^image\/(png|jpeg|gif|webp)$/.test(type))
    return html`<figure><img class="picture" src=${frame} alt=${name === "picture" ? "A picture that the code displayed" : name} loading="lazy" /></figure>`;
  const shown = type === "text/html" || type === "image/svg+xml";
  if (!shown) return html`<p class="note">${clean(type)}, ${bytes(artifact.size)}</p>`;
  return html`<figure class="frame">
    <iframe key=${scripts} src=${scripts ? `${frame}?scripts=1` : frame} sandbox=${scripts ? "allow-scripts" : ""}
      title=${`What the code displayed: ${name}`} loading="lazy" referrerpolicy="no-referrer"></iframe>
    ${type === "text/html" && html`<figcaption><label><input type="checkbox" checked=${scripts}
      onChange=${(event) => setScripts(event.target.checked)} /> let its scripts run, in the frame, without network</label></figcaption>`}
  </figure>`;
}

export function Table({ table, label = "Table" }) {
  if (!table) return null;
  const more = table.total - table.rows.length;
  return html`<div class="table" tabindex="0" role="region" aria-label=${label}><table>
      <thead><tr><th scope="col"><span class="sr">row</span></th>${table.columns.map((name) => html`<th scope="col">${clean(name)}</th>`)}</tr></thead>
      <tbody>${table.rows.map(([index, ...cells]) => html`<tr><th scope="row">${clean(index)}</th>${cells.map((cell) => html`<td>${clean(cell)}</td>`)}</tr>`)}</tbody>
    </table></div>
    ${more > 0 && html`<p class="note">and ${grouped(more)} more rows</p>`}`;
}

const STATES = {
  running: ["runs", "live"],
  success: ["done", "good"],
  max_steps_error: ["out of steps", "bad"],
  budget_error: ["out of budget", "bad"],
  interrupted: ["interrupted", "bad"],
  error: ["failed", "bad"],
};

export function Badge({ state }) {
  const [word, kind] = STATES[state] ?? [state, ""];
  return html`<span class=${`badge ${kind}`}>${word}</span>`;
}

// Seconds since a moment, counted on while it is live.
export function Elapsed({ since, total, live }) {
  const [now, setNow] = useState(Date.now() / 1000);
  useEffect(() => {
    if (!live) return undefined;
    const timer = setInterval(() => setNow(Date.now() / 1000), 1000);
    return () => clearInterval(timer);
  }, [live]);
  return html`<span>${seconds(live ? Math.max(now - since, 0) : (total ?? 0))}</span>`;
}

export function Problem({ error }) {
  return error ? html`<p class="problem" role="alert">${clean(error.message ?? error)}</p>` : null;
}

// A button that shows that its work goes on, and what went wrong.
export function Act({ run, children, kind = "", ...more }) {
  const [state, setState] = useState(null);
  const click = async () => {
    setState("busy");
    try {
      await run();
      setState(null);
    } catch (error) {
      setState(error);
    }
  };
  return html`<button type="button" class=${kind} disabled=${state === "busy"} onClick=${click} ...${more}>${children}</button>
    ${state && state !== "busy" && html`<span class="problem inline" role="alert">${clean(state.message)}</span>`}`;
}

// Ctrl+Enter in a text presses the form's first button.
export const sends = (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form.querySelector("button.strong").click();

// Text as a model writes it: paragraphs, and code between fences.
export function Prose({ text }) {
  return html`<div class="prose">${clean(text)
    .split(/```(?:python|py)?\n?/)
    .map((part, at) => (at % 2 ? html`<${Code} code=${part} />` : part.trim() && html`<p>${named(part.trim())}</p>`))}</div>`;
}

// A paragraph, with what stands between backticks as code.
function named(text) {
  return text.split(/`([^`\n]+)`/).map((part, at) => (at % 2 ? html`<code>${part}</code>` : part));
}
