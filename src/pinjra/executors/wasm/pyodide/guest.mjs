// The thread with Pyodide: it loads, gives up every permission, and is the worker from then on.

import { hasInput, read } from "./ring.mjs";
import { revokeAll } from "./permissions.mjs";
import { load } from "./load.mjs";

// `random` was seeded when the snapshot was made: without this all sessions would draw the same numbers.
const BOOT = `
import asyncio, os, sys
os.environ.clear()
os.environ.update(HOME="/scratch", TMPDIR="/scratch", PWD="/scratch")
os.chdir("/scratch")
asyncio._set_running_loop(None)
asyncio.events._set_event_loop_policy(None)
if "random" in sys.modules:
    sys.modules["random"].seed()
from _pinjra import has_input
from pinjra.worker.interpreter.single_process import main
main("/scratch", has_input)
`;

self.onmessage = async ({ data: { ring, settings } }) => {
  self.onmessage = null;
  for (const name of ["log", "info", "debug"]) console[name] = console.error; // stdout is the stream to the host
  const python = await load(settings, { _loadSnapshot: Deno.readFileSync(settings.snapshot) });
  python._api.fatal_error = (error) => { throw error; }; // its own would write a traceback into the stream to the host
  python.setStdin({ read: (target) => read(ring, target) });
  python.setStdout({ write: (bytes) => writeAll(Deno.stdout, bytes) });
  python.setStderr({ write: (bytes) => writeAll(Deno.stderr, bytes) });
  python.registerJsModule("_pinjra", { has_input: (seconds) => hasInput(ring, seconds) });
  await revokeAll(); // SECURITY: guest code reaches this thread's JavaScript
  self.postMessage("up");
  let status = 0;
  try {
    python.runPython(BOOT);
  } catch (error) {
    console.error(String(error.message ?? error));
    status = 1;
  }
  self.postMessage(status);
};

function writeAll(stream, bytes) {
  for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
  return bytes.length;
}
