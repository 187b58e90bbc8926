// The playground's page.
import type { FromWorker, ToWorker } from "./messages.js";

const root = document.getElementById("playground");
if (root !== null) {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const ask = (message: ToWorker): void => worker.postMessage(message);
  worker.onmessage = (event: MessageEvent<FromWorker>) => {
    const message = event.data;
    if (message.kind === "loading") {
      root.textContent = `Loading ${message.what}…`;
    } else if (message.kind === "ready") {
      root.textContent = "Predicting…";
    } else if (message.kind === "answer") {
      root.textContent = message.answers.map((answer) => answer.binds).join(" ");
    } else if (message.kind === "refused" || message.kind === "broken") {
      root.textContent = message.why;
    }
  };
  ask({ kind: "predict", id: 1, sides: [["--workers", "2", "--threads", "2"]] });
}
