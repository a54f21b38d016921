// The course of power in a session, with a hole wherever it is not known.
import { type SVGTemplateResult, svg } from "lit";

/** Power from a moment on, in milliseconds; null where it is not known. */
export interface Step {
  at: number;
  power: number | null;
}

/** A time in milliseconds, its end excluded. */
export type Span = readonly [begin: number, end: number];

export const BINS = 96;

/**
 * Return the mean power of each part of a time, null for those with anything unknown in them:
 * however short an outage is, it is seen.
 */
export function means(
  steps: readonly Step[],
  [begin, end]: Span,
  holes: readonly Span[] = [],
  bins = BINS,
): (number | null)[] {
  const width = (end - begin) / bins;
  const sums = new Array<number>(bins).fill(0);
  const unknown = new Array<boolean>(bins).fill(false);

  const spread = (power: number | null, from: number, to: number) => {
    const last = Math.min(to, end);
    for (let at = Math.max(from, begin); at < last; ) {
      const bin = Math.min(bins - 1, Math.floor((at - begin) / width));
      const until = bin === bins - 1 ? last : Math.min(last, begin + (bin + 1) * width);
      if (power === null) unknown[bin] = true;
      else sums[bin] = (sums[bin] ?? 0) + power * (until - at);
      // What is too short for the clock's digits must not hold the walk up.
      at = Math.max(until, at + 1e-3);
    }
  };

  if (!(width > 0)) return [];
  spread(null, begin, steps[0]?.at ?? end);
  steps.forEach(({ at, power }, index) => spread(power, at, steps[index + 1]?.at ?? end));
  for (const [from, to] of holes) spread(null, from, to);
  return sums.map((sum, bin) => (unknown[bin] ? null : sum / width));
}

/** Draw it into a box of BINS by 100; power below zero lies below the base line. */
export function sparkline(values: readonly (number | null)[]): SVGTemplateResult {
  const known = values.filter((value) => value !== null);
  const highest = Math.max(0, ...known);
  const lowest = Math.min(0, ...known);
  const scale = 92 / (highest - lowest || 1);
  const y = (power: number) => (96 - (power - lowest) * scale).toFixed(1);
  const base = y(0);

  let line = "";
  let area = "";
  let begin: number | null = null;
  values.forEach((value, index) => {
    if (value === null) {
      begin = null;
      return;
    }
    const first = begin === null;
    if (first) begin = index;
    const place = `${first ? index : index + 0.5} ${y(value)}`;
    line += `${first ? "M" : "L"}${place}`;
    area += first ? `M${index} ${base}L${place}` : `L${place}`;
    if (values[index + 1] == null) {
      // To the edge of the last part that is known.
      line += `H${index + 1}`;
      area += `H${index + 1}V${base}Z`;
    }
  });
  return svg`
    <path class="area" d=${area}></path>
    <path class="base" d=${`M0 ${base}H${values.length}`}></path>
    <path class="line" d=${line}></path>
  `;
}
