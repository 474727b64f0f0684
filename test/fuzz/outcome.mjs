// What a case may come to, and how far results may lie apart.

/** Something that must not happen. */
export class Finding extends Error {
  constructor(what, detail) {
    super(`${what}: ${detail}`);
    this.what = what;
  }
}

export const isKnownError = (error) => error?.name === "AdderNetError";

/** Answers the error's code; anything but an error of ours is a finding. */
export function codeOf(error) {
  if (error instanceof Finding) throw error;
  if (isKnownError(error)) return error.code;
  throw new Finding("crash", error?.stack?.split("\n").slice(0, 6).join("\n") ?? String(error));
}

/** Largest |found - wanted| over the largest |wanted|, at least 1. NaN and infinities must stand in the same places. */
export function distance(found, wanted) {
  if (found.dims.join() !== wanted.dims.join()) return Number.POSITIVE_INFINITY;
  let scale = 1;
  let largest = 0;
  for (let index = 0; index < wanted.data.length; index++) {
    const [a, b] = [Number(found.data[index]), Number(wanted.data[index])];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.POSITIVE_INFINITY;
    scale = Math.max(scale, Math.abs(b));
    largest = Math.max(largest, Math.abs(a - b));
  }
  return largest / scale;
}

export function requireClose(what, found, wanted, tolerance) {
  const apart = distance(found, wanted);
  if (apart <= tolerance) return;
  throw new Finding("mismatch", `${what}: ${apart} apart, [${found.dims}] against [${wanted.dims}]`);
}
