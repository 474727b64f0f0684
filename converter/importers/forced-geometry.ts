// Stride and padding that a file does not hold but that the shapes around a node leave no choice about.

import type { Node } from "../../src/core/ir/model.ts";
import type { PartialGeometry } from "./geometry-attributes.ts";
import type { Scope } from "./translate.ts";

export interface ForcedGeometry {
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly evidence: string;
}

/** Ops whose first output has the shape of their first input. */
const shapeKeeping = new Set(
  "BatchNormalization Relu LeakyRelu PRelu Clip Sigmoid Tanh Elu HardSwish Identity Dropout".split(" "),
);

/** Largest stride considered. */
const largestStride = 8;

/** What a file declares a value's dims to be, when it declares numbers. */
function declaredDims(value: string, scope: Scope): readonly number[] | undefined {
  const { graph } = scope.context.model;
  const info = graph.valueInfo.get(value) ?? graph.outputs.find(({ name }) => name === value);
  const shape = info?.type?.kind === "tensor" ? info.type.shape : undefined;
  return shape?.length === 4 && shape.slice(2).every((dim) => typeof dim === "number")
    ? (shape as number[])
    : undefined;
}

/** Height and width of a value, from what the file declares or from another operand it is added to. */
function knownSize(value: string, scope: Scope): readonly [number, number] | undefined {
  for (let name: string | undefined = value; name !== undefined; ) {
    const dims: readonly number[] | undefined = declaredDims(name, scope) ?? otherOperandDims(name, scope);
    if (dims !== undefined) return [dims[2]!, dims[3]!];
    const readers: readonly Node[] = scope.readers.get(name) ?? [];
    const next: Node | undefined = readers.find(
      (node) => node.domain === "" && shapeKeeping.has(node.opType) && node.inputs[0] === name,
    );
    name = next?.outputs[0];
  }
  return undefined;
}

/** Dims of what a value is added to, where broadcasting cannot be meant. */
function otherOperandDims(value: string, scope: Scope): readonly number[] | undefined {
  for (const node of scope.readers.get(value) ?? []) {
    if (node.domain !== "" || node.opType !== "Add") continue;
    const other = node.inputs.find((name) => name !== value);
    const dims = other === undefined || scope.facts.constant(other) ? undefined : scope.facts.dims(other);
    if (dims?.length === 4 && dims[2]! > 1 && dims[3]! > 1) return dims;
  }
  return undefined;
}

/** Strides and equal paddings, less than the kernel's reach, that bring length `size` to `result`. */
function choices(
  size: number,
  result: number,
  extent: number,
  stride: number | undefined,
  begin: number | undefined,
): [number, number][] {
  const found: [number, number][] = [];
  for (let s = stride ?? 1; s <= (stride ?? largestStride); s++) {
    for (let p = begin ?? 0; p <= (begin ?? extent - 1); p++) {
      const room = size + 2 * p - extent;
      if (room >= 0 && Math.floor(room / s) + 1 === result) found.push([s, p]);
    }
  }
  return found;
}

/**
 * The only stride and padding that fit the known shapes of X and Y, with the same padding on both sides of an axis and less of it than the
 * kernel reaches, as PyTorch's modules have it. Undefined when shapes are not known or leave a choice.
 */
export function forcedGeometry(
  layer: { readonly x: string; readonly output: string },
  known: PartialGeometry,
  dims: readonly number[],
  scope: Scope,
): ForcedGeometry | undefined {
  const x = scope.facts.dims(layer.x);
  const y = knownSize(layer.output, scope);
  if (x?.length !== 4 || y === undefined || known.autoPad !== undefined || scope.hasFreeSpatial)
    return undefined;
  const found = [0, 1].map((axis) => {
    const extent = (dims[axis + 2]! - 1) * (known.dilations?.[axis] ?? 1) + 1;
    return choices(x[axis + 2]!, y[axis]!, extent, known.strides?.[axis], known.pads?.[axis]);
  });
  if (found.some((options) => options.length !== 1)) return undefined;
  const [[strideY, padY], [strideX, padX]] = [found[0]![0]!, found[1]![0]!];
  const evidence =
    `its stride and padding are not in the file, but no other ones (equal on both sides, less than the kernel) ` +
    `bring ${x[2]}x${x[3]} to ${y.join("x")}`;
  return { strides: [strideY, strideX], pads: [padY, padX, padY, padX], evidence };
}
