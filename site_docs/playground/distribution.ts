// How long requests wait and compute: a shape, and its numbers.

interface Parameter {
  label: string;
  /** A time is shown in ms and written in s; all else is a pure number. */
  time: boolean;
}

const mean: Parameter = { label: "mean, ms", time: true };

/** As `sim.experiment.distribution.PARAMETERS` has them. */
export const SHAPES: Record<string, { label: string; parameters: Parameter[] }> = {
  const: { label: "always the same", parameters: [{ label: "ms", time: true }] },
  exp: { label: "exponential", parameters: [mean] },
  uniform: {
    label: "uniform",
    parameters: [
      { label: "from, ms", time: true },
      { label: "to, ms", time: true },
    ],
  },
  lognorm: {
    label: "log-normal",
    parameters: [mean, { label: "standard deviation / mean", time: false }],
  },
  bimodal: {
    label: "two values",
    parameters: [
      { label: "part that takes the first", time: false },
      { label: "first, ms", time: true },
      { label: "second, ms", time: true },
    ],
  },
};

export interface Distribution {
  shape: string;
  numbers: number[];
}

/** Reads `exp:0.05`. */
export function parse(text: string): Distribution {
  const [shape = "const", numbers = ""] = text.split(":");
  return { shape: shape.trim(), numbers: numbers.split(",").map(Number) };
}

export function format({ shape, numbers }: Distribution): string {
  return `${shape}:${numbers.map(short).join(",")}`;
}

/** Another shape with the same mean. */
export function reshaped(from: Distribution, shape: string): Distribution {
  const average = meanOf(from);
  const numbers: Record<string, number[]> = {
    const: [average],
    exp: [average],
    uniform: [0.5 * average, 1.5 * average],
    lognorm: [average, 1],
    bimodal: [0.9, 0.5 * average, 5.5 * average],
  };
  return { shape, numbers: numbers[shape] ?? [average] };
}

export function meanOf({ shape, numbers: [a = 0, b = 0, c = 0] }: Distribution): number {
  return shape === "uniform" ? (a + b) / 2 : shape === "bimodal" ? a * b + (1 - a) * c : a;
}

/** A number without the noise of binary fractions: 0.05, not 0.050000000000000003. */
export function short(number: number): string {
  return String(Number(number.toPrecision(12)));
}
