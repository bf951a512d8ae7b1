// The thread that never runs guest code: stdin -> shared memory, from which the thread with Pyodide reads.
//
// deno run … main.mjs '{"pyodide": "file:///…/", "zip": "…/worker.zip", "snapshot": "…"}'
//
// It also ends the process when its host is gone, however busy the guest is.

import { end, make, write } from "./ring.mjs";
import { revokeAll } from "./permissions.mjs";

const CHUNK_BYTES = 65536, RING_BYTES = 1 << 20, GRACE_MS = 1000;

const ring = make(RING_BYTES);
const worker = new Worker(new URL("./guest.mjs", import.meta.url), { type: "module" });
worker.onerror = (error) => {
  error.preventDefault();
  console.error(error.message);
  Deno.exit(70);
};
const isUp = new Promise((resolve) => worker.onmessage = resolve);
worker.postMessage({ ring, settings: JSON.parse(Deno.args[0]) });
await isUp;
worker.onmessage = ({ data }) => Deno.exit(data & 255); // the guest's end: its thread can end itself only
await revokeAll(); // SECURITY: before the first byte of the host's can start a run

const chunk = new Uint8Array(CHUNK_BYTES);
for (let count; (count = await Deno.stdin.read(chunk)) !== null;) await write(ring, chunk.subarray(0, count));
end(ring);
setTimeout(() => Deno.exit(0), GRACE_MS);
