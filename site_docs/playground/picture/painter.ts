// Draws a state onto a canvas. Dots move from where they were to where they belong.
import {
  acceptDots,
  eachDot,
  layout,
  room,
  threadBox,
  type Box,
  type Layout,
} from "./layout.js";
import type { State, Timeline } from "./timeline.js";
import { doing, nameOf } from "./description.js";

/** s in which a dot goes most of its way. */
const GLIDE = 0.07;

/** s for which a dot is seen that leaves, and how many of them at most. */
const LEAVING = 0.45;
const MOST_LEAVING = 64;

interface Leaving {
  x: number;
  y: number;
  ok: boolean;
  left: number;
}

interface Colours {
  text: string;
  soft: string;
  group: string;
  box: string;
  line: string;
  runs: string;
  waits: string;
  lost: string;
}

export class Painter {
  private readonly context: CanvasRenderingContext2D;
  private readonly x: Float32Array;
  private readonly y: Float32Array;
  /** The frame in which each dot was seen last; 0 for never. */
  private readonly seen: Uint32Array;
  private frame = 1;
  private shown: number[] = [];
  private leaving: Leaving[] = [];
  private at: Layout;
  private colours: Colours;
  private font: string;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly timeline: Timeline,
    width: number,
  ) {
    const context = canvas.getContext("2d");
    if (context === null) {
      throw new Error("this browser draws on no canvas");
    }
    this.context = context;
    const requests = timeline.run.requests.length;
    this.x = new Float32Array(requests);
    this.y = new Float32Array(requests);
    this.seen = new Uint32Array(requests);
    this.at = this.resize(width);
    [this.colours, this.font] = theme(canvas);
  }

  /** Takes over where the dots of an older picture are, whose past is the same. */
  continueFrom(older: Painter): void {
    const length = Math.min(older.x.length, this.x.length);
    this.x.set(older.x.subarray(0, length));
    this.y.set(older.y.subarray(0, length));
    this.seen.set(older.seen.subarray(0, length));
    this.frame = older.frame;
    this.shown = older.shown.filter((request) => request < length);
  }

  resize(width: number): Layout {
    this.at = layout(width, this.timeline.lanes, this.timeline.threads);
    const ratio = Math.min(3, window.devicePixelRatio || 1);
    this.canvas.width = Math.round(this.at.width * ratio);
    this.canvas.height = Math.round(this.at.height * ratio);
    this.canvas.style.height = `${this.at.height}px`;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return this.at;
  }

  retheme(): void {
    [this.colours, this.font] = theme(this.canvas);
  }

  /**
   * Draws a state; returns whether dots are still on their way.
   *
   * `passed`: s on the reader's clock since the last frame; Infinity puts every dot in its place.
   */
  draw(state: State, passed: number, queueName: string): boolean {
    this.frame += 1;
    const { context, at } = this;
    context.clearRect(0, 0, at.width, at.height);
    this.drawPlaces(state, queueName);
    const moving = this.drawDots(state, passed);
    return this.drawLeaving(passed) || moving;
  }

  private drawPlaces(state: State, queueName: string): void {
    const { at, colours } = this;
    this.box(at.accept, colours.group, 8);
    this.label(queueName, at.accept.x + 8, at.accept.y + 15, true);
    const waiting = state.acceptQueue.length;
    const foot = at.accept.y + at.accept.height - 6;
    const hidden = waiting - Math.min(waiting, room(acceptDots(at), at.radius));
    this.label(
      hidden > 0 ? `${waiting} waiting, ${hidden} not drawn` : `${waiting} waiting`,
      at.accept.x + 8,
      foot,
    );
    if (at.accept.height > 100) {
      this.label("clients", 0, at.client.y - 12, false, -Math.PI / 2, 12);
    }
    state.lanes.forEach((worker, lane) => {
      const { box, queue } = at.lanes[lane]!;
      if (worker === null) {
        this.outline(box, 8);
        return;
      }
      const gone = worker.phase === "gone";
      if (gone) {
        this.outline(box, 8);
      } else {
        this.box(box, colours.group, 8);
      }
      const name = nameOf(worker);
      this.label(name, box.x + 8, box.y + 15, !gone);
      const soft = at.width < 420 ? "" : ` pid ${worker.life.pid}`;
      const bold = this.width(name, true);
      this.label(`${soft}  ${doing(worker)}`, box.x + 10 + bold, box.y + 15, false, 0, 0, true);
      if (gone || worker.phase === "booting") {
        return;
      }
      this.box(queue, colours.box, 5);
      const hiddenHere = worker.waiting.length - room(queue, at.radius);
      if (hiddenHere > 0) {
        this.label(`+${hiddenHere}`, queue.x + 4, queue.y + queue.height - 5, true);
      }
      worker.threads.forEach((_, slot) => {
        this.box(threadBox(at, lane, slot), colours.box, 5, colours.soft);
      });
    });
  }

  private drawDots(state: State, passed: number): boolean {
    const { at, x, y, seen, frame } = this;
    const part = passed === Infinity ? 1 : 1 - Math.exp(-passed / GLIDE);
    let moving = false;
    const shown: number[] = [];
    const spots = new Map(this.timeline.spots(state.time).map((spot) => [spot.request, spot]));
    eachDot(state, at, (request, toX, toY, runs) => {
      if (seen[request]! < frame - 1 || seen[request] === 0) {
        x[request] = passed === Infinity ? toX : at.client.x;
        y[request] = passed === Infinity ? toY : at.client.y;
      }
      seen[request] = frame;
      const dx = toX - x[request]!;
      const dy = toY - y[request]!;
      x[request] = x[request]! + dx * part;
      y[request] = y[request]! + dy * part;
      moving = moving || Math.abs(dx) + Math.abs(dy) > 0.5;
      shown.push(request);
      const spot = spots.get(request);
      const done =
        runs && spot !== undefined ? (state.time - spot.begin) / (spot.end - spot.begin) : 0;
      this.dot(x[request]!, y[request]!, runs, done, this.timeline.hangs(request, state.time));
    });
    if (passed !== Infinity) {
      for (const request of this.shown) {
        if (seen[request] !== frame && this.leaving.length < MOST_LEAVING) {
          this.leave(request, state.time);
        }
      }
    } else {
      this.leaving = [];
    }
    this.shown = shown;
    return moving;
  }

  /** A request has gone from the picture: answered, or lost; not by going back in time. */
  private leave(request: number, time: number): void {
    const row = this.timeline.run.requests[request];
    if (row === undefined || row[0] > time || row[3] === null || row[3] > time + 0.01) {
      return;
    }
    this.leaving.push({
      x: this.x[request]!,
      y: this.y[request]!,
      ok: row[6] === "ok",
      left: LEAVING,
    });
  }

  private drawLeaving(passed: number): boolean {
    const { context, at, colours } = this;
    for (const dot of this.leaving) {
      dot.left -= passed;
      if (dot.ok) {
        dot.x += ((at.exit.x - dot.x) * passed) / GLIDE / 3;
      } else {
        dot.y += 60 * passed;
      }
      context.globalAlpha = Math.max(0, dot.left / LEAVING);
      if (dot.ok) {
        this.disc(dot.x, dot.y, colours.runs);
      } else {
        this.cross(dot.x, dot.y);
      }
    }
    context.globalAlpha = 1;
    this.leaving = this.leaving.filter((dot) => dot.left > 0);
    return this.leaving.length > 0;
  }

  private dot(x: number, y: number, runs: boolean, done: number, hangs: boolean): void {
    const { context, colours, at } = this;
    if (!runs) {
      // A ring, so that waiting and running differ by more than their colour.
      context.beginPath();
      context.arc(x, y, at.radius - 1, 0, 2 * Math.PI);
      context.lineWidth = 2;
      context.strokeStyle = colours.waits;
      context.fillStyle = colours.box;
      context.fill();
      context.stroke();
      return;
    }
    if (hangs) {
      this.disc(x, y, colours.lost);
      this.cross(x, y, colours.box);
      return;
    }
    this.disc(x, y, colours.runs);
    context.beginPath();
    context.arc(x, y, at.radius + 3, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * Math.min(1, done));
    context.lineWidth = 2;
    context.strokeStyle = colours.runs;
    context.stroke();
  }

  private disc(x: number, y: number, colour: string): void {
    const { context } = this;
    context.beginPath();
    context.arc(x, y, this.at.radius, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
  }

  private cross(x: number, y: number, colour = this.colours.lost): void {
    const { context } = this;
    const arm = this.at.radius * 0.6;
    context.beginPath();
    context.moveTo(x - arm, y - arm);
    context.lineTo(x + arm, y + arm);
    context.moveTo(x - arm, y + arm);
    context.lineTo(x + arm, y - arm);
    context.lineWidth = 2;
    context.strokeStyle = colour;
    context.stroke();
  }

  private box(box: Box, colour: string, corner: number, line = this.colours.line): void {
    const { context } = this;
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, box.height, corner);
    context.fillStyle = colour;
    context.fill();
    context.lineWidth = 1;
    context.strokeStyle = line;
    context.stroke();
  }

  private outline(box: Box, corner: number): void {
    const { context } = this;
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, box.height, corner);
    context.setLineDash([4, 4]);
    context.lineWidth = 1;
    context.strokeStyle = this.colours.line;
    context.stroke();
    context.setLineDash([]);
  }

  private width(text: string, bold: boolean): number {
    this.context.font = `${bold ? "600 " : ""}12px ${this.font}`;
    return this.context.measureText(text).width;
  }

  private label(
    text: string,
    x: number,
    y: number,
    bold = false,
    turn = 0,
    turnedX = 0,
    soft = false,
  ): void {
    const { context, colours } = this;
    context.font = `${bold ? "600 " : ""}12px ${this.font}`;
    context.fillStyle = soft ? colours.soft : colours.text;
    if (turn === 0) {
      context.fillText(text, x, y);
      return;
    }
    context.save();
    context.translate(turnedX, y + 40);
    context.rotate(turn);
    context.fillText(text, 0, 0);
    context.restore();
  }
}

/** The colours of the page's theme, and its font. */
function theme(element: Element): [Colours, string] {
  const style = getComputedStyle(element);
  const colour = (name: string, otherwise: string): string =>
    style.getPropertyValue(name).trim() || otherwise;
  return [
    {
      text: colour("--chart-text", "#33404a"),
      soft: colour("--chart-ideal", "#6b7280"),
      group: colour("--diagram-group", "#f2f5f8"),
      box: colour("--diagram-box", "#fff"),
      line: colour("--chart-grid", "#e4e8ec"),
      runs: colour("--chart-predicted", "#2563c9"),
      waits: colour("--chart-measured", "#b4530a"),
      lost: colour("--chart-lost", "#b3121d"),
    },
    style.fontFamily || "sans-serif",
  ];
}
