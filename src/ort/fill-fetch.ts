// Outputs that a caller allocates beforehand.

import { AdderNetError } from "../core/errors.ts";
import type { Tensor } from "../core/tensor.ts";

/** A pre-allocated output is filled and answered; otherwise the fresh tensor is. */
export function fillFetch(fetch: object | null, result: object): object {
  const target = fetch as (Tensor & { readonly location?: string }) | null;
  if (target === null || target === result || typeof target !== "object") return result;
  if ((target.location ?? "cpu") !== "cpu" || !("data" in target)) return result;
  const { type, dims, data } = result as Tensor;
  if (target.type !== type || target.dims.join() !== dims.join()) {
    throw new AdderNetError("ADN_FEED", "a pre-allocated output has the wrong type or shape", {
      expected: `${type} ${dims.join("x")}`,
      found: `${target.type} ${target.dims.join("x")}`,
    });
  }
  (target.data as Float32Array).set(data as Float32Array);
  return target;
}
