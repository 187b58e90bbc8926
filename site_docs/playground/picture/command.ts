// The states of a picture on standard output, for the tests: `node command.mjs < JSON`, where the
// JSON is an object with a `run` and a list of `times`.
import { readFileSync } from "node:fs";
import type { PictureRun } from "./run.js";
import { Timeline } from "./timeline.js";
import { describe } from "./description.js";

const { run, times } = JSON.parse(readFileSync(0, "utf-8")) as {
  run: PictureRun;
  times: number[];
};
const timeline = new Timeline(run);
const states = times.map((time) => {
  const state = timeline.stateAt(time);
  return {
    ...state,
    lanes: state.lanes.map(
      (lane) => lane && { ...lane, life: undefined, worker: lane.life.number },
    ),
    text: describe(state),
    after: timeline.after(time),
    before: timeline.before(time),
    logged: timeline.logged(time),
  };
});
process.stdout.write(JSON.stringify({ lanes: timeline.lanes, states }));
