// The page's side of the worker: one question at a time, the newest; a worker that hangs is replaced.
import type { GivenFile } from "./engine.js";
import type { Configuration, FromWorker, ToWorker } from "./messages.js";

/** ms without a word from the worker after which a new question is better asked of a new one. */
const UNRESPONSIVE = 2000;

export type Listener = (message: FromWorker) => void;

export class Client {
  private worker: Worker;
  private readonly files = new Map<string, GivenFile>();
  private readonly waiting = new Map<
    number,
    { resolve: (read: Configuration) => void; reject: (why: Error) => void }
  >();
  private newest = 0;
  /** Below zero: for what is asked while a prediction goes on, and does not end it. */
  private aside = 0;
  private ready = false;
  private busy = false;
  private heard = 0;

  constructor(
    private readonly script: URL,
    private readonly listener: Listener,
  ) {
    this.worker = this.begin();
  }

  /** Predicts command lines; what was asked before is given up. */
  predict(sides: string[][]): void {
    if (this.busy && this.ready && performance.now() - this.heard > UNRESPONSIVE) {
      this.restart();
    }
    this.newest += 1;
    this.busy = true;
    this.heard = performance.now();
    this.say({ kind: "predict", id: this.newest, sides });
  }

  /** Predicts the first replication with requests that the reader sends. */
  send(words: string[], sent: number[]): void {
    this.aside -= 1;
    this.say({ kind: "send", id: this.aside, words, sent });
  }

  /** Stops predicting: at once, also in the middle of a replication. */
  stop(): void {
    this.newest += 1;
    this.busy = false;
    if (performance.now() - this.heard > UNRESPONSIVE) {
      this.restart();
    } else {
      this.say({ kind: "stop" });
    }
  }

  /** Gives the model a file; it stays in this page. */
  put(file: GivenFile): void {
    this.files.set(file.name, file);
    this.say({ kind: "put", file });
  }

  /** Reads a gunicorn.conf.py, without running it. */
  configuration(text: string, cores: number): Promise<Configuration> {
    this.aside -= 1;
    const id = this.aside;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.say({ kind: "configuration", id, text, cores });
    });
  }

  private begin(): Worker {
    const worker = new Worker(this.script, { type: "module" });
    worker.onmessage = (event: MessageEvent<FromWorker>) => this.hear(event.data);
    worker.onerror = (event) => this.listener({ kind: "broken", why: event.message });
    return worker;
  }

  private restart(): void {
    this.worker.terminate();
    this.ready = false;
    this.worker = this.begin();
    for (const file of this.files.values()) {
      this.say({ kind: "put", file });
    }
  }

  private say(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private hear(message: FromWorker): void {
    this.heard = performance.now();
    this.ready ||= message.kind === "ready";
    if ("id" in message) {
      const asked = this.waiting.get(message.id);
      if (asked !== undefined && message.kind === "configuration") {
        asked.resolve(message.read);
      } else if (asked !== undefined && message.kind === "refused") {
        asked.reject(new Error(message.why));
      }
      if (asked !== undefined) {
        this.waiting.delete(message.id);
        return;
      }
      if (message.id !== (message.id < 0 ? this.aside : this.newest)) {
        return;
      }
    }
    if (message.kind === "refused" || (message.kind === "answer" && message.last)) {
      this.busy = false;
    }
    this.listener(message);
  }
}
