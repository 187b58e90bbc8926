// Compiles the Python of the page: `node precompile.mjs PYODIDE SOURCES FOLDER`.
//
// Writes python_stdlib.zip and sources.zip into FOLDER; see precompile.py, which is beside SOURCES.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { loadPyodide as LoadPyodide } from "pyodide";
import { Engine, HOME } from "./engine.js";

const [home, archive, folder] = process.argv.slice(2);
if (home === undefined || archive === undefined || folder === undefined) {
  throw new Error("expected the folder of Pyodide, the archive of the sources, and a folder");
}
const bytes = (path: string): Uint8Array => Uint8Array.from(readFileSync(path));
try {
  const { loadPyodide } = (await import(pathToFileURL(join(home, "pyodide.mjs")).href)) as {
    loadPyodide: typeof LoadPyodide;
  };
  const pyodide = await loadPyodide({ indexURL: home });
  // What the page will import is known once it has predicted something.
  const prediction = Engine.begin(pyodide, bytes(archive)).predict(["--replications", "2"]);
  prediction.advance(60);
  prediction.answer();
  pyodide.FS.writeFile("/tmp/precompile.py", readFileSync(join(dirname(archive), "precompile.py")));
  pyodide.runPython("import sys; sys.path.insert(0, '/tmp'); import precompile");
  const compile = (call: string, packed: Uint8Array): Uint8Array => {
    pyodide.FS.writeFile("/tmp/packed.zip", packed);
    pyodide.runPython(
      `packed = open("/tmp/packed.zip", "rb").read()\nopen("/tmp/out.zip", "wb").write(${call})`,
    );
    return pyodide.FS.readFile("/tmp/out.zip");
  };
  const library = compile("precompile.library(packed)", bytes(join(home, "python_stdlib.zip")));
  const sources = compile(`precompile.compiled(packed, "${HOME}")`, bytes(archive));
  writeFileSync(join(folder, "python_stdlib.zip"), library);
  writeFileSync(join(folder, "sources.zip"), sources);
} catch (error) {
  // Not thrown: Node would print the line of Pyodide that it comes from, which has a megabyte.
  console.error(String(error));
  process.exitCode = 1;
}
