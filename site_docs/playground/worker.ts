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

/** s for which the model predicts before messages are read: what a stop waits for, at most. */
const SLICE = 0.05;

const scope = self as unknown as DedicatedWorkerGlobalScope;
const here = new URL(".", import.meta.url);

/** The newest prediction that the page wants: an older one is given up. */
let newest = 0;

function post(message: FromWorker): void {
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
  post({ kind: "loading", what: "Python" });
  const home = new URL("pyodide/", here);
  const sources = fetch(new URL("sources.zip", here)).then((response) => response.arrayBuffer());
  const { loadPyodide } = (await import(new URL("pyodide.mjs", home).href)) as {
    loadPyodide: typeof LoadPyodide;
  };
  const pyodide = await loadPyodide({
    indexURL: home.href,
    stdLibURL: new URL("python_stdlib.zip", here).href,
  });
  post({ kind: "loading", what: "the model" });
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

async function predict(
  engine: Engine,
  { id, sides, sent }: Extract<ToWorker, { kind: "predict" }>,
): Promise<void> {
  const predictions: Prediction[] = [];
  try {
    for (const flags of sides) {
      try {
        predictions.push(engine.predict(flags));
      } catch (error) {
        if (error instanceof Refused) {
          post({ kind: "refused", id, side: predictions.length, why: error.message });
          return;
        }
        throw error;
      }
    }
    post({ kind: "understood", id, sides: predictions.map(understood) });
    await run(engine, id, predictions, sent);
  } catch (error) {
    if (!(error instanceof Refused)) {
      throw error;
    }
    post({ kind: "refused", id, side: 0, why: error.message });
  } finally {
    predictions.forEach((prediction) => prediction.end());
  }
}

async function run(
  engine: Engine,
  id: number,
  predictions: Prediction[],
  sent: readonly number[],
): Promise<void> {
  const total = Math.max(...predictions.map((prediction) => prediction.replications));
  let shown = performance.now();
  // Doubled each time: all that is shown between takes as long as the last together.
  let next = 2;
  for (let done = 1; done <= total; done += 1) {
    for (const [side, prediction] of predictions.entries()) {
      let reached = Math.min(done - 1, prediction.replications);
      while (reached < Math.min(done, prediction.replications)) {
        reached = prediction.advance(SLICE, predictions.length > 1);
        await breathe();
        if (newest !== id) {
          return;
        }
        const part = (side + reached - (done - 1)) / predictions.length;
        post({ kind: "progress", id, done: done - 1 + part, total });
      }
    }
    if (done === 1) {
      post({ kind: "runs", id, runs: predictions.map((prediction) => drawn(prediction, sent)) });
    }
    if (done < total && done >= next && performance.now() - shown > PATIENCE) {
      post({ kind: "answer", id, last: false, ...soFar(engine, predictions) });
      shown = performance.now();
      next = 2 * done;
    }
  }
  post({ kind: "answer", id, last: true, ...soFar(engine, predictions) });
}

/** The first replication, with what the reader sends; null where it is too long for a picture. */
function drawn(prediction: Prediction, sent: readonly number[]): PictureRun | null {
  const run = JSON.parse(prediction.run()) as PictureRun | null;
  return run === null || sent.length === 0
    ? run
    : (JSON.parse(prediction.runWith(sent)) as PictureRun);
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

function send(
  engine: Engine,
  { id, side, sent }: Extract<ToWorker, { kind: "send" }>,
): void {
  const prediction = engine.predict(side);
  try {
    post({ kind: "runs", id, runs: [JSON.parse(prediction.runWith(sent)) as PictureRun] });
  } catch (error) {
    if (!(error instanceof Refused)) {
      throw error;
    }
    post({ kind: "refused", id, side: 0, why: error.message });
  } finally {
    prediction.end();
  }
}

function read(engine: Engine, id: number, text: string, cores: number): void {
  try {
    const found = JSON.parse(engine.configuration(text, cores)) as Configuration;
    post({ kind: "configuration", id, read: found });
  } catch (error) {
    if (!(error instanceof Refused)) {
      throw error;
    }
    post({ kind: "refused", id, side: 0, why: error.message });
  }
}

const loaded = load();
loaded.then(
  () => post({ kind: "ready" }),
  (error: unknown) => post({ kind: "broken", why: String(error) }),
);

scope.onmessage = (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  if (message.kind === "predict" || message.kind === "stop") {
    newest = message.kind === "stop" ? -1 : message.id;
    post({ kind: "received" });
  }
  if (message.kind === "stop") {
    return;
  }
  void loaded
    .then(async (engine) => {
      if (message.kind === "put") {
        engine.put(message.file);
      } else if (message.kind === "configuration") {
        read(engine, message.id, message.text, message.cores);
      } else if (message.kind === "send") {
        send(engine, message);
      } else if (message.id === newest) {
        await predict(engine, message);
      }
    })
    .catch((error: unknown) => post({ kind: "broken", why: String(error) }));
};
