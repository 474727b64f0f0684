// Numbers as people read them.

/** Milliseconds, microseconds or seconds, three digits. */
export function time(ms: number): string {
  if (Math.abs(ms) >= 1000) return `${(ms / 1000).toPrecision(3)} s`;
  if (Math.abs(ms) >= 1) return `${ms.toPrecision(3)} ms`;
  return ms === 0 ? "0" : `${short(ms * 1000)} µs`;
}

/** Milliseconds without a unit. */
export const plainMs = (ms: number): string => (ms === 0 ? "0" : ms.toFixed(ms >= 100 ? 1 : ms >= 1 ? 3 : 4));

const short = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

/** 1.81G, 41.2M, 435K: three digits, or as many as asked for. */
export function count(value: number, digits = 3): string {
  for (const [unit, letter] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "K"],
  ] as const) {
    if (Math.abs(value) >= unit) return `${Number((value / unit).toPrecision(digits))}${letter}`;
  }
  return `${Number(value.toPrecision(digits))}`;
}

export function bytes(value: number): string {
  if (value >= 2 ** 30) return `${(value / 2 ** 30).toPrecision(3)} GiB`;
  if (value >= 2 ** 20) return `${(value / 2 ** 20).toPrecision(3)} MiB`;
  return `${(value / 1024).toPrecision(3)} KiB`;
}

export const percent = (share: number): string =>
  `${(100 * share).toFixed(Math.abs(share) < 0.0995 ? 1 : 0)} %`;

export const ratio = (value: number): string => Number(value.toPrecision(3)).toString();

/** Energy in nJ, µJ or mJ. */
export function energy(microjoules: number): string {
  if (microjoules >= 1000) return `${(microjoules / 1000).toPrecision(3)} mJ`;
  return microjoules >= 0.1 || microjoules === 0
    ? `${microjoules.toPrecision(3)} µJ`
    : `${(1000 * microjoules).toPrecision(3)} nJ`;
}
