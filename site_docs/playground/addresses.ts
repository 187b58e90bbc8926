// Reads addresses in Node as the page does: `node addresses.mjs`.
//
// Takes `about` and the parts of addresses after `#` as JSON from stdin, and prints the command
// lines of each.
import { readFileSync } from "node:fs";
import type { About } from "./messages.js";
import { flat, fromAddress, sides } from "./flags.js";

const { about, states } = JSON.parse(readFileSync(0, "utf8")) as {
  about: About;
  states: string[];
};
console.log(
  JSON.stringify(states.map((state) => sides(fromAddress(`#${state}`, about)).map(flat))),
);
