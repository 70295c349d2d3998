// Runs a Python program of tests/ in Pyodide: node run.mjs PYODIDE REPOSITORY MODULE
import { pathToFileURL } from "node:url";
const [pyodide, repository, module] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
const python = await loadPyodide({ env: { PYTHONPATH: "/src:/tests", PYTHONDONTWRITEBYTECODE: "1" } });
for (const folder of ["src", "tests"]) python.mountNodeFS(`/${folder}`, `${repository}/${folder}`);
try {
    python.runPython(`import importlib, runpy; importlib.invalidate_caches(); runpy.run_module("${module}", run_name="__main__")`);
} catch (error) {
    console.error(error.message);
    process.exit(1);
}
