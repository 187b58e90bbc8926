// The playground's page: controls on one side, what they lead to on the other.
import { Client } from "./client.js";
import { configurationFile } from "./configuration.js";
import { Controls, withDisturbance, withLog } from "./controls.js";
import { h } from "./dom.js";
import type { About, FromWorker } from "./messages.js";
import type { mountPicture, Picture, PictureRun } from "./picture/index.js";
import { count } from "./format.js";
import { Results } from "./results.js";
import {
  address,
  command,
  flat,
  fromAddress,
  fromLine,
  get,
  set,
  sides,
  START,
  type Flags,
  type State,
} from "./flags.js";

/** ms without a change after which the experiment is predicted. */
const SETTLED = 120;

/** Stands for the experiment that the page begins with, which is in no file. */
const BEGIN = "begin";

const here = new URL(".", import.meta.url);

class Page {
  private state: State;
  private side: "a" | "b" = "a";
  private readonly client: Client;
  private readonly controls: Controls;
  private readonly results = new Results();
  private readonly frame = h("section", {
    hidden: true,
    attributes: { "aria-label": "The first replication, request by request" },
  });
  private picture: Promise<Picture> | null = null;
  private readonly status = h("p", {
    className: "pg-status",
    attributes: { role: "status", "aria-live": "polite" },
  });
  private readonly progress = h("progress", {
    hidden: true,
    max: 1,
    attributes: { "aria-label": "Replications predicted" },
  });
  private readonly stop = h("button", { type: "button", hidden: true }, "Stop");
  private readonly refusal = h("p", {
    className: "pg-refusal",
    hidden: true,
    attributes: { role: "alert" },
  });
  private readonly tabs = h("div", {
    className: "pg-row",
    attributes: { role: "group", "aria-label": "Servers" },
  });
  private readonly example: HTMLSelectElement;
  /** What predicts the same on the command line. */
  private readonly command = h("code");
  private readonly line = h("input", {
    type: "text",
    attributes: { "aria-label": "Other flags of the command, such as --timeout 60" },
  });
  private experiments: Parameters<Controls["show"]>[0][];
  private timer: number | undefined;
  private ready = false;
  /** Whether an answer is to come. */
  private waiting = false;
  /** The address that is predicted, its part without requests sent by hand, and since when, ms. */
  private predicted = { address: "", flags: "", since: 0 };
  /** Replications that the numbers are of, and of those that are predicted now. */
  private replications = 0;

  constructor(
    private readonly root: HTMLElement,
    private readonly about: About,
  ) {
    this.state = fromAddress(location.hash, about);
    this.experiments = [about.experiment];
    this.controls = new Controls(
      about,
      (both, change) => this.change(both, change),
      (at) => this.send(this.state.sent.filter((each) => each !== at)),
    );
    this.example = this.examples();
    this.client = new Client(new URL("worker.js", here), (message) => this.receive(message));
    this.stop.onclick = () => {
      this.client.stop();
      this.settle(
        this.replications > 0
          ? `Stopped. The numbers are of ${count(this.replications, "replication")}.`
          : "Stopped in the first replication: the numbers are those from before.",
      );
    };
    this.line.onchange = () => this.change(true, (flags) => this.withLine(flags));
    root.replaceChildren(
      h(
        "div",
        { className: "pg-side" },
        h(
          "div",
          { className: "pg-field" },
          h("label", { htmlFor: "pg-example" }, "Begin with"),
          this.example,
        ),
        this.tabs,
        this.controls.element,
        this.other(),
        this.files(),
      ),
      h(
        "div",
        { className: "pg-main" },
        this.refusal,
        h("div", { className: "pg-row pg-run" }, this.status, this.progress, this.stop),
        this.results.element,
        this.frame,
        this.results.details,
        this.copies(),
      ),
    );
    addEventListener("hashchange", () => {
      this.state = fromAddress(location.hash, about);
      this.side = "a";
      this.refresh();
    });
    this.dropping(root);
    this.refresh();
  }

  /** The flags of the side that the controls show. */
  private get flags(): Flags {
    return (this.side === "b" ? this.state.b : null) ?? this.state.a;
  }

  /** Whether the reader has changed a flag since the last prediction began: it must stay so. */
  private get changed(): boolean {
    return this.predicted.flags !== address({ ...this.state, sent: [] });
  }

  private change(both: boolean, change: (flags: Flags) => Flags): void {
    const { a, b, sent } = this.state;
    this.state = {
      sent,
      a: both || this.side === "a" ? change(a) : a,
      b: b !== null && (both || this.side === "b") ? change(b) : b,
    };
    history.replaceState(null, "", `#${address(this.state)}`);
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.predict(), SETTLED);
    this.controls.showFlags(this.flags);
    this.showCommand();
    this.showExample();
  }

  /** After another state came from outside: an address, an example. */
  private refresh(): void {
    history.replaceState(null, "", `#${address(this.state)}`);
    this.show();
    this.predict();
  }

  private show(): void {
    const experiment = this.experiments[this.side === "b" ? 1 : 0] ?? this.experiments[0];
    if (experiment !== undefined) {
      this.controls.show(experiment, this.flags);
    }
    this.controls.showSent(this.state.sent);
    this.showCommand();
    this.showExample();
    this.showTabs();
  }

  private showCommand(): void {
    this.command.textContent = sides(this.state).map(command).join("\n");
  }

  /** Sends requests at these moments in the picture, and none else. */
  private send(sent: readonly number[]): void {
    this.state = { ...this.state, sent };
    history.replaceState(null, "", `#${address(this.state)}`);
    this.controls.showSent(sent);
    if (this.waiting || !this.refusal.hidden) {
      this.predict();
    } else {
      this.client.send(flat(this.flags), sent);
    }
  }

  private predict(): void {
    this.waiting = true;
    const flags = address({ ...this.state, sent: [] });
    this.predicted = { address: address(this.state), flags, since: performance.now() };
    this.replications = 0;
    this.progress.removeAttribute("value");
    this.progress.hidden = !this.ready;
    this.stop.hidden = !this.ready;
    if (this.ready) {
      this.status.textContent = "Predicting…";
    }
    this.client.predict(sides(this.state).map(flat), this.state.sent);
  }

  private settle(text: string): void {
    this.waiting = false;
    this.progress.hidden = true;
    this.stop.hidden = true;
    this.status.setAttribute("aria-live", "polite");
    this.status.textContent = text;
  }

  private receive(message: FromWorker): void {
    switch (message.kind) {
      case "loading":
        if (!this.waiting) {
          break;
        }
        this.status.textContent = `Loading ${message.what}…`;
        this.progress.hidden = false;
        break;
      case "ready":
        this.ready = true;
        if (this.waiting) {
          this.status.textContent = "Predicting…";
        }
        break;
      case "broken":
        this.refuse(`The model could not be run: ${message.why}`);
        break;
      case "understood":
        if (this.changed) {
          break;
        }
        this.refusal.hidden = true;
        this.experiments = message.sides.map(({ experiment }) => experiment);
        this.show();
        break;
      case "refused":
        if (this.changed) {
          break;
        }
        this.refuse(
          `${this.state.b === null ? "" : `${message.side === 0 ? "A" : "B"}: `}${message.why}`,
        );
        break;
      case "progress":
        this.progress.hidden = false;
        this.stop.hidden = false;
        // It may be known only about, and slip back a little.
        this.progress.value = Math.max(
          this.progress.hasAttribute("value") ? this.progress.value : 0,
          message.done / message.total,
        );
        // Not read out: the bar says it.
        this.status.setAttribute("aria-live", "off");
        this.status.textContent = under(message.done, message.total);
        break;
      case "runs":
        void this.draw(message.runs[this.side === "b" ? 1 : 0] ?? message.runs[0] ?? null);
        if (!this.waiting) {
          this.root.dataset["answered"] = address(this.state);
        }
        break;
      case "answer":
        this.results.show(message.answers, message.difference);
        this.replications = message.answers[0]?.document.replications ?? 0;
        if (message.last) {
          const seconds = (performance.now() - this.predicted.since) / 1000;
          // What the numbers are of: the reader may have changed something meanwhile.
          this.root.dataset["answered"] = this.predicted.address;
          this.settle(
            `${count(this.replications, "replication")}, predicted in ${seconds.toFixed(1)} s`,
          );
        }
        break;
      default:
        break;
    }
  }

  private refuse(why: string): void {
    this.refusal.textContent = why;
    this.refusal.hidden = false;
    this.settle("");
  }

  /** Shows a run in the picture that moves, which is loaded with the first. */
  private async draw(run: PictureRun | null): Promise<void> {
    this.frame.hidden = run === null;
    if (run === null) {
      return;
    }
    if (this.picture === null) {
      this.picture = this.mount(run);
    } else {
      (await this.picture).update(run);
    }
  }

  private async mount(run: PictureRun): Promise<Picture> {
    const module = (await import(new URL("picture.js", here).href)) as {
      mountPicture: typeof mountPicture;
    };
    return module.mountPicture(this.frame, run, {
      disturb: (line) => this.change(true, (flags) => withDisturbance(flags, line)),
      send: (at) => this.send([...this.state.sent, at].sort((one, other) => one - other)),
    });
  }

  private examples(): HTMLSelectElement {
    const select = h(
      "select",
      { id: "pg-example" },
      h("option", { value: "", hidden: true }, "your own flags"),
      h("option", { value: BEGIN }, "two workers of two threads"),
      ...this.about.examples.map(({ file, about }) => h("option", { value: file }, about)),
    );
    select.onchange = () => {
      this.state =
        select.value === BEGIN
          ? fromAddress("", this.about)
          : { a: [["--experiment", select.value]], b: null, sent: [] };
      this.side = "a";
      this.refresh();
    };
    return select;
  }

  private showExample(): void {
    const begin = address({ ...this.state, sent: [] }) === address(START) ? BEGIN : "";
    this.example.value = get(this.state.a, "--experiment") ?? begin;
  }

  private showTabs(): void {
    const { b } = this.state;
    const button = (text: string, pressed: boolean, action: () => void): HTMLElement =>
      h(
        "button",
        { type: "button", onclick: action, attributes: { "aria-pressed": String(pressed) } },
        text,
      );
    const edit = (side: "a" | "b") => () => {
      this.side = side;
      this.show();
    };
    const focused = this.tabs.contains(document.activeElement);
    const before = [...this.tabs.children].findIndex((each) => each === document.activeElement);
    this.tabs.replaceChildren(
      ...(b === null
        ? [
            h(
              "button",
              {
                type: "button",
                onclick: () => {
                  this.state = { ...this.state, b: this.state.a };
                  this.side = "b";
                  this.refresh();
                },
              },
              "Compare with another server",
            ),
          ]
        : [
            button("A", this.side === "a", edit("a")),
            button("B", this.side === "b", edit("b")),
            h(
              "button",
              {
                type: "button",
                onclick: () => {
                  this.state = { ...this.state, b: null };
                  this.side = "a";
                  this.refresh();
                },
              },
              "Without B",
            ),
          ]),
    );
    if (focused) {
      (
        this.tabs.children[
          Math.max(0, Math.min(before, this.tabs.children.length - 1))
        ] as HTMLElement
      ).focus();
    }
  }

  /** Flags that have no control. */
  private other(): HTMLElement {
    return h(
      "details",
      { className: "pg-more" },
      h("summary", {}, "Other flags"),
      h(
        "p",
        {},
        "Any flag of the command, such as ",
        h("code", {}, "--timeout 60 --max-requests 500"),
        ".",
      ),
      this.line,
    );
  }

  private withLine(flags: Flags): Flags {
    return fromLine(this.line.value, this.about).reduce(
      (before, [name, value]) => set(before, name, value),
      flags,
    );
  }

  private files(): HTMLElement {
    const text = h("textarea", {
      rows: 6,
      spellcheck: false,
      placeholder: "workers = 4\nthreads = 2",
      attributes: { "aria-label": "A gunicorn.conf.py" },
    });
    const notices = h("div", { attributes: { role: "status" } });
    const read = h("button", { type: "button" }, "Read it");
    read.onclick = () => void this.readConfiguration(text.value, notices);
    const log = h("input", { type: "file", attributes: { "aria-label": "An access log" } });
    log.onchange = () => {
      const file = log.files?.[0];
      if (file !== undefined) {
        void this.takeLog(file);
      }
    };
    return h(
      "div",
      {},
      h(
        "details",
        { className: "pg-more" },
        h("summary", {}, "Paste a gunicorn.conf.py"),
        h("p", {}, "It is read, and not run: what is literal in it counts, the rest is named."),
        text,
        h("div", { className: "pg-row" }, read),
        notices,
      ),
      h(
        "details",
        { className: "pg-more" },
        h("summary", {}, "Drop an access log"),
        h("p", {}, "Its requests are replayed. It does not leave your browser."),
        log,
      ),
    );
  }

  private async readConfiguration(text: string, notices: HTMLElement): Promise<void> {
    const cores = Number(this.experiments[0]?.host["cores"] ?? 2);
    try {
      const found = await this.client.configuration(text, cores);
      notices.replaceChildren(
        h(
          "p",
          {},
          `Read: ${found.flags.map((flag) => flag.filter(Boolean).join(" ")).join(", ") || "nothing"}.`,
        ),
        ...found.notices.map((notice) => h("p", {}, notice)),
      );
      this.change(false, (flags) =>
        found.flags.reduce((before, [name, value]) => set(before, name, value), flags),
      );
    } catch (error) {
      notices.replaceChildren(h("p", { className: "pg-refusal" }, (error as Error).message));
    }
  }

  private async takeLog(file: File): Promise<void> {
    const name = file.name.endsWith(".gz") ? "access.log.gz" : "access.log";
    this.client.put({ name, content: new Uint8Array(await file.arrayBuffer()) });
    this.change(true, (flags) => withLog(flags, name));
  }

  private dropping(root: HTMLElement): void {
    root.ondragover = (event) => event.preventDefault();
    root.ondrop = (event) => {
      event.preventDefault();
      const file = event.dataTransfer?.files[0];
      if (file === undefined) {
        return;
      }
      if (file.name.endsWith(".py")) {
        const area = root.querySelector("textarea");
        void file.text().then((text) => {
          if (area !== null) {
            area.value = text;
            area.closest("details")?.setAttribute("open", "");
          }
        });
      } else {
        void this.takeLog(file);
      }
    };
  }

  private copies(): HTMLElement {
    const copied = h("span", { className: "pg-copied", attributes: { role: "status" } });
    const note = (): string =>
      this.state.sent.length === 0
        ? "Copied."
        : "Copied, without the requests that you sent: the command has no flag for them.";
    const button = (label: string, text: () => string, done = note): HTMLElement =>
      h(
        "button",
        {
          type: "button",
          onclick: () =>
            void copy(text()).then((allowed) => {
              copied.textContent = allowed ? done() : "The browser does not allow it.";
            }),
        },
        label,
      );
    const buttons = h(
      "div",
      { className: "pg-row" },
      button("Copy as command", () => sides(this.state).map(command).join("\n")),
      button("Copy as gunicorn.conf.py", () => {
        const place = this.side === "b" ? 1 : 0;
        const experiment = this.experiments[place] ?? this.about.experiment;
        return configurationFile(experiment, this.about.experiment, command(this.flags));
      }),
      button("Copy link", () => location.href, () => "Copied."),
      copied,
    );
    return h(
      "div",
      { className: "pg-copies" },
      h("p", {}, "The same on the command line:"),
      h("pre", {}, this.command),
      buttons,
    );
  }
}

/** Which replication is under way, with its progress where it takes long: `2 of 10`. */
function under(done: number, total: number): string {
  const whole = Math.min(Math.floor(done), total - 1);
  const percent = Math.floor(100 * (done - whole));
  const part = percent > 0 && percent < 100 ? `, ${percent} %` : "";
  return `Replication ${whole + 1} of ${total}${part}`;
}

/** Puts text on the clipboard; whether that went well. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard without HTTPS, but on this machine.
    const area = h("textarea", { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

const root = document.getElementById("pg");
if (root !== null) {
  const status = h("p", { attributes: { role: "status" } }, "Loading…");
  root.append(status);
  void fetch(new URL("about.json", here))
    .then((response) => response.json() as Promise<About>)
    .then((about) => new Page(root, about))
    .catch((error: unknown) => {
      status.textContent = `The playground could not begin: ${String(error)}`;
    });
}
