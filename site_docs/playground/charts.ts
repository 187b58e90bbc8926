// The charts, in the colours of the theme. What they show is in tables too.
import * as Plot from "@observablehq/plot";
import { addSheet } from "./dom.js";
import type { Answer, Measure } from "./messages.js";

const MEASURES: Measure[] = ["mean", "p50", "p95", "p99"];

const COLOURS = { A: "var(--chart-predicted)", B: "var(--chart-measured)" };
const IDEAL = "var(--chart-ideal)";

const STYLE = { background: "none", color: "var(--chart-text)", overflow: "visible" };

/** A figure names the drawing as a whole: what Plot says of its parts says nothing to a reader.
 * Its style, the same in all, goes to the page. */
function unlabelled(drawing: Element): Element {
  for (const style of drawing.querySelectorAll("style")) {
    addSheet(style.textContent);
    style.remove();
  }
  for (const part of drawing.querySelectorAll("[aria-label], [aria-description]")) {
    part.removeAttribute("aria-label");
    part.removeAttribute("aria-description");
  }
  return drawing;
}

interface Dot {
  measure: string;
  side: string;
  value: number;
  low: number;
  high: number;
}

/** Latencies with their bands, of each side and of the ideal queue. */
export function latencies(answers: Answer[], width: number): Element {
  const two = answers.length > 1;
  const rows: Dot[] = answers.flatMap(({ document: summary }, side) =>
    MEASURES.flatMap((measure) => {
      const value = summary.latency_s[measure];
      const band = summary.confidence.latency_s[measure];
      return value === null
        ? []
        : [
            {
              measure,
              side: side === 0 ? "A" : "B",
              value: 1000 * value,
              low: 1000 * Math.max(0, band?.low ?? value),
              high: 1000 * (band?.high ?? value),
            },
          ];
    }),
  );
  const ideals = answers.slice(0, 1).flatMap(({ document: summary }) =>
    MEASURES.flatMap((measure) => {
      const value = summary.ideal[measure];
      return value === null ? [] : [{ measure, side: "ideal", value: 1000 * value }];
    }),
  );
  const most = Math.max(...rows.map((row) => row.high), ...ideals.map((row) => row.value), 1);
  const domain = [...(two ? ["A", "B"] : ["A"]), "ideal"];
  return unlabelled(Plot.plot({
    width,
    height: 44 + MEASURES.length * (two ? 54 : 42),
    marginLeft: 46,
    marginRight: 16,
    style: STYLE,
    x: { label: "ms", domain: [0, most * 1.02], grid: true, ticks: width < 500 ? 4 : 8 },
    y: { label: null, domain, axis: null },
    fy: { label: null, domain: MEASURES, axis: "left" },
    marks: [
      Plot.ruleY(rows, {
        fy: "measure",
        y: "side",
        x1: "low",
        x2: "high",
        stroke: (row: Dot) => COLOURS[row.side as "A" | "B"],
        strokeWidth: 8,
        strokeOpacity: 0.35,
        strokeLinecap: "round",
      }),
      Plot.dot(rows, {
        fy: "measure",
        y: "side",
        x: "value",
        fill: (row: Dot) => COLOURS[row.side as "A" | "B"],
        r: 4,
      }),
      Plot.dot(ideals, {
        fy: "measure",
        y: "side",
        x: "value",
        stroke: IDEAL,
        strokeWidth: 2,
        r: 4,
      }),
    ],
  }));
}

interface Moment {
  time: number;
  running: number;
  waiting: number;
}

/** Busy threads and waiting requests over the first replication of one side. */
export function course(answer: Answer, side: "A" | "B", width: number): Element {
  const { time, running, waiting } = answer.course;
  const moments: Moment[] = time.map((at, place) => ({
    time: at,
    running: running[place] ?? 0,
    waiting: waiting[place] ?? 0,
  }));
  const threads = answer.document.capacity;
  // An event loop has room for far more than there are: a line up there would flatten all else.
  const most = Math.max(...moments.map((moment) => moment.running + moment.waiting));
  const near = threads <= 5 * Math.max(most, 2);
  return unlabelled(Plot.plot({
    width,
    height: 170,
    marginLeft: 46,
    marginRight: 16,
    style: STYLE,
    x: { label: "s", ticks: width < 500 ? 4 : 8 },
    y: { label: "requests", grid: true, nice: true },
    marks: [
      Plot.areaY(moments, {
        x: "time",
        y1: "running",
        y2: (moment: Moment) => moment.running + moment.waiting,
        curve: "step",
        fill: "var(--chart-lost)",
        fillOpacity: 0.45,
      }),
      Plot.areaY(moments, {
        x: "time",
        y: "running",
        curve: "step",
        fill: COLOURS[side],
        fillOpacity: 0.45,
      }),
      Plot.ruleY(near ? [threads] : [], { stroke: "var(--chart-text)", strokeDasharray: "3 3" }),
      Plot.ruleY([0], { stroke: "var(--chart-grid)" }),
    ],
  }));
}
