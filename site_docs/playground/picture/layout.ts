// Where everything is drawn, from the width alone: CSS pixels, no canvas.
import type { State } from "./timeline.js";

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Point {
  x: number;
  y: number;
}

export interface Lane {
  box: Box;
  queue: Box;
  threads: Box;
}

export interface Layout {
  width: number;
  height: number;
  accept: Box;
  lanes: Lane[];
  /** Where requests come from, and where answers go. */
  client: Point;
  exit: Point;
  /** Side of a thread, and radius of a dot. */
  thread: number;
  radius: number;
}

const GAP = 10;
const HEAD = 22;

/** Width from which the accept queue stands beside the workers, not above them. */
const WIDE = 620;

/** Most lanes and thread rows that keep their size; more are drawn smaller. */
const MANY_LANES = 8;
const MANY_ROWS = 4;

export function layout(width: number, lanes: number, threads: number): Layout {
  const wide = width >= WIDE;
  const acceptWidth = wide ? 150 : width - 2;
  const left = wide ? acceptWidth + 3 * GAP : 1;
  const laneWidth = width - left - (wide ? 5 * GAP : 1);
  let thread = lanes > MANY_LANES ? 18 : 28;
  // The queue gets what the threads leave of a lane, and half of it at least.
  const threadsWidth = Math.min(threads * (thread + 4), Math.floor(laneWidth * 0.5) - 2 * GAP);
  const queueWidth = laneWidth - threadsWidth - 2 * GAP;
  while (thread > 8 && rowsOf(threads, threadsWidth, thread) > MANY_ROWS) {
    thread -= 2;
  }
  const rows = Math.max(1, rowsOf(threads, threadsWidth, thread));
  const laneHeight = HEAD + Math.max(rows * (thread + 4), lanes > MANY_LANES ? 22 : 34) + GAP;
  const top = wide ? 1 : 76;
  const height = top + lanes * (laneHeight + GAP) - GAP + 1;
  const accept = wide
    ? { x: 2 * GAP, y: 1, width: acceptWidth - 2 * GAP, height: height - 2 }
    : { x: 1, y: 1, width: acceptWidth, height: 64 };
  const placed: Lane[] = [];
  for (let lane = 0; lane < lanes; lane += 1) {
    const box = { x: left, y: top + lane * (laneHeight + GAP), width: laneWidth, height: laneHeight };
    const y = box.y + HEAD;
    const inside = laneHeight - HEAD - GAP;
    placed.push({
      box,
      queue: { x: left + GAP, y, width: queueWidth - GAP, height: inside },
      threads: { x: left + queueWidth + GAP, y, width: threadsWidth, height: inside },
    });
  }
  return {
    width,
    height,
    accept,
    lanes: placed,
    client: { x: -8, y: wide ? height / 2 : 44 },
    exit: { x: width + 8, y: 0 },
    thread,
    radius: Math.min(6, thread / 2 - 2),
  };
}

function rowsOf(threads: number, width: number, side: number): number {
  return Math.ceil(threads / perRow(width, side));
}

function perRow(width: number, side: number): number {
  return Math.max(1, Math.floor((width + 4) / (side + 4)));
}

/** The square of a thread. */
export function threadBox(at: Layout, lane: number, slot: number): Box {
  const { threads } = at.lanes[lane]!;
  const across = perRow(threads.width, at.thread);
  return {
    x: threads.x + (slot % across) * (at.thread + 4),
    y: threads.y + Math.floor(slot / across) * (at.thread + 4),
    width: at.thread,
    height: at.thread,
  };
}

/** Dots that a box has room for. */
export function room(box: Box, radius: number): number {
  const step = 2 * radius + 3;
  return Math.max(1, Math.floor(box.width / step)) * Math.max(1, Math.floor(box.height / step));
}

/** The place of the dot that is `place`-th in line; the first is at the right, next to the threads. */
export function queueSpot(box: Box, place: number, radius: number): Point {
  const step = 2 * radius + 3;
  const across = Math.max(1, Math.floor(box.width / step));
  const down = Math.max(1, Math.floor(box.height / step));
  const column = Math.min(across - 1, Math.floor(place / down));
  const row = place < across * down ? place % down : down - 1;
  return {
    x: box.x + box.width - step * (column + 0.5),
    y: box.y + step * (row + 0.5),
  };
}

/** The part of the accept queue's box in which its dots are. */
export function acceptDots({ accept }: Layout): Box {
  return {
    x: accept.x + 6,
    y: accept.y + HEAD + 4,
    width: accept.width - 12,
    height: accept.height - HEAD - 24,
  };
}

/** Calls back with each request of a state, and where its dot belongs. */
export function eachDot(
  state: State,
  at: Layout,
  found: (request: number, x: number, y: number, runs: boolean) => void,
): void {
  const accept = acceptDots(at);
  let most = room(accept, at.radius);
  state.acceptQueue.slice(0, most).forEach((request, place) => {
    const { x, y } = queueSpot(accept, place, at.radius);
    found(request, x, y, false);
  });
  state.lanes.forEach((worker, lane) => {
    if (worker === null) {
      return;
    }
    const { queue } = at.lanes[lane]!;
    most = room(queue, at.radius);
    worker.waiting.slice(0, most).forEach((request, place) => {
      const { x, y } = queueSpot(queue, place, at.radius);
      found(request, x, y, false);
    });
    worker.threads.forEach((request, slot) => {
      if (request !== null) {
        const box = threadBox(at, lane, slot);
        found(request, box.x + box.width / 2, box.y + box.height / 2, true);
      }
    });
  });
}
