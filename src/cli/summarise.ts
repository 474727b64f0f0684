// A tensor in a few numbers.

import { isFloat } from "../core/dtype.ts";
import { widenFloat16 } from "../core/float16.ts";
import type { Tensor } from "../core/tensor.ts";

export interface Summary {
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  /** Values that are NaN or infinite. */
  readonly notFinite: number;
}

/** The values as numbers that JSON can hold; null for NaN and infinities. */
export function jsonValues(tensor: Tensor): (number | string | null)[] {
  const data =
    tensor.type === "float16" || tensor.type === "bfloat16" ? widenFloat16(tensor).data : tensor.data;
  return Array.from(data as ArrayLike<number | bigint | string>, (value) => {
    if (typeof value === "string") return value;
    const number = Number(value);
    return Number.isFinite(number) ? number : null;
  });
}

export function summarise(tensor: Tensor): Summary {
  const values = jsonValues(tensor);
  const finite = values.filter((value): value is number => typeof value === "number");
  const notFinite = isFloat(tensor.type) ? values.length - finite.length : 0;
  if (finite.length === 0) return { min: null, max: null, mean: null, notFinite };
  let [min, max, sum] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const value of finite) {
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
  }
  return { min, max, mean: sum / finite.length, notFinite };
}

export function summaryText({ min, max, mean, notFinite }: Summary): string {
  if (min === null || max === null || mean === null)
    return notFinite > 0 ? `${notFinite} not finite` : "no numbers";
  const text = `min ${min.toPrecision(6)}, max ${max.toPrecision(6)}, mean ${mean.toPrecision(6)}`;
  return notFinite > 0 ? `${text}, ${notFinite} not finite` : text;
}
