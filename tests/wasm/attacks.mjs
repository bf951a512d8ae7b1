// What guest code that reaches JavaScript may try, each with how it ends: "refused: …" or what it got.
//
// Run with the flags of a session, after the permissions were given up as a session's thread gives them up. Names of files and
// modules are put together at run time: what stands in a module as text, Deno loads before permissions count.

import { revokeAll } from "../../src/pinjra/executors/wasm/pyodide/permissions.mjs";

await revokeAll();

const secret = ["", "etc", "passwd"].join("/"), secretURL = `file://${secret}`, remote = ["https:/", "example.com", "x.mjs"].join("/");
const own = [Deno.mainModule.slice("file://".length)].join("");
const fromWorker = (url, options = {}) => new Promise((resolve, reject) => {
  const worker = new Worker(url, { type: "module", ...options });
  worker.onmessage = ({ data }) => data.startsWith("refused") ? reject(new Error(data)) : resolve(data);
  worker.onerror = (error) => { error.preventDefault(); reject(new Error(error.message)); };
});
const inWorker = (code) => "data:text/javascript," + encodeURIComponent(
  `let r; try { r = String(${code}) } catch (e) { r = "refused: " + e.message } postMessage(r)`);
const denied = async (name) => {
  const { state } = await Deno.permissions.request({ name });
  if (state !== "granted") throw new Error(state);
};

const attacks = {
  "read a file": () => Deno.readTextFileSync(secret),
  "read what it was loaded from": () => Deno.readTextFileSync(own),
  "list a folder": () => [...Deno.readDirSync("/")],
  "write a file": () => Deno.writeTextFileSync("/tmp/pinjra-escaped", "x"),
  "make a temporary file": () => Deno.makeTempFileSync(),
  "environment": () => Deno.env.toObject(),
  "environment by name": () => process.env.PATH,
  "host name": () => Deno.hostname(),
  "start a process": () => new Deno.Command("/bin/true").outputSync(),
  "start a process, node": async () => (await import("node:child_process")).execSync("true"),
  "send a signal": () => Deno.kill(Deno.ppid, "SIGTERM"),
  "send a signal, node": () => process.kill(Deno.ppid),
  "load a library": () => Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {}),
  "connect": () => Deno.connect({ hostname: "127.0.0.1", port: 8765 }),
  "listen": () => Deno.listen({ port: 0 }),
  "fetch": () => fetch("http://127.0.0.1:8765/"),
  "fetch a file": () => fetch(secretURL),
  "look up a name": () => Deno.resolveDns("example.com", "A"),
  "look up a name, node": async () => (await import("node:dns/promises")).lookup("example.com"),
  "read a file, node": async () => (await import("node:fs")).readFileSync(secret),
  "read a file, node's builtins": () => process.getBuiltinModule("fs").readFileSync(secret),
  "read a file, require": () => process.getBuiltinModule("module").createRequire(import.meta.url)(secret),
  "read a database": async () => new (await import("node:sqlite")).DatabaseSync("/tmp/x.db"),
  "import a remote module": () => import(remote),
  "import a file": () => import(secretURL),
  "import a file as text": () => import(secretURL, { with: { type: "text" } }),
  "a worker from a file": () => fromWorker(secretURL),
  "a worker from a remote module": () => fromWorker(remote),
  "a file in a worker": () => fromWorker(inWorker(`Deno.readTextFileSync(${JSON.stringify(secret)})`)),
  "network in a worker": () => fromWorker(inWorker(`Deno.listen({ port: 0 })`)),
  "store on disk: caches": async () => (await caches.open("x")).put("http://a/", new Response("b")),
  "store on disk: localStorage": () => localStorage.setItem("a", "b"),
  "open the inspector": async () => (await import("node:inspector")).open(0),
  ...Object.fromEntries(["read", "write", "net", "env", "run", "sys", "ffi", "import"].map(
    (name) => [`ask for ${name} again`, () => denied(name)])),
};

const results = {};
for (const [name, attack] of Object.entries(attacks)) {
  try {
    results[name] = `got ${await attack()}`.slice(0, 200);
  } catch (error) {
    results[name] = `refused: ${error.message}`.slice(0, 200);
  }
}
console.log(JSON.stringify(results));
Deno.exit(0);
