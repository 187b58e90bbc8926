// The picture that moves: a run in which the reader can play, pause, step, scrub, and disturb.
import { h } from "../dom.js";
import { button } from "./button.js";
import { Painter } from "./painter.js";
import type { PictureRun } from "./run.js";
import { addStyle } from "./style.js";
import { Timeline, type State } from "./timeline.js";
import { describe, moment } from "./description.js";

export type { PictureRun } from "./run.js";

export interface Hooks {
  /**
   * The reader does something to the server: a line as `--disturb` takes it. The page predicts
   * again with the same seed, so that the past stays as it is, and calls `update`. Without this
   * hook the picture only plays.
   */
  disturb?(line: string): void;
  /** The reader sends a request at that moment, s; see `sim.run.one_more_request`. */
  send?(at: number): void;
}

export interface Options {
  /** Moment at which the picture begins, s; else the first arrival. */
  at?: number;
  /** s of the run in one second of the reader's; one of `SPEEDS`. */
  speed?: number;
}

export interface Picture {
  /** Shows another run at the same moment: the same one with something done to it. */
  update(run: PictureRun): void;
  play(): void;
  pause(): void;
  /** Goes to a moment, s. */
  seek(time: number): void;
  /** Draws the moment that is shown once more; returns it. */
  draw(): State;
  readonly time: number;
  readonly playing: boolean;
  /** Ends it and leaves the element empty. */
  destroy(): void;
}

/** s of the run in one second of the reader's. */
export const SPEEDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** ms between two changes of the text while the picture plays. */
const TEXT_EVERY = 250;

/** Lines of the log in the page at once. */
const LOG_LINES = 60;

/** s for which a thread hangs that the reader hangs. */
const HANG = 10;

export function mountPicture(
  element: HTMLElement,
  run: PictureRun,
  hooks: Hooks = {},
  options: Options = {},
): Picture {
  return new Mounted(element, run, hooks, options);
}

class Mounted implements Picture {
  private timeline: Timeline;
  private painter: Painter;
  private now: number;
  private speed: number;
  private wanted = false;
  /** Whether a new run is awaited: time stands still until it comes, or the reader moves on. */
  private awaiting = false;
  private frame = 0;
  private lastFrame: number | null = null;
  private lastText = -Infinity;
  private logShown = { run: null as PictureRun | null, from: 0, until: -1, done: -1 };

  private readonly root: HTMLElement;
  private readonly canvas = h("canvas", { attributes: { role: "img" } });
  private readonly text = h("p", { attributes: { class: "moving-now", "aria-live": "polite" } });
  private readonly log = h("div", { attributes: {
    class: "moving-log",
    role: "log",
    tabindex: "0",
    "aria-label": "What Gunicorn logs",
  } });
  private readonly playButton = button("Play", () => this.toggle());
  private readonly slider = h("input", { attributes: { type: "range", step: "any" } });
  private readonly clock = h("output");
  private readonly speedSelect = h("select");
  private readonly speedLabel: HTMLElement;
  private readonly note = h("p", { attributes: { class: "moving-note" } });
  private readonly sendButton = button("Send a request", () => this.send());
  private readonly workerSelect = h("select");
  private readonly workerButtons: HTMLButtonElement[];
  private readonly flagButton = button("", () => this.changeFlagService());

  private readonly calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  private readonly resized = new ResizeObserver(() => this.onResize());
  private readonly themed = new MutationObserver(() => this.onTheme());
  private readonly onCalm = (): void => this.showMotion();

  constructor(
    private readonly element: HTMLElement,
    run: PictureRun,
    private readonly hooks: Hooks,
    options: Options,
  ) {
    addStyle();
    this.timeline = new Timeline(run);
    this.now = this.clamp(options.at ?? 0);
    this.speed = SPEEDS.find((speed) => speed === options.speed) ?? 0.1;
    const action = (
      name: string,
      title: string,
      line: (worker: string) => string,
    ): HTMLButtonElement => button(name, () => this.disturb(line(this.workerSelect.value)), title);
    this.workerButtons = [
      action("Kill it", "SIGKILL to the worker", (worker) => `signal KILL worker ${worker}`),
      action("Hang a thread", `Its next request hangs for ${HANG} s`, (worker) => `hang worker ${worker} threads 1 seconds ${HANG}`),
      action("Crash it", "Its next request ends the process", (worker) => `crash worker ${worker}`),
    ];
    this.speedLabel = h("label", {}, "Speed ", this.speedSelect);
    this.root = h("section", { attributes: { class: "moving", "aria-label": "The run, as a picture" } });
    this.build();
    element.replaceChildren(this.root);
    this.painter = new Painter(this.canvas, this.timeline, this.drawnWidth());
    this.resized.observe(this.root);
    this.themed.observe(document.body, {
      attributes: true,
      attributeFilter: ["data-md-color-scheme"],
    });
    this.calm.addEventListener("change", this.onCalm);
    this.showRun();
    this.showMotion();
    this.show(Infinity);
  }

  get time(): number {
    return this.now;
  }

  get playing(): boolean {
    return this.wanted;
  }

  update(run: PictureRun): void {
    this.awaiting = false;
    this.timeline = new Timeline(run);
    const painter = new Painter(this.canvas, this.timeline, this.drawnWidth());
    painter.continueFrom(this.painter);
    this.painter = painter;
    this.now = this.clamp(this.now);
    this.showRun();
    this.show(0);
    this.say();
    this.schedule();
  }

  play(): void {
    if (this.calm.matches) {
      return;
    }
    this.awaiting = false;
    if (this.now >= this.timeline.end) {
      this.now = this.timeline.begin;
    }
    this.wanted = true;
    this.showPlaying();
    this.schedule();
  }

  pause(): void {
    this.wanted = false;
    this.showPlaying();
    this.say();
  }

  seek(time: number): void {
    this.awaiting = false;
    this.now = this.clamp(time);
    this.show(Infinity);
    this.say();
  }

  draw(): State {
    const state = this.timeline.stateAt(this.now);
    this.painter.draw(state, 0, this.queueName());
    return state;
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
    this.wanted = false;
    this.resized.disconnect();
    this.themed.disconnect();
    this.calm.removeEventListener("change", this.onCalm);
    this.element.replaceChildren();
  }

  // The page.

  private build(): void {
    for (const speed of SPEEDS) {
      const label = speed === 1 ? "as fast as it is" : speed < 1 ? `1/${1 / speed}` : `${speed} x`;
      this.speedSelect.append(h("option", { attributes: { value: String(speed) } }, label));
    }
    this.speedSelect.value = String(this.speed);
    this.speedSelect.addEventListener("change", () => {
      this.speed = Number(this.speedSelect.value);
    });
    this.slider.addEventListener("input", () => {
      this.pause();
      this.seek(Number(this.slider.value));
    });
    this.root.addEventListener("keydown", (event) => this.onKey(event));
    this.root.append(
      this.canvas,
      h(
        "p",
        { attributes: { class: "moving-key" } },
        h("span", { attributes: { class: "moving-waits" } }, "waits"),
        h("span", { attributes: { class: "moving-runs" } }, "runs; the ring closes when it is answered"),
        h("span", { attributes: { class: "moving-hangs" } }, "hangs"),
      ),
      h(
        "div",
        { attributes: { class: "moving-bar" } },
        this.playButton,
        button("Step back", () => this.step(false), "To the event before (left arrow)"),
        button("Step", () => this.step(true), "To the next event (right arrow)"),
        h("label", { attributes: { class: "moving-time" } }, "Time ", this.slider, this.clock),
        this.speedLabel,
      ),
      this.text,
    );
    if (this.hooks.disturb !== undefined) {
      this.root.append(this.actions());
    }
    this.root.append(this.note);
    if (this.hooks.disturb !== undefined || this.timeline.run.done.length > 0) {
      this.root.append(this.log);
    }
  }

  private actions(): HTMLElement {
    const both = h("fieldset", { attributes: { class: "moving-do" } }, h("legend", {}, "Do it now"));
    const worker = h("label", {}, "Worker ", this.workerSelect);
    both.append(
      h(
        "div",
        { attributes: { class: "moving-act" } },
        worker,
        ...this.workerButtons,
        button("HUP to the master", () => this.disturb("signal HUP master")),
        button("TERM to the master", () => this.disturb("signal TERM master")),
        this.flagButton,
        ...(this.hooks.send === undefined ? [] : [this.sendButton]),
      ),
    );
    return both;
  }

  private onKey(event: KeyboardEvent): void {
    const inField = event.target instanceof Element && event.target.closest("input, select");
    if (event.altKey || event.ctrlKey || event.metaKey || inField) {
      return;
    }
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      this.step(event.key === "ArrowRight");
    }
  }

  // What the reader does.

  private toggle(): void {
    if (this.wanted) {
      this.pause();
    } else {
      this.play();
    }
  }

  private step(forward: boolean): void {
    this.awaiting = false;
    this.pause();
    this.now = forward ? this.timeline.after(this.now) : this.timeline.before(this.now);
    this.show(this.calm.matches || !forward ? Infinity : 0);
    this.say();
    this.schedule();
  }

  private disturb(line: string): void {
    this.hold();
    this.hooks.disturb?.(`${this.now} ${line}`);
  }

  private send(): void {
    this.hold();
    this.hooks.send?.(this.now);
  }

  private changeFlagService(): void {
    const { reachable } = this.timeline.stateAt(this.now);
    this.disturb(`launchdarkly ${reachable ? "unreachable" : "reachable"}`);
  }

  /** Stops time at a whole ms, which an address can say, until the new run is there. */
  private hold(): void {
    // Not before the first moment of the run: by then the server has booted.
    this.now = Math.max(0, Math.ceil(this.now * 1000) / 1000);
    this.awaiting = true;
    this.text.textContent = `${moment(this.now)}. Predicting what happens now.`;
  }

  // Time.

  private schedule(): void {
    if (this.frame === 0) {
      this.lastFrame = null;
      this.frame = requestAnimationFrame((time) => this.onFrame(time));
    }
  }

  private onFrame(time: number): void {
    this.frame = 0;
    // A tab that was away, or a slow moment: the picture does not jump.
    const passed = this.lastFrame === null ? 0 : Math.min(0.1, (time - this.lastFrame) / 1000);
    this.lastFrame = time;
    const runs = this.wanted && !this.awaiting;
    if (runs) {
      this.now = Math.min(this.timeline.end, this.now + passed * this.speed);
      if (this.now >= this.timeline.end) {
        this.pause();
      }
    }
    const moving = this.show(this.calm.matches ? Infinity : passed);
    if (this.wanted || moving) {
      this.frame = requestAnimationFrame((next) => this.onFrame(next));
    }
  }

  // What is shown.

  private show(passed: number): boolean {
    const state = this.timeline.stateAt(this.now);
    const moving = this.painter.draw(state, passed, this.queueName());
    this.slider.value = String(this.now);
    this.clock.textContent = moment(this.now);
    this.slider.setAttribute("aria-valuetext", moment(this.now));
    if (performance.now() - this.lastText > TEXT_EVERY && !this.awaiting) {
      this.lastText = performance.now();
      this.write(state);
    }
    this.showLog();
    return moving;
  }

  /** Writes the text of this moment at once. */
  private say(): void {
    if (!this.awaiting) {
      this.write(this.timeline.stateAt(this.now));
    }
  }

  private write(state: State): void {
    const outcomes = `${state.answered} answered${state.lost > 0 ? `, ${state.lost} lost` : ""}`;
    const text = `${describe(state, this.queueName().toLowerCase())}; ${outcomes}.`;
    if (this.text.textContent !== text) {
      this.text.textContent = text;
    }
    this.showWorkers(state);
    const { enabled } = this.timeline.run.experiment.launchdarkly;
    this.flagButton.textContent = state.reachable
      ? "Take LaunchDarkly away"
      : "Bring LaunchDarkly back";
    this.flagButton.disabled = !enabled;
  }

  private showWorkers(state: State): void {
    const alive = state.lanes
      .flatMap((worker) => (worker !== null && worker.phase !== "gone" ? [worker] : []))
      .map((worker) => String(worker.life.number));
    const options = [...this.workerSelect.options].map((option) => option.value);
    if (alive.join() !== options.join()) {
      const chosen = this.workerSelect.value;
      this.workerSelect.replaceChildren(
        ...alive.map((number) => h("option", { attributes: { value: number } }, number)),
      );
      if (alive.includes(chosen)) {
        this.workerSelect.value = chosen;
      }
    }
    for (const each of this.workerButtons) {
      each.disabled = alive.length === 0;
    }
  }

  private showRun(): void {
    const { begin, end, run } = this.timeline;
    this.slider.min = String(begin);
    this.slider.max = String(end);
    this.canvas.setAttribute(
      "aria-label",
      `Requests as dots: in the accept queue, in the queues of ${run.experiment.server.workers} ` +
        "workers, and on their threads. The text below says where they are.",
    );
    const closed = run.experiment.traffic.arrivals === "closed";
    this.sendButton.disabled = closed;
    this.sendButton.title = closed
      ? "Clients of a closed loop send when they are answered"
      : "One more request, of the mean demand";
    this.flagButton.title = run.experiment.launchdarkly.enabled
      ? ""
      : "LaunchDarkly is off in this experiment";
  }

  private showMotion(): void {
    const still = this.calm.matches;
    if (still) {
      this.wanted = false;
    }
    this.playButton.hidden = still;
    this.speedLabel.hidden = still;
    this.note.textContent = still
      ? "Your system asks for less motion, so the picture does not play: step, or move the time."
      : "";
    this.note.hidden = !still;
    this.showPlaying();
  }

  private showPlaying(): void {
    this.playButton.textContent = this.wanted ? "Pause" : "Play";
    // A text that changes all the time is read out only when the picture stands still.
    this.text.setAttribute("aria-live", this.wanted ? "off" : "polite");
    this.log.setAttribute("aria-live", this.wanted ? "off" : "polite");
  }

  /** Gunicorn's lines up to now, and between them what was done to it. */
  private showLog(): void {
    const { run } = this.timeline;
    const until = this.timeline.logged(this.now);
    const done = this.timeline.done(this.now);
    if (run === this.logShown.run && until === this.logShown.until && done === this.logShown.done) {
      return;
    }
    this.logShown = { run, from: 0, until, done };
    const lines = [
      ...run.done.slice(0, done).map(([time, what]) => ({ time, text: what, own: true })),
      ...run.log.slice(0, until).map(([time, pid, level, text]) => ({
        time,
        text: `[${pid}] [${level}] ${text}`,
        own: false,
      })),
    ];
    lines.sort((a, b) => a.time - b.time);
    this.log.replaceChildren(
      ...lines
        .slice(-LOG_LINES)
        .map(({ time, text, own }) =>
          h("div", own ? { className: "moving-done" } : {}, `${moment(time)} ${text}`),
        ),
    );
    this.log.scrollTop = this.log.scrollHeight;
  }

  private queueName(): string {
    const { traffic, server } = this.timeline.run.experiment;
    const keeps = traffic.connection === "keepalive" && server.worker_class !== "sync";
    return keeps ? "Not yet seen" : "Accept queue";
  }

  private onResize(): void {
    const width = this.drawnWidth();
    if (width > 0) {
      this.painter.resize(width);
      this.show(Infinity);
    }
  }

  private onTheme(): void {
    this.painter.retheme();
    this.show(0);
  }

  private drawnWidth(): number {
    return Math.max(280, Math.floor(this.canvas.clientWidth));
  }

  private clamp(time: number): number {
    return Math.min(this.timeline.end, Math.max(this.timeline.begin, time));
  }
}
