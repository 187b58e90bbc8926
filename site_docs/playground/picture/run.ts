// What a picture is made of: the document of `sim/analysis/picture.py`.

/** A request's row; see `sim.run.Request`. */
export type RequestRow = [
  arrival: number,
  accepted: number | null,
  started: number | null,
  finished: number | null,
  worker: number,
  thread: number,
  outcome: string,
  io: number,
  cpu: number,
];

/** One request in one place; see `sim.analysis.visits.Visit`. */
export type VisitRow = [
  request: number,
  place: number,
  worker: number,
  thread: number,
  begin: number,
  end: number,
];

export interface WorkerLife {
  number: number;
  pid: number;
  master: string;
  forked: number;
  ready: number | null;
  accepted_until: number | null;
  ended: number | null;
  why: string;
}

export interface PictureRun {
  schema: string;
  source: "sim" | "reference_app";
  gunicorn: string;
  experiment: {
    server: { workers: number; threads: number; worker_class: string; backlog: number };
    host: { somaxconn: number };
    traffic: { arrivals: string; connection: string };
    launchdarkly: { enabled: boolean };
  };
  requests: RequestRow[];
  events: [time: number, kind: string, process: string][];
  begin: number;
  end: number;
  places: string[];
  visits: VisitRow[];
  hangs: [request: number, until: number][];
  workers: WorkerLife[];
  log: [time: number, pid: number, level: string, text: string][];
  done: [time: number, what: string][];
  flag_service: [time: number, reachable: boolean][];
}
