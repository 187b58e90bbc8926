// The controls: each shows a value of the experiment and sets a flag.
import { format, parse, reshaped, SHAPES, short } from "./distribution.js";
import { h } from "./dom.js";
import { count } from "./format.js";
import type { About, Experiment } from "./messages.js";
import { all, get, set, without, type Words } from "./words.js";

/** Changes the words of the side that is edited, or of both. */
export type Change = (both: boolean, change: (words: Words) => Words) => void;

interface Control {
  element: HTMLElement;
  /** Shows what the model has understood. */
  show(experiment: Experiment, words: Words): void;
  /** Shows what only the words have, whether the model understands them or not. */
  told?(words: Words): void;
}

/** Flags that a trace of an access log leaves nothing to say. */
const NOT_OF_A_TRACE = [
  ...["--arrivals", "--rate", "--duration", "--requests", "--users", "--think", "--io", "--cpu"],
];

/** What can go wrong, to begin with: `--disturb` as the command takes it. */
const DISTURBANCES: [label: string, line: string][] = [
  ["a worker is killed", "10 signal KILL worker 1"],
  ["a request crashes its worker", "10 crash"],
  ["a thread hangs", "10 hang worker 1 threads 1 seconds 10"],
  ["a reload", "10 signal HUP master"],
  ["a stop", "10 signal TERM master"],
  ["more requests", "10 traffic rate 100"],
  ["LaunchDarkly goes away", "10 launchdarkly unreachable"],
];

export class Controls {
  readonly element: HTMLElement;
  private readonly controls: Control[];

  constructor(about: About, change: Change) {
    const server = [
      release(about, change),
      choice(
        "Worker class",
        "server",
        "worker_class",
        "--worker-class",
        ["sync", "gthread"],
        change,
      ),
      whole("Workers", "server", "workers", "--workers", 1, 1024, change, 12),
      whole("Threads of each", "server", "threads", "--threads", 1, 4096, change, 16),
      whole(
        "worker_connections",
        "server",
        "worker_connections",
        "--worker-connections",
        1,
        100000,
        change,
      ),
      toggle("preload_app", "server", "preload_app", "--preload", change),
      toggle("reuse_port", "server", "reuse_port", "--reuse-port", change),
      whole("Cores of the host", "host", "cores", "--cores", 1, 1024, change, 8),
      ...limits(about, change),
    ];
    const flags = [launchDarkly(change), latency(change)];
    const traffic = [
      number("Requests per second", "traffic", "rate", "--rate", 0.1, 100000, change, 200),
      number("Seconds of traffic", "traffic", "duration", "--duration", 1, 86400, change),
      distribution("A request waits (I/O)", "io", "--io", change),
      distribution("It computes (holds the GIL)", "cpu", "--cpu", change),
      connection(change),
      proxy(change),
      proxyKeepalive(change),
      log(change),
    ];
    const trouble = [disturbances(change)];
    this.controls = [...server, ...flags, ...traffic, ...trouble];
    this.element = h(
      "form",
      {
        className: "pg-controls",
        onsubmit: (event: Event) => event.preventDefault(),
        attributes: { "aria-label": "The experiment" },
      },
      group("Server", server),
      group("LaunchDarkly", flags),
      group("Requests", traffic),
      group("What goes wrong", trouble),
    );
  }

  /** Shows the values of an experiment, but where the reader is typing. */
  show(experiment: Experiment, words: Words): void {
    this.controls.forEach((control) => control.show(experiment, words));
    this.told(words);
  }

  /** Shows words that the model has not understood yet, or refuses. */
  told(words: Words): void {
    this.controls.forEach((control) => control.told?.(words));
  }
}

function group(legend: string, controls: Control[]): HTMLElement {
  return h("fieldset", {}, h("legend", {}, legend), ...controls.map((control) => control.element));
}

let ids = 0;

/** A label above its field. */
function labelled(label: string, field: HTMLElement, ...more: HTMLElement[]): HTMLElement {
  ids += 1;
  field.id = `pg-field-${ids}`;
  return h(
    "div",
    { className: "pg-field" },
    h("label", { htmlFor: field.id }, label),
    field,
    ...more,
  );
}

function value(experiment: Experiment, table: string, field: string): unknown {
  return (experiment[table] as Record<string, unknown>)[field];
}

/** Whether the reader is typing into it: it is left alone. */
function edited(element: HTMLElement): boolean {
  return document.activeElement === element;
}

function number(
  label: string,
  table: string,
  field: string,
  flag: string,
  least: number,
  most: number,
  change: Change,
  slider?: number,
  step: string = "any",
): Control {
  const both = table === "traffic";
  const input = h("input", {
    type: "number",
    min: String(least),
    max: String(most),
    step,
    inputMode: step === "any" ? "decimal" : "numeric",
  });
  const tell = (text: string): void => {
    if (text !== "") {
      change(both, (words) => told(set(words, flag, text), flag));
    }
  };
  input.oninput = () => tell(input.value);
  const range =
    slider === undefined
      ? null
      : h("input", {
          type: "range",
          min: String(step === "any" ? 1 : least),
          max: String(slider),
          step: "1",
          attributes: { "aria-label": `${label}, slider` },
        });
  if (range !== null) {
    range.oninput = () => {
      input.value = range.value;
      tell(range.value);
    };
  }
  return {
    element: labelled(label, input, ...(range === null ? [] : [range])),
    show(experiment, words) {
      const shown = String(value(experiment, table, field) ?? "");
      const trace = both && get(words, "--access-log") !== undefined;
      input.disabled = trace;
      if (!edited(input)) {
        input.value = shown;
      }
      if (range !== null) {
        range.disabled = trace;
        if (!edited(range)) {
          range.value = shown;
        }
      }
    },
  };
}

/** What else a flag leaves nothing to say. */
function told(words: Words, flag: string): Words {
  return flag === "--duration" ? without(words, "--requests") : words;
}

function whole(
  label: string,
  table: string,
  field: string,
  flag: string,
  least: number,
  most: number,
  change: Change,
  slider?: number,
): Control {
  return number(label, table, field, flag, least, most, change, slider, "1");
}

function options(names: [value: string, label: string][]): HTMLOptionElement[] {
  return names.map(([name, label]) => h("option", { value: name }, label));
}

function choice(
  label: string,
  table: string,
  field: string,
  flag: string,
  names: string[],
  change: Change,
): Control {
  const select = h("select", {}, ...options(names.map((name) => [name, name])));
  select.onchange = () =>
    change(false, (words) => {
      const chosen = set(words, flag, select.value);
      // Gunicorn makes gthread of sync with more than one thread.
      return select.value === "sync" ? set(chosen, "--threads", "1") : chosen;
    });
  return {
    element: labelled(label, select),
    show(experiment) {
      select.value = String(value(experiment, table, field));
    },
  };
}

function release(about: About, change: Change): Control {
  const select = h("select", {}, ...options(about.releases.map((name) => [name, name])));
  select.onchange = () => change(false, (words) => set(words, "--gunicorn", select.value));
  return {
    element: labelled("Gunicorn", select),
    show(experiment) {
      select.value = String(experiment.server["gunicorn"]);
    },
  };
}

/** The CPU limit, where the model has one. */
function limits(about: About, change: Change): Control[] {
  const known = about.flags.some(({ names }) => names.includes("--cpu-limit"));
  return known
    ? [number("CPU limit, cores", "host", "cpu_limit", "--cpu-limit", 0.01, 1024, change)]
    : [];
}

function toggle(
  label: string,
  table: string,
  field: string,
  flag: string,
  change: Change,
  forgotten: string[] = [],
): Control {
  const input = h("input", { type: "checkbox" });
  input.onchange = () =>
    change(false, (words) =>
      input.checked ? set(words, flag, null) : without(words, flag, ...forgotten),
    );
  const element = h("div", { className: "pg-check" }, h("label", {}, input, ` ${label}`));
  return {
    element,
    show(experiment, words) {
      input.checked = value(experiment, table, field) === true;
      // A file that says so: no flag of Gunicorn takes it back.
      input.disabled = input.checked && get(words, flag) === undefined;
    },
  };
}

function launchDarkly(change: Change): Control {
  const input = h("input", { type: "checkbox" });
  const about = [
    ...["--launchdarkly", "--no-launchdarkly", "--launchdarkly-latency"],
    ...["--launchdarkly-start-wait", "--launchdarkly-reachable", "--launchdarkly-unreachable"],
    ...["--launchdarkly-postfork", "--no-launchdarkly-postfork"],
  ];
  input.onchange = () =>
    change(false, (words) => {
      const rest = without(words, ...about);
      const outages = all(rest, "--disturb").filter((line) => / launchdarkly /.test(line));
      return input.checked
        ? set(rest, "--launchdarkly", null)
        : rest
            .filter(([, line]) => !outages.includes(line ?? ""))
            .concat(
              rest.some(([flag]) => flag === "--experiment") ? [["--no-launchdarkly", null]] : [],
            );
    });
  return {
    element: h(
      "div",
      { className: "pg-check" },
      h("label", {}, input, " The service has a LaunchDarkly client"),
    ),
    show(experiment) {
      input.checked = experiment.launchdarkly["enabled"] === true;
    },
  };
}

function latency(change: Change): Control {
  const input = h("input", { type: "number", min: "0", step: "any", inputMode: "decimal" });
  input.oninput = () => {
    if (input.value !== "") {
      const seconds = short(Number(input.value) / 1000);
      change(false, (words) => set(words, "--launchdarkly-latency", seconds));
    }
  };
  return {
    element: labelled("Its latency, ms", input),
    show(experiment) {
      input.disabled = experiment.launchdarkly["enabled"] !== true;
      if (!edited(input)) {
        input.value = short(1000 * Number(experiment.launchdarkly["latency"]));
      }
    },
  };
}

function connection(change: Change): Control {
  const select = h(
    "select",
    {},
    ...options([
      ["new", "a new one for each request"],
      ["keepalive", "kept and used again"],
    ]),
  );
  select.onchange = () => change(true, (words) => set(words, "--connection", select.value));
  return {
    element: labelled("Connections", select),
    show(experiment) {
      select.value = String(experiment.traffic["connection"]);
    },
  };
}

/** Flags about what stands in front of Gunicorn; without `--proxy`, none of them means anything. */
const PROXY_FLAGS = [
  ...["--proxy", "--proxy-keepalive", "--proxy-idle-timeout", "--proxy-connect-timeout"],
  "--proxy-read-timeout",
];

function proxyOf(experiment: Experiment): Record<string, unknown> {
  return (experiment["proxy"] ?? { kind: "none" }) as Record<string, unknown>;
}

function proxy(change: Change): Control {
  const select = h(
    "select",
    {},
    ...options([
      ["none", "nothing: clients connect to it"],
      ["nginx", "nginx, on the same host"],
      ["alb", "a load balancer (ALB)"],
    ]),
  );
  select.onchange = () =>
    change(true, (words) =>
      select.value === "none"
        ? without(words, ...PROXY_FLAGS)
        : set(words, "--proxy", select.value),
    );
  return {
    element: labelled("In front of Gunicorn", select),
    show(experiment) {
      select.value = String(proxyOf(experiment)["kind"]);
    },
  };
}

function proxyKeepalive(change: Change): Control {
  const input = h("input", {
    type: "number",
    min: "0",
    step: "1",
    inputMode: "numeric",
    placeholder: "its default",
  });
  input.oninput = () =>
    change(true, (words) =>
      input.value === ""
        ? without(words, "--proxy-keepalive")
        : set(words, "--proxy-keepalive", input.value),
    );
  return {
    element: labelled("Idle connections that it keeps to Gunicorn", input),
    show(experiment) {
      const { kind, keepalive } = proxyOf(experiment);
      input.closest("div")?.toggleAttribute("hidden", kind === "none");
      if (!edited(input)) {
        input.value = keepalive === undefined ? "" : String(keepalive);
      }
    },
  };
}

function distribution(label: string, field: string, flag: string, change: Change): Control {
  const select = h(
    "select",
    { attributes: { "aria-label": `${label}: shape` } },
    ...options(Object.entries(SHAPES).map(([name, shape]) => [name, shape.label])),
  );
  const numbers = h("div", { className: "pg-numbers" });
  let now = { shape: "", numbers: [] as number[] };
  const tell = (): void => change(true, (words) => set(words, flag, format(now)));

  const draw = (): void => {
    const parameters = SHAPES[now.shape]?.parameters ?? [];
    numbers.replaceChildren(
      ...parameters.map((parameter, place) => {
        const scale = parameter.time ? 1000 : 1;
        const input = h("input", {
          type: "number",
          min: "0",
          step: "any",
          inputMode: "decimal",
          value: short(scale * (now.numbers[place] ?? 0)),
          attributes: { "aria-label": `${label}: ${parameter.label}` },
        });
        input.oninput = () => {
          if (input.value !== "") {
            now.numbers[place] = Number(input.value) / scale;
            tell();
          }
        };
        return h("span", {}, input, h("small", {}, parameter.label));
      }),
    );
  };
  select.onchange = () => {
    now = reshaped(now, select.value);
    draw();
    tell();
  };
  return {
    element: h(
      "div",
      { className: "pg-field", attributes: { role: "group", "aria-label": label } },
      h("span", { className: "pg-label" }, label),
      select,
      numbers,
    ),
    show(experiment, words) {
      const trace = get(words, "--access-log") !== undefined;
      const shown = parse(String(experiment.traffic[field]));
      if (!numbers.contains(document.activeElement)) {
        now = shown;
        select.value = shown.shape;
        draw();
      }
      for (const input of [select, ...numbers.querySelectorAll("input")]) {
        input.disabled = trace;
      }
    },
  };
}

/** Says that the requests are those of an access log, and takes that back. */
function log(change: Change): Control {
  const button = h("button", { type: "button" }, "Use made-up requests again");
  button.onclick = () => change(true, (words) => without(words, ...LOG_FLAGS));
  const element = h(
    "div",
    { className: "pg-field", hidden: true },
    h("p", {}, "The requests are those of the access log."),
    button,
  );
  return {
    element,
    show() {},
    told(words) {
      element.hidden = get(words, "--access-log") === undefined;
    },
  };
}

const LOG_FLAGS = [...["--access-log", "--log-format", "--skip-agent", "--skip-path", "--log-cpu"]];

/** The words, with the requests of an access log. */
export function withLog(words: Words, name: string): Words {
  return set(without(words, ...NOT_OF_A_TRACE), "--access-log", name);
}

function disturbances(change: Change): Control {
  const list = h("ul", { className: "pg-lines" });
  const given = h("small");
  const line = h("input", {
    type: "text",
    placeholder: "10 signal KILL worker 1",
    attributes: { "aria-label": "What goes wrong, such as: 10 signal KILL worker 1" },
  });
  const add = (text: string): void => {
    if (text.trim() !== "") {
      change(true, (words) => withDisturbance(words, text.trim()));
      line.value = "";
    }
  };
  const select = h(
    "select",
    { attributes: { "aria-label": "Add something that goes wrong" } },
    h("option", { value: "" }, "Add…"),
    ...options(DISTURBANCES.map(([label, text]) => [text, label])),
  );
  select.onchange = () => {
    add(select.value);
    select.value = "";
  };
  const button = h("button", { type: "button" }, "Add");
  button.onclick = () => add(line.value);
  line.onkeydown = (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      add(line.value);
    }
  };
  return {
    element: h(
      "div",
      { className: "pg-field" },
      list,
      given,
      select,
      h("div", { className: "pg-row" }, line, button),
    ),
    show(experiment, words) {
      // The first are the file's; the flags' are listed as they were written, to be removed.
      const listed = experiment["disturbance"] as Record<string, unknown>[];
      const own = all(words, "--disturb").length;
      const files = get(words, "--experiment") === undefined ? 0 : listed.length - own;
      given.textContent =
        files > 0 ? `The file of the experiment has ${count(files, "disturbance")} besides.` : "";
    },
    told(words) {
      list.replaceChildren(
        ...all(words, "--disturb").map((text) => {
          const remove = h(
            "button",
            { type: "button", attributes: { "aria-label": `Remove: ${text}` } },
            "×",
          );
          remove.onclick = () =>
            change(true, (before) =>
              before.filter(([flag, value_]) => flag !== "--disturb" || value_ !== text),
            );
          return h("li", {}, h("code", {}, text), " ", remove);
        }),
      );
    },
  };
}

/** The words with one more thing that goes wrong, and what it needs. */
export function withDisturbance(words: Words, line: string): Words {
  const needed =
    / launchdarkly /.test(line) && get(words, "--launchdarkly") === undefined
      ? set(words, "--launchdarkly", null)
      : words;
  return set(needed, "--disturb", line);
}
