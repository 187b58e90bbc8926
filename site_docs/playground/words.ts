// The state of the page: the words of a command line. They are in the address, and can be copied.
import type { About } from "./messages.js";

/** A flag with its value; a flag that takes none has null. */
export type Word = readonly [flag: string, value: string | null];
export type Words = readonly Word[];

/** What the page asks: a command line, and another, if two are compared. */
export interface State {
  a: Words;
  b: Words | null;
}

/** Flags that may be given many times. */
const MANY = new Set(["--disturb", "--skip-agent", "--skip-path"]);

/** Begins the second command line, in the address. */
const SECOND = "B";

export const START: State = {
  a: [
    ["--workers", "2"],
    ["--threads", "2"],
  ],
  b: null,
};

/** The value of a flag: undefined where it is not given, null where it takes none. */
export function get(words: Words, flag: string): string | null | undefined {
  return words.findLast(([name]) => name === flag)?.[1];
}

/** All values of a flag that may be given many times. */
export function all(words: Words, flag: string): string[] {
  return words.flatMap(([name, value]) => (name === flag && value !== null ? [value] : []));
}

/** The words with a flag set: in its place if it was there, else at the end. */
export function set(words: Words, flag: string, value: string | null): Words {
  const place = words.findIndex(([name]) => name === flag);
  if (place < 0 || MANY.has(flag)) {
    return [...words, [flag, value]];
  }
  return words.map((word, index) => (index === place ? [flag, value] : word));
}

export function without(words: Words, ...flags: string[]): Words {
  return words.filter(([name]) => !flags.includes(name));
}

/** The command lines of all sides. */
export function sides(state: State): Words[] {
  return state.b === null ? [state.a] : [state.a, state.b];
}

/** The words as arguments of a command. */
export function flat(words: Words): string[] {
  return words.flatMap(([flag, value]) => (value === null ? [flag] : [flag, value]));
}

/** The command that predicts the same, for a POSIX shell. */
export function command(words: Words): string {
  return ["python -m sim", ...flat(words).map(quoted)].join(" ");
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The state as the part of an address after `#`. */
export function address(state: State): string {
  const b = state.b === null ? [] : [SECOND, ...state.b.map(part)];
  return [...state.a.map(part), ...b].join("&");
}

function part([flag, value]: Word): string {
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
  if (parts.length === 0) {
    return START;
  }
  const second = parts.indexOf(SECOND);
  const read = (texts: string[]): Words => texts.map((text) => word(text, about));
  return second < 0
    ? { a: read(parts), b: null }
    : { a: read(parts.slice(0, second)), b: read(parts.slice(second + 1)) };
}

function word(text: string, about: About): Word {
  const [name = "", ...rest] = text.split("=");
  const plain = decoded(name);
  const flag = plain.length === 1 ? `-${plain}` : `--${plain}`;
  const known = about.flags.find(({ names }) => names.includes(flag));
  // The long name, so that a flag has one name in the state. What is not known, the model refuses.
  const long = known?.names.find((each) => each.startsWith("--")) ?? flag;
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

/** The words of a line of flags, as a shell parts them; what stands before the first is left out. */
export function fromLine(line: string, about: About): Words {
  const texts = [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? "",
  );
  const words: Word[] = [];
  for (let place = 0; place < texts.length; place += 1) {
    const [name = "", inline] = (texts[place] ?? "").split(/=(.*)/s);
    if (!name.startsWith("-")) {
      continue;
    }
    const known = about.flags.find(({ names }) => names.includes(name));
    const flag = known?.names.find((each) => each.startsWith("--")) ?? name;
    const takes = known?.takes_value ?? !(texts[place + 1] ?? "-").startsWith("-");
    if (inline !== undefined) {
      words.push([flag, inline]);
    } else if (takes) {
      place += 1;
      words.push([flag, texts[place] ?? ""]);
    } else {
      words.push([flag, null]);
    }
  }
  return words;
}
