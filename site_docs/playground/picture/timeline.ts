// The state of a run at any moment: who waits where, and which thread runs what. No browser needed.
import type { PictureRun, WorkerLife } from "./run.js";

export type Phase = "booting" | "accepting" | "stopping" | "gone";

export interface WorkerState {
  life: WorkerLife;
  phase: Phase;
  /** Requests that it has accepted and that wait for a thread, the first in line first. */
  waiting: number[];
  /** The request that each thread runs; null where the thread is idle. */
  threads: (number | null)[];
}

export interface State {
  time: number;
  /** Requests that no worker has accepted, the first to arrive first. */
  acceptQueue: number[];
  /** By lane. A lane whose worker is gone shows it until the next worker takes the lane. */
  lanes: (WorkerState | null)[];
  answered: number;
  lost: number;
  /** Whether LaunchDarkly is reachable. */
  reachable: boolean;
}

/** Where a request is in a state. */
export interface Spot {
  request: number;
  begin: number;
  end: number;
}

interface Visit extends Spot {
  place: string;
  worker: number;
  slot: number;
}

/** Positions in `sorted` up to which times are at most `time`. */
function upTo(sorted: ArrayLike<number>, time: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! <= time) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/** Gives each interval the lowest number that none before it has at its begin. */
export function slots(intervals: { begin: number; end: number }[]): number[] {
  const ends: number[] = [];
  const chosen: number[] = [];
  const order = intervals.map((_, place) => place);
  order.sort((a, b) => intervals[a]!.begin - intervals[b]!.begin || a - b);
  for (const place of order) {
    const { begin, end } = intervals[place]!;
    let slot = ends.findIndex((until) => until <= begin);
    slot = slot < 0 ? ends.length : slot;
    ends[slot] = end;
    chosen[place] = slot;
  }
  return chosen;
}

/** s by which what the reader does may be noted late: sums of floats are not exact. */
const LATE = 1e-6;

/** How many rows, by time, have come by then. */
function come(rows: readonly (readonly [time: number, ...rest: unknown[]])[], time: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]![0] <= time + LATE) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

export class Timeline {
  /** Lanes that the picture needs: workers that live at the same time. */
  readonly lanes: number;
  /** Threads of a worker. */
  readonly threads: number;
  private readonly visits: Visit[];
  private readonly begins: Float64Array;
  private readonly moments: Float64Array;
  private readonly answers: Float64Array;
  private readonly losses: Float64Array;
  private readonly hanging: Map<number, number>;
  private readonly lanesOf: { life: WorkerLife; lane: number }[];
  private active: Visit[] = [];
  private activeAt = -Infinity;
  private next = 0;

  constructor(readonly run: PictureRun) {
    this.threads = run.visits.reduce(
      (most, [, , , thread]) => Math.max(most, thread),
      run.experiment.server.threads,
    );
    this.visits = run.visits.map(([request, place, worker, thread, begin, end]) => ({
      request,
      place: run.places[place] ?? "waiting",
      worker,
      slot: thread - 1,
      begin,
      end,
    }));
    this.visits.sort((a, b) => a.begin - b.begin || a.request - b.request);
    this.chooseThreads();
    this.begins = Float64Array.from(this.visits, (visit) => visit.begin);
    const known = run.requests.map(([, , , finished, , , outcome]) => ({ finished, outcome }));
    const ends = (ok: boolean): Float64Array =>
      Float64Array.from(
        known.flatMap(({ finished, outcome }) =>
          finished !== null && (outcome === "ok") === ok ? [finished] : [],
        ),
      ).sort();
    this.answers = ends(true);
    this.losses = ends(false);
    this.hanging = new Map(run.hangs);
    const lanes = slots(
      run.workers.map(({ forked, ended }) => ({ begin: forked, end: ended ?? Infinity })),
    );
    this.lanesOf = run.workers.map((life, place) => ({ life, lane: lanes[place]! }));
    this.lanes = Math.max(1, ...lanes.map((lane) => lane + 1));
    const moments = [
      ...this.visits.flatMap(({ begin, end }) => [begin, end]),
      ...run.events.map(([time]) => time),
    ];
    this.moments = Float64Array.from(new Set(moments)).sort();
  }

  get begin(): number {
    return this.run.begin;
  }

  get end(): number {
    return this.run.end;
  }

  /** The first moment after `time` at which anything changes; the end, if there is none. */
  after(time: number): number {
    return this.moments[upTo(this.moments, time)] ?? this.end;
  }

  /** The last moment before `time` at which anything changes; the begin, if there is none. */
  before(time: number): number {
    let place = upTo(this.moments, time) - 1;
    if (place >= 0 && this.moments[place]! >= time) {
      place -= 1;
    }
    return this.moments[place] ?? this.begin;
  }

  /** Whether a request hangs on its thread at that moment. */
  hangs(request: number, time: number): boolean {
    return time < (this.hanging.get(request) ?? -Infinity);
  }

  /** Lines of the log up to that moment. */
  logged(time: number): number {
    return come(this.run.log, time);
  }

  /** What was done to the server up to that moment. */
  done(time: number): number {
    return come(this.run.done, time);
  }

  /** The visits that are under way, by their begin. Forward is cheap; backward looks at all. */
  spots(time: number): readonly Visit[] {
    if (time < this.activeAt) {
      this.active = [];
      this.next = 0;
    }
    const until = upTo(this.begins, time);
    for (; this.next < until; this.next += 1) {
      this.active.push(this.visits[this.next]!);
    }
    this.activeAt = time;
    this.active = this.active.filter((visit) => visit.end > time);
    return this.active;
  }

  stateAt(time: number): State {
    const state: State = {
      time,
      acceptQueue: [],
      lanes: new Array<WorkerState | null>(this.lanes).fill(null),
      answered: upTo(this.answers, time),
      lost: upTo(this.losses, time),
      reachable: this.run.flag_service[come(this.run.flag_service, time) - 1]?.[1] ?? true,
    };
    const workers = new Map<number, WorkerState>();
    for (const { life, lane } of this.lanesOf) {
      if (life.forked <= time) {
        const worker = { life, phase: phaseOf(life, time), waiting: [], threads: this.idle() };
        state.lanes[lane] = worker;
        workers.set(life.number, worker);
      }
    }
    for (const { request, place, worker, slot } of this.spots(time)) {
      const at = workers.get(worker);
      if (at === undefined || place === "accept queue") {
        state.acceptQueue.push(request);
      } else if (place === "thread") {
        at.threads[slot] = request;
      } else {
        at.waiting.push(request);
      }
    }
    return state;
  }

  private idle(): (number | null)[] {
    return new Array<number | null>(this.threads).fill(null);
  }

  /** A run that does not say which thread ran a request gets the first that is free. */
  private chooseThreads(): void {
    const unknown = new Map<number, Visit[]>();
    for (const visit of this.visits) {
      if (visit.place === "thread" && visit.slot < 0) {
        unknown.set(visit.worker, [...(unknown.get(visit.worker) ?? []), visit]);
      }
    }
    for (const visits of unknown.values()) {
      slots(visits).forEach((slot, place) => {
        visits[place]!.slot = slot;
      });
    }
  }
}

function phaseOf(life: WorkerLife, time: number): Phase {
  if (life.ended !== null && time >= life.ended) {
    return "gone";
  }
  if (life.accepted_until !== null && time >= life.accepted_until) {
    return "stopping";
  }
  return life.ready !== null && time >= life.ready ? "accepting" : "booting";
}
