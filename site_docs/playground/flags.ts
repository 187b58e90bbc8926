// The state of the page: the flags of a command line. They are in the address, and can be copied.
import type { About } from "./messages.js";

/** A flag with its value; a flag that takes none has null. */
export type Flag = readonly [name: string, value: string | null];
export type Flags = readonly Flag[];

/** What the page predicts: all of it is in the address. */
export interface State {
  a: Flags;
  /** The other command line, if two are compared. */
  b: Flags | null;
  /** Moments at which the reader sends requests, s since the start: only the picture has them. */
  sent: readonly number[];
}

/** Flags that may be given many times. */
const MANY = new Set(["--disturb", "--probe", "--route", "--skip-agent", "--skip-path"]);

/** Begins the second command line, in the address. */
const SECOND = "B";

/** Begins the moments of `State.sent`, in the address. No flag has that name. */
const SENT = "sent=";

export const START: State = {
  a: [
    ["--workers", "2"],
    ["--threads", "2"],
  ],
  b: null,
  sent: [],
};

/** The value of a flag: undefined where it is not given, null where it takes none. */
export function get(flags: Flags, name: string): string | null | undefined {
  return flags.findLast(([each]) => each === name)?.[1];
}

/** All values of a flag that may be given many times. */
export function all(flags: Flags, name: string): string[] {
  return flags.flatMap(([each, value]) => (each === name && value !== null ? [value] : []));
}

/** The flags with a flag set: in its place if it was there, else at the end. */
export function set(flags: Flags, name: string, value: string | null): Flags {
  const place = flags.findIndex(([each]) => each === name);
  if (place < 0 || MANY.has(name)) {
    return [...flags, [name, value]];
  }
  return flags.map((flag, index) => (index === place ? [name, value] : flag));
}

export function without(flags: Flags, ...names: string[]): Flags {
  return flags.filter(([name]) => !names.includes(name));
}

/** The command lines of all sides. */
export function sides(state: State): Flags[] {
  return state.b === null ? [state.a] : [state.a, state.b];
}

/** The flags as arguments of a command. */
export function flat(flags: Flags): string[] {
  return flags.flatMap(([flag, value]) => (value === null ? [flag] : [flag, value]));
}

/** The command that predicts the same, for a POSIX shell. */
export function command(flags: Flags): string {
  return ["python -m sim", ...flat(flags).map(quoted)].join(" ");
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The state as the part of an address after `#`. */
export function address(state: State): string {
  const b = state.b === null ? [] : [SECOND, ...state.b.map(part)];
  const sent = state.sent.length === 0 ? [] : [`${SENT}${state.sent.map(String).join(",")}`];
  return [...state.a.map(part), ...b, ...sent].join("&");
}

function part([flag, value]: Flag): string {
  const name = encodeURIComponent(flag.replace(/^--?/, ""));
  if (value === null) {
    return name;
  }
  // Readable: what has no meaning after # stays as it is.
  const text = encodeURIComponent(value).replace(/%(3A|2C|2F|3B)/g, decodeURIComponent);
  return `${name}=${text.replaceAll("%20", "+")}`;
}

/** The state that an address has; `START` where it has none. */
export function fromAddress(hash: string, about: About): State {
  const parts = hash.replace(/^#/, "").split("&").filter(Boolean);
  const sent = parts.filter((text) => text.startsWith(SENT)).flatMap(moments);
  const given = parts.filter((text) => !text.startsWith(SENT));
  if (given.length === 0) {
    return { ...START, sent };
  }
  const second = given.indexOf(SECOND);
  const read = (texts: string[]): Flags => texts.map((text) => flag(text, about));
  return second < 0
    ? { a: read(given), b: null, sent }
    : { a: read(given.slice(0, second)), b: read(given.slice(second + 1)), sent };
}

function moments(text: string): number[] {
  return decoded(text.slice(SENT.length)).split(",").map(Number).filter((at) => at >= 0);
}

function flag(text: string, about: About): Flag {
  const [name = "", ...rest] = text.split("=");
  const plain = decoded(name);
  const given = plain.length === 1 ? `-${plain}` : `--${plain}`;
  const known = about.flags.find(({ names }) => names.includes(given));
  // The long name, so that a flag has one name in the state. What is not known, the model refuses.
  const long = known?.names.find((each) => each.startsWith("--")) ?? given;
  return [long, rest.length === 0 ? null : decoded(rest.join("="))];
}

function decoded(text: string): string {
  const spaced = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}

/** The flags of a line, as a shell parts it; what stands before the first is left out. */
export function fromLine(line: string, about: About): Flags {
  const texts = [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? "",
  );
  const flags: Flag[] = [];
  for (let place = 0; place < texts.length; place += 1) {
    const [name = "", inline] = (texts[place] ?? "").split(/=(.*)/s);
    if (!name.startsWith("-")) {
      continue;
    }
    const known = about.flags.find(({ names }) => names.includes(name));
    const flag = known?.names.find((each) => each.startsWith("--")) ?? name;
    const takes = known?.takes_value ?? !(texts[place + 1] ?? "-").startsWith("-");
    if (inline !== undefined) {
      flags.push([flag, inline]);
    } else if (takes) {
      place += 1;
      flags.push([flag, texts[place] ?? ""]);
    } else {
      flags.push([flag, null]);
    }
  }
  return flags;
}
