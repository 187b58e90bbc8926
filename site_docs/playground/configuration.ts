// The server of an experiment as a gunicorn.conf.py.
import type { Experiment } from "./messages.js";

/** Always written: the settings that the page is about. */
const SHOWN = ["workers", "threads", "worker_class"];

/** The file. A setting that has Gunicorn's default is left out, but for `SHOWN`. */
export function configurationFile(
  experiment: Experiment,
  defaults: Experiment,
  command: string,
): string {
  const { gunicorn, ...server } = experiment.server;
  const settings = Object.entries(server).filter(
    ([name, value]) => SHOWN.includes(name) || value !== defaults.server[name],
  );
  const hook =
    experiment.launchdarkly["enabled"] === true &&
    experiment.launchdarkly["postfork"] === true &&
    server["preload_app"] === true
      ? ["", "# Keep the post_fork hook that calls the LaunchDarkly client's postfork()."]
      : [];
  return [
    `# Predicted for Gunicorn ${String(gunicorn)} by:`,
    `# ${command}`,
    "",
    ...settings.map(([name, value]) => `${name} = ${literal(value)}`),
    ...hook,
    "",
  ].join("\n");
}

function literal(value: number | string | boolean): string {
  return typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value);
}
