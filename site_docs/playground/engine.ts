// Pyodide with the model in it. It knows neither the page nor the worker: the tests run it in Node.
import type { PyodideAPI } from "pyodide";
import type { PyCallable, PyProxy } from "pyodide/ffi";

/** Where the sources are unpacked. */
export const HOME = "/playground";

/** `in_page.Prediction`. */
interface PyPrediction extends PyProxy {
  replications: number;
  advance: PyCallable;
  understood(): string;
  document(): string;
  answer(): string;
  run(): string;
  run_with: PyCallable;
}

interface InPage extends PyProxy {
  Prediction: PyCallable;
  difference: PyCallable;
  configuration: PyCallable;
}

/** What the model refuses, in one line: what was found, where, and what was expected. */
export class Refused extends Error {}

/** A file that the reader has given, such as an access log. */
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
    const home = JSON.stringify(HOME);
    pyodide.runPython(`import os, sys\nsys.path.insert(0, ${home})\nos.chdir(${home})`);
    return new Engine(pyodide, pyodide.pyimport("in_page") as InPage);
  }

  /** Puts a file where the flags that name it find it. */
  put(file: GivenFile): void {
    this.pyodide.FS.writeFile(`${HOME}/${file.name}`, file.content);
  }

  /** What a gunicorn.conf.py says, as JSON: see `in_page.configuration`. */
  configuration(text: string, cores: number): string {
    return this.call(() => this.inPage.configuration(text, cores) as string);
  }

  /** Begins to predict what a command line describes. */
  predict(flags: string[]): Prediction {
    const made = this.call(() => this.inPage.Prediction(this.pyodide.toPy(flags)) as PyPrediction);
    return new Prediction(made, (action) => this.call(action));
  }

  /** How B differs from A, as JSON: see `in_page.difference`. */
  difference(a: Prediction, b: Prediction): string {
    return this.call(() => this.inPage.difference(a.made, b.made) as string);
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
    readonly made: PyPrediction,
    private readonly call: <Result>(action: () => Result) => Result,
  ) {
    this.replications = made.replications;
  }

  /**
   * Predicts for about `seconds`, at most to the end of a replication. Returns how many there are
   * by then, with the part of the one under way: see `in_page.Prediction.advance`.
   */
  advance(seconds: number, compared = false): number {
    return this.call(() => this.made.advance.callKwargs(seconds, { compared }) as number);
  }

  /** The experiment with every default, as JSON: see `in_page.Prediction.understood`. */
  understood(): string {
    return this.call(() => this.made.understood());
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

  /** The same with requests that the reader sends: see `in_page.Prediction.run_with`. */
  runWith(sent: readonly number[]): string {
    return this.call(() => this.made.run_with([...sent]) as string);
  }

  /** Lets Python forget it. */
  end(): void {
    this.made.destroy();
  }
}
