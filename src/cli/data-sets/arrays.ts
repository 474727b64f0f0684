// Images and labels from two .npy files, as samples.

import { AdderNetError } from "../../core/errors.ts";
import type { Tensor } from "../../core/tensor.ts";
import { copyInterleaved, type Samples } from "./samples.ts";

type Shape = readonly [number, number, number];

interface Layout {
  readonly shape: Shape;
  readonly interleaved: boolean;
}

/** N,H,W and N,C,H,W and N,H,W,C; one or three channels decide where the channels are. */
function layoutOf(dims: readonly number[], where: string): Layout {
  const [, a, b, c] = dims as [number, number, number, number];
  if (dims.length === 3) return { shape: [1, a, b], interleaved: false };
  if (dims.length === 2) return { shape: [1, 1, a], interleaved: false };
  if (dims.length !== 4) {
    throw new AdderNetError("ADN_DATA", "the images have the wrong rank", {
      where,
      expected: "N,C,H,W or N,H,W,C or N,H,W or N,features",
      found: dims.join("x"),
    });
  }
  const interleaved = (c === 3 || c === 1) && a !== 3 && a !== 1;
  return interleaved ? { shape: [c, a, b], interleaved } : { shape: [a, b, c], interleaved };
}

function checkLabels(labels: Tensor, count: number, where: string): void {
  const isVector = labels.dims.length === 1 || (labels.dims.length === 2 && labels.dims[1] === 1);
  if (isVector && labels.dims[0] === count && /^u?int/.test(labels.type)) return;
  throw new AdderNetError("ADN_DATA", "the labels do not fit the images", {
    where,
    expected: `${count} integers`,
    found: `${labels.type} [${labels.dims.join(", ")}]`,
  });
}

function numbersOf(images: Tensor, where: string): ArrayLike<number> {
  if (["float32", "float64", "uint8"].includes(images.type)) return images.data as ArrayLike<number>;
  throw new AdderNetError("ADN_DATA", "the images are of a type that is not read", {
    where,
    expected: "uint8 pixels, or float32 or float64 values",
    found: images.type,
  });
}

/** uint8 images are pixels; floats are what the model takes. `where` names the two files. Errors: ADN_DATA. */
export function arraySamples(images: Tensor, labels: Tensor, where: readonly [string, string]): Samples {
  const count = images.dims[0] ?? 0;
  const { shape, interleaved } = layoutOf(images.dims, where[0]);
  const data = numbersOf(images, where[0]);
  checkLabels(labels, count, where[1]);
  const length = shape[0] * shape[1] * shape[2];
  return {
    name: where.join(","),
    count,
    shape,
    kind: images.type === "uint8" ? "pixels" : "values",
    label: (index) => Number((labels.data as ArrayLike<number | bigint>)[index]!),
    read: (index, target, offset) => {
      if (interleaved) copyInterleaved(data, index * length, shape, target, offset);
      else for (let at = 0; at < length; at++) target[offset + at] = data[index * length + at]!;
    },
  };
}
