// Predicts in Node what the page predicts: `node command.mjs PYODIDE PYTHON`, where PYTHON has the
// files that `precompile.ts` writes.
//
// Reads command lines as JSON, one a line, from stdin, and prints the document of each, as JSON
// text, one a line; of one that is refused, an object with the reason.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import type { loadPyodide as LoadPyodide } from "pyodide";
import { Engine, Refused } from "./engine.js";

const [home, python] = process.argv.slice(2);
if (home === undefined || python === undefined) {
  throw new Error("expected the folders of Pyodide and of the page's Python");
}
const { loadPyodide } = (await import(pathToFileURL(join(home, "pyodide.mjs")).href)) as {
  loadPyodide: typeof LoadPyodide;
};
const pyodide = await loadPyodide({
  indexURL: home,
  stdLibURL: join(python, "python_stdlib.zip"),
});
const engine = Engine.begin(pyodide, Uint8Array.from(readFileSync(join(python, "sources.zip"))));
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const prediction = engine.predict(JSON.parse(line) as string[]);
    // In parts, as in the page.
    while (prediction.advance(0.05) < prediction.replications) {}
    console.log(JSON.stringify(prediction.document()));
    prediction.end();
  } catch (error) {
    if (!(error instanceof Refused)) {
      // Not thrown: Node would print the line of Pyodide that it comes from, which has a megabyte.
      console.error(String(error));
      process.exit(1);
    }
    console.log(JSON.stringify({ refused: error.message }));
  }
}
