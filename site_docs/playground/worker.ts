// The Web Worker in which the model runs, so that the page never waits for it.
import type { loadPyodide as LoadPyodide } from "pyodide";
import { Engine, Refused, type Prediction } from "./engine.js";
import type { Answer, FromWorker, Run, ToWorker } from "./messages.js";

/** ms after which what is known so far is worth showing. */
const PATIENCE = 300;

const scope = self as unknown as DedicatedWorkerGlobalScope;
const here = new URL(".", scope.location.href);

/** Counts what the page has asked: an older question is given up. */
let newest = 0;

function say(message: FromWorker): void {
  scope.postMessage(message);
}

async function load(): Promise<Engine> {
  say({ kind: "loading", what: "Python" });
  const home = new URL("pyodide/", here);
  const sources = fetch(new URL("sources.zip", here)).then((response) => response.arrayBuffer());
  const { loadPyodide } = (await import(new URL("pyodide.mjs", home).href)) as {
    loadPyodide: typeof LoadPyodide;
  };
  const pyodide = await loadPyodide({ indexURL: home.href });
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
    await run(id, predictions);
  } catch (error) {
    if (!(error instanceof Refused)) {
      throw error;
    }
    say({ kind: "refused", id, side: 0, why: error.message });
  } finally {
    predictions.forEach((prediction) => prediction.end());
  }
}

async function run(id: number, predictions: Prediction[]): Promise<void> {
  const total = Math.max(...predictions.map((prediction) => prediction.replications));
  let shown = performance.now();
  // Doubled each time: all that is shown between takes as long as the last together.
  let next = 2;
  for (let done = 1; done <= total; done += 1) {
    for (const prediction of predictions) {
      if (done <= prediction.replications) {
        prediction.step();
      }
      await breathe();
      if (newest !== id) {
        return;
      }
    }
    say({ kind: "progress", id, done, total });
    if (done < total && done >= next && performance.now() - shown > PATIENCE) {
      say({ kind: "answer", id, last: false, answers: predictions.map(answer), runs: null });
      shown = performance.now();
      next = 2 * done;
    }
  }
  const runs = predictions.map((prediction) => JSON.parse(prediction.run()) as Run | null);
  say({ kind: "answer", id, last: true, answers: predictions.map(answer), runs });
}

function answer(prediction: Prediction): Answer {
  return JSON.parse(prediction.answer()) as Answer;
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
      } else if (message.id === newest) {
        await predict(engine, message.id, message.sides);
      }
    })
    .catch((error: unknown) => say({ kind: "broken", why: String(error) }));
};
