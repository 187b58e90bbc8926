// Numbers as people read them; the same rules as the command's report.

/** Seconds as about three digits of milliseconds. */
export function ms(seconds: number): string {
  const value = 1000 * seconds;
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0;
  return `${fixed(value, digits)} ms`;
}

/** The same without the unit, for tables that say it once. */
export function bareMs(seconds: number): string {
  return ms(seconds).replace(" ms", "");
}

export function percent(part: number): string {
  const value = 100 * part;
  return `${fixed(value, value < 10 ? 1 : 0)} %`;
}

export function fixed(value: number, digits: number): string {
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

export function count(number: number, what: string): string {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}
