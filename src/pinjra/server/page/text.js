// Text of guests and models -> what is safe and pleasant to show: cleaned, coloured, as a terminal would leave it.
// Everything here gives plain data (texts and class names); nothing makes markup.

// SECURITY: as pinjra.ui.clean: control characters are shown as pictures, and characters that make text read as other text
// (CVE-2021-42574) are spelled out.
const UNSAFE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

export function clean(text) {
  return String(text ?? "").replaceAll("\r\n", "\n").replace(UNSAFE, picture);
}

// What stands in one line, as the name of a file: ends of lines are shown too, and spaces that would not be seen.
export function cleanLine(text) {
  return clean(text).replace(/[\t\n]/g, picture).replace(/^ +| +$|(?<= ) +/g, (spaces) => "\u2423".repeat(spaces.length));
}

function picture(character) {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return "\u2421";
  return code <= 0xff ? `\\x${code.toString(16)}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

// ------------------------------------------------------------------ Python, coloured

const KEYWORDS = new Set(
  ("False None True and as assert async await break class continue def del elif else except finally for from global if import " +
    "in is lambda match nonlocal not or pass raise return try while with yield case").split(" "),
);
const TOKENS =
  /(#[^\n]*)|((?:\b[rbfuRBFU]{1,2})?(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\[\s\S]|[^"\\\n])*"?|'(?:\\[\s\S]|[^'\\\n])*'?))|(@[\w.]+)|\b(\d[\w.]*)|([A-Za-z_]\w*)(\s*\()?/g;

// Code -> [class, text] pairs; "" for plain text.
export function highlighted(code) {
  const text = clean(code);
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(TOKENS)) {
    const [whole, comment, string, decorator, number, word, opening] = match;
    const kind = comment ? "c" : string ? "s" : decorator ? "d" : number ? "n" : KEYWORDS.has(word) ? "k" : opening ? "f" : "";
    if (!kind) continue;
    if (match.index > at) parts.push(["", text.slice(at, match.index)]);
    const length = kind === "f" ? word.length : kind === "k" ? word.length : whole.length;
    parts.push([kind, text.slice(match.index, match.index + length)]);
    at = match.index + length;
  }
  if (at < text.length) parts.push(["", text.slice(at)]);
  return parts;
}

// ------------------------------------------------------------------ output, as a terminal leaves it

export const CHUNK = 100; // lines that are drawn together
const MOST = 20_000; // lines that are kept
const REACH = 40; // lines that a program may go up: progress bars below each other
const WIDEST = 20_000; // characters of a line
// One control sequence: CSI; OSC, DCS and such up to their end; a two-character escape; or a character that moves.
const CONTROL = /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|[\r\n\b\x1b]/g;
const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]{0,4096}\x1b?|[ -/]*)?$/;

// A line: parts of one style each; cells, one a character, once something was written over.
class Line {
  constructor() {
    this.parts = [];
    this.length = 0;
    this.cells = null;
  }

  put(column, style, text) {
    const characters = /[\ud800-\udfff]/.test(text) || column < this.length || this.cells ? Array.from(text) : null;
    const width = characters ? characters.length : text.length;
    if (column > this.length) this.put(this.length, "", " ".repeat(column - this.length));
    if (column === this.length && !this.cells) {
      const last = this.parts.at(-1);
      if (last && last[0] === style) last[1] += text;
      else this.parts.push([style, text]);
    } else {
      this.cells ??= this.parts.flatMap(([look, part]) => Array.from(part, (character) => [look, character]));
      characters.forEach((character, at) => (this.cells[column + at] = [style, character]));
    }
    this.length = Math.max(this.length, column + width);
    return column + width;
  }

  cut(length) {
    if (length >= this.length) return;
    this.cells ??= this.parts.flatMap(([look, part]) => Array.from(part, (character) => [look, character]));
    this.cells.length = this.length = length;
  }

  drawn() {
    return this.cells ? joined(this.cells) : this.parts;
  }
}

// A screen of lines; the last ones can still be written over, the others are settled in chunks.
export class Screen {
  constructor() {
    this.chunks = [{ lines: [], version: 0 }];
    this.left = ""; // a sequence that is not whole yet
    this.live = [new Line()];
    this.row = 0;
    this.column = 0;
    this.style = "";
    this.look = {};
    this.dropped = 0;
    this.count = 0;
  }

  write(text) {
    const whole = this.left + text;
    const cut = UNFINISHED.exec(whole);
    this.left = cut ? cut[0] : "";
    const ready = cut ? whole.slice(0, cut.index) : whole;
    let at = 0;
    for (const match of ready.matchAll(CONTROL)) {
      if (match.index > at) this.#put(ready.slice(at, match.index));
      at = match.index + match[0].length;
      this.#control(match);
    }
    if (at < ready.length) this.#put(ready.slice(at));
    return this;
  }

  // All lines, those that may still change last: [{lines, version}]
  drawn() {
    return [...this.chunks, { lines: this.live.map((line) => line.drawn()), version: -1 }];
  }

  get isEmpty() {
    return this.count === 0 && this.live.length === 1 && this.live[0].length === 0;
  }

  text() {
    return this.drawn().flatMap((chunk) => chunk.lines.map((line) => line.map((part) => part[1]).join(""))).join("\n");
  }

  #put(text) {
    const room = WIDEST - this.column;
    if (room > 0) this.column = this.live[this.row].put(this.column, this.style, clean(text).slice(0, room));
  }

  #control([whole, given, final]) {
    if (whole === "\n") this.#newline();
    else if (whole === "\r") this.column = 0;
    else if (whole === "\b") this.column = Math.max(this.column - 1, 0);
    else if (final === "m") this.#colour(given);
    else if (final === "K") this.#erase(given);
    else if (final === "A" || final === "F") this.#up(Number(given) || 1, final);
    else if (final === "G") this.column = Math.min(Math.max((Number(given) || 1) - 1, 0), WIDEST);
    // Everything else of a terminal's language means nothing here and is left out.
  }

  #newline() {
    this.column = 0;
    this.row += 1;
    if (this.row === this.live.length) this.live.push(new Line());
    if (this.live.length > REACH) {
      this.#settle(this.live.shift().drawn());
      this.row -= 1;
    }
  }

  #settle(line) {
    let last = this.chunks.at(-1);
    if (last.lines.length === CHUNK) this.chunks.push((last = { lines: [], version: 0 }));
    last.lines.push(line);
    last.version += 1;
    this.count += 1;
    if (this.count - this.dropped > MOST) this.dropped += this.chunks.shift().lines.length;
  }

  #up(lines, final) {
    this.row = Math.max(this.row - lines, 0);
    if (final === "F") this.column = 0;
  }

  #erase(given) {
    const line = this.live[this.row];
    if (given === "1") line.put(0, "", " ".repeat(Math.min(this.column, line.length)));
    else line.cut(given === "2" ? 0 : this.column);
  }

  #colour(given) {
    const codes = given.split(";").map(Number);
    for (let at = 0; at < codes.length; at++) {
      const code = codes[at];
      if (code === 0) this.look = {};
      else if (code === 1) this.look.bold = "b";
      else if (code === 2) this.look.bold = "dim";
      else if (code === 3) this.look.italic = "i";
      else if (code === 4) this.look.line = "u";
      else if (code === 22) delete this.look.bold;
      else if (code === 23) delete this.look.italic;
      else if (code === 24) delete this.look.line;
      else if (code >= 30 && code <= 37) this.look.colour = `a${code - 30}`;
      else if (code >= 90 && code <= 97) this.look.colour = `a${code - 90}`;
      else if (code === 39) delete this.look.colour;
      else if (code === 38 || code === 48) {
        if (code === 38 && codes[at + 1] === 5 && codes[at + 2] < 16) this.look.colour = `a${codes[at + 2] % 8}`;
        at += codes[at + 1] === 5 ? 2 : 4; // colours beyond the sixteen are not kept
      }
    }
    this.style = Object.values(this.look).join(" ");
  }
}

function joined(cells) {
  const parts = [];
  for (const [style, character] of cells) {
    const last = parts.at(-1);
    if (last && last[0] === style) last[1] += character;
    else parts.push([style, character]);
  }
  return parts;
}

// ------------------------------------------------------------------ figures

export function seconds(value) {
  if (value < 0.1) return "<0.1 s";
  if (value < 60) return `${value.toFixed(1)} s`;
  return `${Math.floor(value / 60)} min ${String(Math.floor(value % 60)).padStart(2, "0")} s`;
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) [value, at] = [value / 1024, at + 1];
  return `${at ? value.toFixed(1) : value} ${units[at]}`;
}

export function money(value) {
  return value >= 0.1 ? value.toFixed(2) : value.toPrecision(2);
}

// A number as people write it. `toLocaleString` loads tables of all languages first, which takes longer than drawing a run.
export function grouped(value) {
  return String(value).replace(/\B(?<!\.\d*)(?=(\d{3})+(?!\d))/g, ",");
}

export function count(value, one, many = `${one}s`) {
  return `${grouped(value)} ${value === 1 ? one : many}`;
}

export function ago(time) {
  const passed = Date.now() / 1000 - time;
  if (passed < 60) return "just now";
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
  if (passed < 86400) return `${Math.floor(passed / 3600)} h ago`;
  return new Date(time * 1000).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" });
}
