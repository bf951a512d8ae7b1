// Pyodide, with the worker where it can be imported.

export async function load(settings, options) {
  const { loadPyodide } = await import(`${settings.pyodide}pyodide.mjs`);
  const python = await loadPyodide({ indexURL: decodeURIComponent(new URL(settings.pyodide).pathname), ...options });
  python.FS.mkdirTree("/pinjra");
  python.FS.mkdirTree("/scratch");
  python.FS.writeFile("/pinjra/worker.zip", Deno.readFileSync(settings.zip));
  return python;
}
