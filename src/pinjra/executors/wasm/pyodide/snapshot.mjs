// A Pyodide that is up and has imported the worker -> its memory, in a file: sessions start from it. Once a cache.

import { load } from "./load.mjs";

const settings = JSON.parse(Deno.args[0]);
const python = await load(settings, { _makeSnapshot: true });
python.runPython(`
import sys
sys.path.insert(0, "/pinjra/worker.zip")
import pinjra.worker.interpreter.single_process
`);
Deno.writeFileSync(settings.snapshot, python.makeMemorySnapshot());
