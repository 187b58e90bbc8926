// The page's side of the worker: one prediction at a time, the newest. A worker that hangs is replaced.
import type { GivenFile } from "./engine.js";
import type { Configuration, FromWorker, ToWorker } from "./messages.js";

/** ms that a loaded worker may take to react; it predicts in slices that are much shorter. */
const UNRESPONSIVE = 1000;

export type Listener = (message: FromWorker) => void;

export class Client {
  private worker: Worker;
  private readonly files = new Map<string, GivenFile>();
  private readonly readings = new Map<
    number,
    { resolve: (read: Configuration) => void; reject: (why: Error) => void }
  >();
  private newest = 0;
  /** Below zero: for what is done while a prediction goes on, and does not end it. */
  private aside = 0;
  private ready = false;
  /** Runs out when the worker does not react. */
  private watch: number | undefined;

  constructor(
    private readonly script: URL,
    private readonly listener: Listener,
  ) {
    this.worker = this.begin();
  }

  /** Predicts command lines; a prediction before is given up. */
  predict(sides: string[][], sent: readonly number[]): void {
    this.newest += 1;
    this.expect({ kind: "predict", id: this.newest, sides, sent });
  }

  /** Predicts the first replication with requests that the reader sends. */
  send(side: string[], sent: readonly number[]): void {
    this.aside -= 1;
    this.post({ kind: "send", id: this.aside, side, sent });
  }

  /** Stops predicting: at once, also in the middle of a replication. */
  stop(): void {
    this.newest += 1;
    this.expect({ kind: "stop" });
  }

  /** Gives the model a file; it stays in this page. */
  put(file: GivenFile): void {
    this.files.set(file.name, file);
    this.post({ kind: "put", file });
  }

  /** Reads a gunicorn.conf.py, without running it. */
  configuration(text: string, cores: number): Promise<Configuration> {
    this.aside -= 1;
    const id = this.aside;
    return new Promise((resolve, reject) => {
      this.readings.set(id, { resolve, reject });
      this.post({ kind: "configuration", id, text, cores });
    });
  }

  private begin(): Worker {
    const worker = boundWorker(this.script);
    worker.onmessage = (event: MessageEvent<FromWorker>) => this.receive(event.data);
    worker.onerror = (event) => this.listener({ kind: "broken", why: event.message });
    return worker;
  }

  /** Posts a message that the worker reacts to soon; else another worker gets it. */
  private expect(message: ToWorker): void {
    this.post(message);
    clearTimeout(this.watch);
    if (this.ready) {
      this.watch = window.setTimeout(() => {
        this.restart();
        this.post(message);
      }, UNRESPONSIVE);
    }
  }

  private restart(): void {
    this.worker.terminate();
    this.ready = false;
    this.worker = this.begin();
    for (const file of this.files.values()) {
      this.post({ kind: "put", file });
    }
  }

  private post(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private receive(message: FromWorker): void {
    this.ready ||= message.kind === "ready";
    if ("id" in message) {
      const reading = this.readings.get(message.id);
      if (reading !== undefined && message.kind === "configuration") {
        reading.resolve(message.read);
      } else if (reading !== undefined && message.kind === "refused") {
        reading.reject(new Error(message.why));
      }
      if (reading !== undefined) {
        this.readings.delete(message.id);
        return;
      }
      if (message.id !== (message.id < 0 ? this.aside : this.newest)) {
        return;
      }
    }
    clearTimeout(this.watch);
    this.listener(message);
  }
}

/**
 * Starts a script in a worker that has the policy of this page: one with an address of its own would
 * have none, and could ask any host.
 */
function boundWorker(script: URL): Worker {
  const text = `import ${JSON.stringify(script.href)};`;
  const start = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const worker = new Worker(start, { type: "module" });
  // The worker has fetched it once it says something.
  worker.addEventListener("message", () => URL.revokeObjectURL(start), { once: true });
  return worker;
}
