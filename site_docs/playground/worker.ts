// The Web Worker in which the model runs, so that the page never waits for it.
import type { loadPyodide as LoadPyodide } from "pyodide";
import { Engine, Refused, type Prediction } from "./engine.js";
import type {
  Answer,
  Configuration,
  Difference,
  FromWorker,
  ToWorker,
  Understood,
} from "./messages.js";
import type { PictureRun } from "./picture/run.js";

/** ms after which what is known so far is worth showing. */
const PATIENCE = 300;

const scope = self as unknown as DedicatedWorkerGlobalScope;
const here = new URL(".", scope.location.href);

/** Counts what the page has asked: an older question is given up. */
let newest = 0;

function say(message: FromWorker): void {
  scope.postMessage(message);
}

/** Fetches for Pyodide: its largest file is compressed, whatever the server does. */
function fetchUnpacking(plain: typeof fetch): typeof fetch {
  return async (input, init) => {
    const url = String(input instanceof Request ? input.url : input);
    if (!url.endsWith(".wasm")) {
      return plain(input, init);
    }
    const response = await plain(`${url}.packed`, init);
    if (!response.ok || response.body === null) {
      return response;
    }
    return new Response(response.body.pipeThrough(new DecompressionStream("gzip")), {
      headers: { "Content-Type": "application/wasm" },
    });
  };
}

async function load(): Promise<Engine> {
  scope.fetch = fetchUnpacking(scope.fetch.bind(scope));
  say({ kind: "loading", what: "Python" });
  const home = new URL("pyodide/", here);
  const sources = fetch(new URL("sources.zip", here)).then((response) => response.arrayBuffer());
  const { loadPyodide } = (await import(new URL("pyodide.mjs", home).href)) as {
    loadPyodide: typeof LoadPyodide;
  };
  const pyodide = await loadPyodide({
    indexURL: home.href,
    stdLibURL: new URL("python_stdlib.zip", here).href,
  });
  say({ kind: "loading", what: "the model" });
  return Engine.begin(pyodide, new Uint8Array(await sources));
}

/** Lets the messages in that have come meanwhile. */
function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });
}

async function predict(engine: Engine, id: number, sides: string[][]): Promise<void> {
  const predictions: Prediction[] = [];
  try {
    for (const words of sides) {
      try {
        predictions.push(engine.predict(words));
      } catch (error) {
        if (error instanceof Refused) {
          say({ kind: "refused", id, side: predictions.length, why: error.message });
          return;
        }
        throw error;
      }
    }
    say({ kind: "understood", id, sides: predictions.map(understood) });
    await run(engine, id, predictions);
  } catch (error) {
    if (!(error instanceof Refused)) {
      throw error;
    }
    say({ kind: "refused", id, side: 0, why: error.message });
  } finally {
    predictions.forEach((prediction) => prediction.end());
  }
}

async function run(engine: Engine, id: number, predictions: Prediction[]): Promise<void> {
  const total = Math.max(...predictions.map((prediction) => prediction.replications));
  let shown = performance.now();
  // Doubled each time: all that is shown between takes as long as the last together.
  let next = 2;
  for (let done = 1; done <= total; done += 1) {
    for (const prediction of predictions) {
      if (done <= prediction.replications) {
        prediction.step(predictions.length > 1);
      }
      await breathe();
      if (newest !== id) {
        return;
      }
    }
    if (done === 1) {
      say({ kind: "runs", id, runs: predictions.map((prediction) => pictured(prediction.run())) });
    }
    say({ kind: "progress", id, done, total });
    if (done < total && done >= next && performance.now() - shown > PATIENCE) {
      say({ kind: "answer", id, last: false, ...soFar(engine, predictions) });
      shown = performance.now();
      next = 2 * done;
    }
  }
  say({ kind: "answer", id, last: true, ...soFar(engine, predictions) });
}

/** What the replications so far say, of each side and of their difference. */
function soFar(
  engine: Engine,
  predictions: Prediction[],
): { answers: Answer[]; difference: Difference | null } {
  const [a, b] = predictions;
  return {
    answers: predictions.map((prediction) => JSON.parse(prediction.answer()) as Answer),
    difference:
      a === undefined || b === undefined
        ? null
        : (JSON.parse(engine.difference(a, b)) as Difference),
  };
}

function understood(prediction: Prediction): Understood {
  return JSON.parse(prediction.understood()) as Understood;
}

function pictured(text: string): PictureRun | null {
  return JSON.parse(text) as PictureRun | null;
}

function send(engine: Engine, id: number, words: string[], sent: number[]): void {
  const prediction = engine.predict(words);
  try {
    say({ kind: "runs", id, runs: [pictured(prediction.runWith(sent))] });
  } catch (error) {
    if (!(error instanceof Refused)) {
      throw error;
    }
    say({ kind: "refused", id, side: 0, why: error.message });
  } finally {
    prediction.end();
  }
}

function read(engine: Engine, id: number, text: string, cores: number): void {
  try {
    const found = JSON.parse(engine.configuration(text, cores)) as Configuration;
    say({ kind: "configuration", id, read: found });
  } catch (error) {
    if (!(error instanceof Refused)) {
      throw error;
    }
    say({ kind: "refused", id, side: 0, why: error.message });
  }
}

const loaded = load();
loaded.then(
  () => say({ kind: "ready" }),
  (error: unknown) => say({ kind: "broken", why: String(error) }),
);

scope.onmessage = (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  newest = message.kind === "predict" ? message.id : newest;
  if (message.kind === "stop") {
    newest = -1;
    return;
  }
  void loaded
    .then(async (engine) => {
      if (message.kind === "put") {
        engine.put(message.file);
      } else if (message.kind === "configuration") {
        read(engine, message.id, message.text, message.cores);
      } else if (message.kind === "send") {
        send(engine, message.id, message.words, message.sent);
      } else if (message.id === newest) {
        await predict(engine, message.id, message.sides);
      }
    })
    .catch((error: unknown) => say({ kind: "broken", why: String(error) }));
};
