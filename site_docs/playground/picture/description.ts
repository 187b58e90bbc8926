// A state as a sentence: under the picture, and for a screen reader.
import type { State, WorkerState } from "./timeline.js";

/** Why a worker is gone, by `sim.analysis.lives.Why`. */
const ENDS: Record<string, string> = {
  killed: "killed",
  crashed: "crashed",
  aborted: "aborted",
  timeout: "killed, for it did not heartbeat",
  max_requests: "retired",
  stopped: "stopped",
  quit: "stopped",
  orphaned: "stopped, for its master is gone",
  "boot failed": "could not boot",
};

export function nameOf(worker: WorkerState): string {
  return `worker ${worker.life.number}`;
}

/** What a worker does, without its name. */
export function doing(worker: WorkerState): string {
  const { life, phase, threads, waiting } = worker;
  const busy = threads.filter((request) => request !== null).length;
  if (phase === "gone") {
    return ENDS[life.why] ?? "gone";
  }
  if (phase === "booting") {
    return "booting";
  }
  const parts = [];
  if (busy > 0) {
    parts.push(`${busy} of ${threads.length} ${threads.length === 1 ? "thread" : "threads"} busy`);
  }
  if (waiting.length > 0) {
    parts.push(`${waiting.length} waiting`);
  }
  if (phase === "stopping") {
    parts.push("accepts no more");
  }
  return parts.length > 0 ? parts.join(", ") : "idle";
}

/** The whole state: `accept queue: empty; worker 1: 2 of 2 threads busy, 5 waiting; worker 2: idle`. */
export function describe(state: State, queue = "accept queue"): string {
  const accept = state.acceptQueue.length;
  const parts = [`${queue}: ${accept === 0 ? "empty" : accept}`];
  for (const worker of state.lanes) {
    if (worker !== null) {
      parts.push(`${nameOf(worker)}: ${doing(worker)}`);
    }
  }
  if (!state.reachable) {
    parts.push("LaunchDarkly is unreachable");
  }
  return parts.join("; ");
}

/** A moment of the run: `3.214 s`. */
export function moment(time: number): string {
  return `${time.toFixed(3)} s`;
}
