// Pyodide with the model in it. It knows neither the page nor the worker: the tests run it in Node.
import type { PyodideAPI } from "pyodide";
import type { PyCallable, PyProxy } from "pyodide/ffi";

/** Where the sources are unpacked. */
const HOME = "/playground";

/** `in_page.Prediction`. */
interface PyPrediction extends PyProxy {
  replications: number;
  step(): number;
  document(): string;
  answer(): string;
  run(): string;
}

interface InPage extends PyProxy {
  Prediction: PyCallable;
  about: PyCallable;
}

/** What the model refuses, in one line: what was found, where, and what was expected. */
export class Refused extends Error {}

/** A file that the reader has given: a configuration, or an access log. */
export interface GivenFile {
  name: string;
  content: Uint8Array;
}

export class Engine {
  private constructor(
    private readonly pyodide: PyodideAPI,
    private readonly inPage: InPage,
  ) {}

  /** Unpacks the sources into a Pyodide that has been loaded, and imports them. */
  static begin(pyodide: PyodideAPI, sources: Uint8Array): Engine {
    pyodide.unpackArchive(sources, "zip", { extractDir: HOME });
    pyodide.runPython(
      `import os, sys\nsys.path.insert(0, ${JSON.stringify(HOME)})\nos.chdir(${JSON.stringify(HOME)})`,
    );
    return new Engine(pyodide, pyodide.pyimport("in_page") as InPage);
  }

  /** Puts a file where the flags that name it find it. */
  put(file: GivenFile): void {
    this.pyodide.FS.writeFile(`${HOME}/${file.name}`, file.content);
  }

  /** The experiment that a command line describes, as JSON. */
  about(words: string[]): string {
    return this.call(() => this.inPage.about(this.pyodide.toPy(words)) as string);
  }

  /** Begins to predict what a command line describes. */
  predict(words: string[]): Prediction {
    const made = this.call(
      () => this.inPage.Prediction(this.pyodide.toPy(words)) as PyPrediction,
    );
    return new Prediction(made, (action) => this.call(action));
  }

  /** Runs Python; what it refuses becomes `Refused`. */
  private call<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      if (error instanceof this.pyodide.ffi.PythonError && error.type === "ExperimentError") {
        const line = error.message.trim().split("\n").pop() ?? "";
        throw new Refused(line.replace(/^[\w.]*ExperimentError: /, ""));
      }
      throw error;
    }
  }
}

/** One experiment, predicted replication by replication. */
export class Prediction {
  readonly replications: number;

  constructor(
    private readonly made: PyPrediction,
    private readonly call: <Result>(action: () => Result) => Result,
  ) {
    this.replications = made.replications;
  }

  /** Predicts the next replication; returns how many there are by then. */
  step(): number {
    return this.call(() => this.made.step());
  }

  /** What `python -m sim --json` prints. */
  document(): string {
    return this.call(() => this.made.document());
  }

  /** What the page shows, as JSON: see `in_page.Prediction.answer`. */
  answer(): string {
    return this.call(() => this.made.answer());
  }

  /** The first replication, request by request, as JSON: see `in_page.Prediction.run`. */
  run(): string {
    return this.call(() => this.made.run());
  }

  /** Lets Python forget it. */
  end(): void {
    this.made.destroy();
  }
}
