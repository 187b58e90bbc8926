// The controls: each shows a value of the experiment and sets a flag.
import { format, parse, reshaped, SHAPES, short } from "./distribution.js";
import { h } from "./dom.js";
import { all, get, set, without, type Flags } from "./flags.js";
import { count } from "./format.js";
import type { About, Experiment } from "./messages.js";

/** Changes the flags of the side that is edited, or of both. */
export type Change = (both: boolean, change: (flags: Flags) => Flags) => void;

type Option = readonly [value: string, label: string];

/** What every row of the tables below has. */
interface Field {
  label: string;
  /** Where the experiment has the value. What is not of the server is the same for A and B. */
  path: string;
  /** The flag that sets it. Without that flag in the command there is no such control. */
  flag: string;
  /** Whether the experiment has a use for it; else it is not shown. */
  shown?: (experiment: Experiment, about: About) => boolean;
}

interface Quantity extends Field {
  kind: "number";
  min: number;
  max: number;
  whole?: boolean;
  /** The largest value of a slider below; without it there is none. */
  slider?: number;
  /** The unit in which it is shown, as a part of that of the flag: 1000 shows s as ms. */
  scale?: number;
  /** Shown where nothing is given: clearing the field takes the flag back. */
  placeholder?: string;
}

interface Choice extends Field {
  kind: "choice";
  options: (about: About) => readonly Option[];
  /** What else a choice changes. */
  also?: (flags: Flags, value: string) => Flags;
}

interface Toggle extends Field {
  kind: "toggle";
}

interface Shape extends Field {
  kind: "distribution";
}

/** Lines of a flag that may be given many times. */
interface Lines extends Field {
  kind: "lines";
  /** What to add by choosing: a line, or several of them. */
  presets: readonly Option[];
  /** What the experiment's file has besides, for one of them: `disturbance`. */
  noun: string;
  /** The flags with one more line, and what it needs. */
  add?: (flags: Flags, line: string) => Flags;
}

type Row = Quantity | Choice | Toggle | Shape | Lines;

const named = (names: readonly string[]): Option[] => names.map((name) => [name, name]);

/** Flags about what stands in front of Gunicorn; without `--proxy`, none of them means anything. */
const PROXY_FLAGS = [
  ...["--proxy", "--proxy-keepalive", "--proxy-idle-timeout", "--proxy-connect-timeout"],
  "--proxy-read-timeout",
];

const SERVER: Row[] = [
  {
    kind: "choice",
    label: "Gunicorn",
    path: "server.gunicorn",
    flag: "--gunicorn",
    options: (about) => named(about.releases),
  },
  {
    kind: "choice",
    label: "Worker class",
    path: "server.worker_class",
    flag: "--worker-class",
    options: (about) => named(Object.keys(about.worker_classes)),
    // Gunicorn makes gthread of sync with more than one thread.
    also: (flags, value) => (value === "sync" ? set(flags, "--threads", "1") : flags),
  },
  {
    kind: "number",
    label: "Workers",
    path: "server.workers",
    flag: "--workers",
    min: 1,
    max: 1024,
    whole: true,
    slider: 12,
  },
  {
    kind: "number",
    label: "Threads of each",
    path: "server.threads",
    flag: "--threads",
    min: 1,
    max: 4096,
    whole: true,
    slider: 16,
    shown: (experiment, about) => !traits(experiment, about)?.event_loop,
  },
  {
    kind: "number",
    label: "worker_connections",
    path: "server.worker_connections",
    flag: "--worker-connections",
    min: 1,
    max: 100000,
    whole: true,
    shown: (experiment, about) => {
      const its = traits(experiment, about);
      return !its?.event_loop || its.limit;
    },
  },
  { kind: "toggle", label: "preload_app", path: "server.preload_app", flag: "--preload" },
  { kind: "toggle", label: "reuse_port", path: "server.reuse_port", flag: "--reuse-port" },
  {
    kind: "number",
    label: "Cores of the host",
    path: "host.cores",
    flag: "--cores",
    min: 1,
    max: 1024,
    whole: true,
    slider: 8,
  },
  {
    kind: "number",
    label: "CPU limit, cores",
    path: "host.cpu_limit",
    flag: "--cpu-limit",
    min: 0.01,
    max: 1024,
    placeholder: "none",
  },
];

const LAUNCHDARKLY: Row[] = [
  {
    kind: "number",
    label: "Its latency, ms",
    path: "launchdarkly.latency",
    flag: "--launchdarkly-latency",
    min: 0,
    max: 60_000,
    scale: 1000,
    shown: (experiment) => valueAt(experiment, "launchdarkly.enabled") === true,
  },
];

const TRAFFIC: Row[] = [
  {
    kind: "number",
    label: "Requests per second",
    path: "traffic.rate",
    flag: "--rate",
    min: 0.1,
    max: 100_000,
    slider: 200,
  },
  {
    kind: "number",
    label: "Seconds of traffic",
    path: "traffic.duration",
    flag: "--duration",
    min: 1,
    max: 86_400,
  },
  {
    kind: "distribution",
    label: "A request waits (I/O)",
    path: "traffic.io",
    flag: "--io",
    shown: withoutRoutes,
  },
  {
    kind: "distribution",
    label: "It computes (holds the GIL)",
    path: "traffic.cpu",
    flag: "--cpu",
    shown: withoutRoutes,
  },
  {
    kind: "lines",
    label: "Kinds of requests (routes)",
    path: "traffic.route",
    flag: "--route",
    noun: "route",
    presets: [
      [
        "/report share=.05 io=exp:1.2 cpu=const:.08\n/ share=.95 io=exp:.03 cpu=exp:.004",
        "one in twenty is a slow report",
      ],
      [
        "/health share=.1 io=const:0 cpu=const:.001\n/ share=.9 io=exp:.05 cpu=exp:.004",
        "one in ten is a health check",
      ],
    ],
    add: (flags, line) => set(without(flags, "--io", "--cpu"), "--route", line),
  },
  {
    kind: "choice",
    label: "Endpoints",
    path: "traffic.endpoint",
    flag: "--endpoint",
    options: () => [
      ["async", "async def: in the event loop"],
      ["def", "def: in a thread"],
    ],
    shown: (experiment, about) => traits(experiment, about)?.asgi === true,
  },
  {
    kind: "number",
    label: "Part of the I/O that blocks the event loop",
    path: "traffic.blocking_io",
    flag: "--blocking-io",
    min: 0,
    max: 1,
    shown: (experiment, about) => traits(experiment, about)?.event_loop === true,
  },
  {
    kind: "choice",
    label: "Connections",
    path: "traffic.connection",
    flag: "--connection",
    options: () => [
      ["new", "a new one for each request"],
      ["keepalive", "kept and used again"],
    ],
  },
  {
    kind: "choice",
    label: "In front of Gunicorn",
    path: "proxy.kind",
    flag: "--proxy",
    options: () => [
      ["none", "nothing: clients connect to it"],
      ["nginx", "nginx, on the same host"],
      ["alb", "a load balancer (ALB)"],
    ],
    also: (flags, value) => (value === "none" ? without(flags, ...PROXY_FLAGS) : flags),
  },
  {
    kind: "number",
    label: "Idle connections that it keeps to Gunicorn",
    path: "proxy.keepalive",
    flag: "--proxy-keepalive",
    min: 0,
    max: 100_000,
    whole: true,
    placeholder: "its default",
    shown: (experiment) => (valueAt(experiment, "proxy.kind") ?? "none") !== "none",
  },
];

/** Flags that the requests of an access log leave nothing to say. */
const MADE_UP = [
  ...["--arrivals", "--rate", "--duration", "--requests", "--users", "--think", "--io", "--cpu"],
];

const LOG_FLAGS = [...["--access-log", "--log-format", "--skip-agent", "--skip-path", "--log-cpu"]];

const TROUBLE: Row[] = [
  {
    kind: "lines",
    label: "Disturbances",
    path: "disturbance",
    flag: "--disturb",
    noun: "disturbance",
    presets: [
      ["10 signal KILL worker 1", "a worker is killed"],
      ["10 crash", "a request crashes its worker"],
      ["10 hang worker 1 threads 1 seconds 10", "a thread hangs"],
      ["10 signal HUP master", "a reload"],
      ["10 signal TERM master", "a stop"],
      ["10 traffic rate 100", "more requests"],
      ["10 launchdarkly unreachable", "LaunchDarkly goes away"],
    ],
    add: withDisturbance,
  },
];

const KUBERNETES: Row[] = [
  {
    kind: "lines",
    label: "Probes",
    path: "probe",
    flag: "--probe",
    noun: "probe",
    presets: [
      ["liveness period=10 timeout=1 failure_threshold=3", "liveness: the container restarts"],
      ["readiness period=5 timeout=1 failure_threshold=2", "readiness: the pod gets no requests"],
    ],
  },
];

interface Control {
  element: HTMLElement;
  /** Shows what the model has understood. */
  show(experiment: Experiment, flags: Flags): void;
  /** Shows what only the flags say, whether the model understands them or not. */
  showFlags?(flags: Flags): void;
}

export class Controls {
  readonly element: HTMLElement;
  private readonly controls: Control[];
  private readonly sent: SentRequests;

  /** `withdraw` takes a request back that was sent by hand at that moment, s. */
  constructor(about: About, change: Change, withdraw: (at: number) => void) {
    const rows = (table: Row[]): Control[] =>
      table
        .filter(({ flag }) => about.flags.some(({ names }) => names.includes(flag)))
        .map((row) => control(row, about, change));
    this.sent = new SentRequests(withdraw);
    const server = rows(SERVER);
    const flags = [launchDarkly(change), ...rows(LAUNCHDARKLY)];
    const traffic = [...rows(TRAFFIC), log(change)];
    const trouble = rows(TROUBLE);
    const kubernetes = rows(KUBERNETES);
    this.controls = [...server, ...flags, ...traffic, ...trouble, ...kubernetes];
    this.element = h(
      "form",
      {
        className: "pg-controls",
        onsubmit: (event: Event) => event.preventDefault(),
        attributes: { "aria-label": "The experiment" },
      },
      group("Server", elements(server)),
      group("LaunchDarkly", elements(flags)),
      group("Requests", [...elements(traffic), this.sent.element]),
      group("What goes wrong", elements(trouble)),
      ...(kubernetes.length > 0 ? [group("Kubernetes", elements(kubernetes))] : []),
    );
  }

  /** Shows the values of an experiment, but where the reader is typing. */
  show(experiment: Experiment, flags: Flags): void {
    this.controls.forEach((each) => each.show(experiment, flags));
    this.showFlags(flags);
  }

  /** Shows flags that the model has not understood yet, or refuses. */
  showFlags(flags: Flags): void {
    this.controls.forEach((each) => each.showFlags?.(flags));
  }

  /** Shows the moments at which the reader sends requests. */
  showSent(sent: readonly number[]): void {
    this.sent.show(sent);
  }
}

function elements(controls: Control[]): HTMLElement[] {
  return controls.map(({ element }) => element);
}

/** Controls under a heading that opens and closes them. Where they are above the results, they
 * would push those out of sight: only the first group is open there. */
function group(name: string, contents: HTMLElement[]): HTMLElement {
  const open = name === "Server" || matchMedia("(min-width: 60rem)").matches;
  return h(
    "details",
    { className: "pg-group", open },
    h("summary", {}, name),
    h("div", { attributes: { role: "group", "aria-label": name } }, ...contents),
  );
}

function control(row: Row, about: About, change: Change): Control {
  switch (row.kind) {
    case "number":
      return number(row, about, change);
    case "choice":
      return choice(row, about, change);
    case "toggle":
      return toggle(row, change);
    case "distribution":
      return distribution(row, about, change);
    case "lines":
      return lines(row, change);
  }
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

/** The value at `server.workers` or `probe`, for example; undefined where the experiment has none. */
function valueAt(experiment: Experiment, path: string): unknown {
  const [table = "", field] = path.split(".");
  const value = experiment[table] as Record<string, unknown> | undefined;
  return field === undefined ? value : value?.[field];
}

/** What the experiment's worker class is. */
function traits(experiment: Experiment, about: About): About["worker_classes"][string] | undefined {
  return about.worker_classes[String(valueAt(experiment, "server.worker_class"))];
}

/** Routes have demands of their own; there is none for all requests then. */
function withoutRoutes(experiment: Experiment): boolean {
  return ((valueAt(experiment, "traffic.route") ?? []) as unknown[]).length === 0;
}

/** Whether a control is about the requests, which A and B share. */
function shared({ path }: Field): boolean {
  return /^(traffic|proxy)\./.test(path);
}

/** Whether the reader is typing into it: it is left alone. */
function edited(element: HTMLElement): boolean {
  return document.activeElement === element;
}

function number(row: Quantity, about: About, change: Change): Control {
  const { label, flag, min, max, whole = false, slider, scale = 1, placeholder = "" } = row;
  const input = h("input", {
    type: "number",
    min: String(min),
    max: String(max),
    step: whole ? "1" : "any",
    inputMode: whole ? "numeric" : "decimal",
    placeholder,
  });
  const write = (text: string): void => {
    if (text === "" && placeholder !== "") {
      change(shared(row), (flags) => without(flags, flag));
    } else if (text !== "") {
      const given = scale === 1 ? text : short(Number(text) / scale);
      change(shared(row), (flags) =>
        // A number of requests would leave a duration nothing to say.
        set(flag === "--duration" ? without(flags, "--requests") : flags, flag, given),
      );
    }
  };
  input.oninput = () => write(input.value);
  const range =
    slider === undefined
      ? null
      : h("input", {
          type: "range",
          min: String(whole ? min : 1),
          max: String(slider),
          step: "1",
          attributes: { "aria-label": `${label}, slider` },
        });
  if (range !== null) {
    range.oninput = () => {
      input.value = range.value;
      write(range.value);
    };
  }
  const element = labelled(label, input, ...(range === null ? [] : [range]));
  return {
    element,
    show(experiment, flags) {
      const value = valueAt(experiment, row.path);
      const text =
        value === undefined || value === null ? "" : scale === 1 ? String(value) : short(scale * Number(value));
      element.hidden = !(row.shown?.(experiment, about) ?? true);
      for (const each of range === null ? [input] : [input, range]) {
        each.disabled = fromLog(flag, flags);
        if (!edited(each)) {
          each.value = text;
        }
      }
    },
  };
}

/** Whether an access log says instead what the flag would. */
function fromLog(flag: string, flags: Flags): boolean {
  return MADE_UP.includes(flag) && get(flags, "--access-log") !== undefined;
}

function choice(row: Choice, about: About, change: Change): Control {
  const select = h("select", {}, ...options(row.options(about)));
  select.onchange = () =>
    change(shared(row), (flags) => {
      const chosen = set(flags, row.flag, select.value);
      return row.also?.(chosen, select.value) ?? chosen;
    });
  const element = labelled(row.label, select);
  return {
    element,
    show(experiment) {
      element.hidden = !(row.shown?.(experiment, about) ?? true);
      select.value = String(valueAt(experiment, row.path) ?? row.options(about)[0]?.[0]);
    },
  };
}

function options(of: readonly Option[]): HTMLOptionElement[] {
  return of.map(([value, label]) => h("option", { value }, label));
}

function toggle(row: Toggle, change: Change): Control {
  const input = h("input", { type: "checkbox" });
  input.onchange = () =>
    change(shared(row), (flags) =>
      input.checked ? set(flags, row.flag, null) : without(flags, row.flag),
    );
  return {
    element: h("div", { className: "pg-check" }, h("label", {}, input, ` ${row.label}`)),
    show(experiment, flags) {
      input.checked = valueAt(experiment, row.path) === true;
      // A file that says so: no flag of Gunicorn takes it back.
      input.disabled = input.checked && get(flags, row.flag) === undefined;
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
    change(false, (flags) => {
      const rest = without(flags, ...about);
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

function distribution(row: Shape, about: About, change: Change): Control {
  const { label, flag } = row;
  const select = h(
    "select",
    { attributes: { "aria-label": `${label}: shape` } },
    ...options(Object.entries(SHAPES).map(([name, shape]) => [name, shape.label])),
  );
  const numbers = h("div", { className: "pg-numbers" });
  let now = { shape: "", numbers: [] as number[] };
  const write = (): void => change(true, (flags) => set(flags, flag, format(now)));

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
            write();
          }
        };
        return h("span", {}, input, h("small", {}, parameter.label));
      }),
    );
  };
  select.onchange = () => {
    now = reshaped(now, select.value);
    draw();
    write();
  };
  const element = h(
    "div",
    { className: "pg-field", attributes: { role: "group", "aria-label": label } },
    h("span", { className: "pg-label" }, label),
    select,
    numbers,
  );
  return {
    element,
    show(experiment, flags) {
      element.hidden = !(row.shown?.(experiment, about) ?? true);
      if (element.hidden) {
        return;
      }
      const shown = parse(String(valueAt(experiment, row.path)));
      if (!numbers.contains(document.activeElement)) {
        now = shown;
        select.value = shown.shape;
        draw();
      }
      for (const input of [select, ...numbers.querySelectorAll("input")]) {
        input.disabled = fromLog(flag, flags);
      }
    },
  };
}

/** Says that the requests are those of an access log, and takes that back. */
function log(change: Change): Control {
  const button = h("button", { type: "button" }, "Use made-up requests again");
  button.onclick = () => change(true, (flags) => without(flags, ...LOG_FLAGS));
  const element = h(
    "div",
    { className: "pg-field", hidden: true },
    h("p", {}, "The requests are those of the access log."),
    button,
  );
  return {
    element,
    show() {},
    showFlags(flags) {
      element.hidden = get(flags, "--access-log") === undefined;
    },
  };
}

/** The flags, with the requests of an access log. */
export function withLog(flags: Flags, name: string): Flags {
  return set(without(flags, ...MADE_UP), "--access-log", name);
}

/** Requests that the reader has sent in the picture, to be taken back. */
class SentRequests {
  private readonly list = h("ul", { className: "pg-lines" });
  readonly element = h(
    "div",
    { className: "pg-field", hidden: true },
    h("span", { className: "pg-label" }, "Sent by hand, in the picture only"),
    this.list,
  );

  constructor(private readonly withdraw: (at: number) => void) {}

  show(sent: readonly number[]): void {
    this.element.hidden = sent.length === 0;
    this.list.replaceChildren(
      ...sent.map((at) => item(`${short(at)} s`, () => this.withdraw(at))),
    );
  }
}

/** A line of a list, with a button that removes it. */
function item(text: string, remove: () => void): HTMLElement {
  return h(
    "li",
    {},
    h("code", {}, text),
    " ",
    h(
      "button",
      { type: "button", onclick: remove, attributes: { "aria-label": `Remove: ${text}` } },
      "×",
    ),
  );
}

function lines(row: Lines, change: Change): Control {
  const { label, flag, noun, presets, add = (flags, line) => set(flags, flag, line) } = row;
  const [example = ""] = presets[0]?.[0].split("\n") ?? [];
  const list = h("ul", { className: "pg-lines" });
  const besides = h("small");
  const line = h("input", {
    type: "text",
    placeholder: example,
    attributes: { "aria-label": `${label}: a line such as ${example}` },
  });
  const write = (text: string): void => {
    if (text.trim() !== "") {
      change(true, (flags) => text.trim().split("\n").reduce(add, flags));
      line.value = "";
    }
  };
  const select = h(
    "select",
    { attributes: { "aria-label": `${label}: add one` } },
    h("option", { value: "" }, "Add…"),
    ...options(presets),
  );
  select.onchange = () => {
    write(select.value);
    select.value = "";
  };
  const button = h(
    "button",
    { type: "button", attributes: { "aria-label": `${label}: add the line` } },
    "Add",
  );
  button.onclick = () => write(line.value);
  line.onkeydown = (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      write(line.value);
    }
  };
  return {
    element: h(
      "div",
      { className: "pg-field", attributes: { role: "group", "aria-label": label } },
      h("span", { className: "pg-label" }, label),
      list,
      besides,
      select,
      h("div", { className: "pg-row" }, line, button),
    ),
    show(experiment, flags) {
      // The first are the file's; the flags' are listed as they were written, to be removed.
      const listed = (valueAt(experiment, row.path) ?? []) as unknown[];
      const files =
        get(flags, "--experiment") === undefined ? 0 : listed.length - all(flags, flag).length;
      besides.textContent =
        files > 0 ? `The file of the experiment has ${count(files, noun)} besides.` : "";
    },
    showFlags(flags) {
      const remove = (text: string) => () =>
        change(true, (before) =>
          before.filter(([name, value]) => name !== flag || value !== text),
        );
      list.replaceChildren(...all(flags, flag).map((text) => item(text, remove(text))));
    },
  };
}

/** The flags with one more thing that goes wrong, and what it needs. */
export function withDisturbance(flags: Flags, line: string): Flags {
  const needed =
    / launchdarkly /.test(line) && get(flags, "--launchdarkly") === undefined
      ? set(flags, "--launchdarkly", null)
      : flags;
  return set(needed, "--disturb", line);
}
