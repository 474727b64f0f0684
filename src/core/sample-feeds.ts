// Seeded inputs for a check: normal for floats, small integers otherwise, symbols bound to lengths.

import { isFloat } from "./dtype.ts";
import { AdderNetError } from "./errors.ts";
import type { Dim, Graph, ValueInfo } from "./ir/model.ts";
import { allocate, elementCount, type Tensor } from "./tensor.ts";

/** Uniform numbers in [0, 1), the same for the same seed. (mulberry32) */
export function seededUniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function seededNormal(uniform: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Symbols get the given lengths: axis 0 the batch, every other symbol `length`. */
function bindDims(shape: readonly Dim[], batch: number, length: number): number[] {
  return shape.map((dim, axis) => (typeof dim === "number" ? dim : axis === 0 ? batch : length));
}

function sampleTensor(info: ValueInfo, batch: number, length: number, uniform: () => number): Tensor {
  if (info.type?.kind !== "tensor" || info.type.shape === undefined) {
    throw new AdderNetError("ADN_ONNX_MODEL", `input ${info.name} has no tensor type with a shape`, {
      fix: `give its shape, for example --input-shape ${info.name}:1,3,32,32`,
    });
  }
  const { elemType } = info.type;
  const dims = bindDims(info.type.shape, batch, length);
  const data = allocate(elemType, elementCount(dims));
  const normal = seededNormal(uniform);
  if (elemType === "float32" || elemType === "float64") {
    for (let index = 0; index < data.length; index++) data[index] = normal();
  } else if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let index = 0; index < data.length; index++) data[index] = BigInt(Math.floor(uniform() * 4));
  } else if (!isFloat(elemType) && elemType !== "string") {
    const top = elemType === "bool" ? 2 : 4;
    for (let index = 0; index < data.length; index++) data[index] = Math.floor(uniform() * top);
  }
  return { type: elemType, data, dims };
}

/** One tensor per graph input. */
export function sampleFeeds(
  graph: Graph,
  { batch, length, seed }: { batch: number; length: number; seed: number },
): Map<string, Tensor> {
  const uniform = seededUniform(seed);
  return new Map(graph.inputs.map((info) => [info.name, sampleTensor(info, batch, length, uniform)]));
}
