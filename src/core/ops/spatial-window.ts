// Where a sliding window falls: attributes, padding, output lengths and the stretches of input that convolutions,
// adder convolutions and pooling all walk.

import { AdderNetError } from "../errors.ts";
import { getInts, getString } from "../ir/attributes.ts";
import type { Dim, Node } from "../ir/model.ts";
import { elementCount, stridesOf } from "../tensor.ts";

/** A window by spatial axis, as the attributes of a node say. */
export interface SpatialWindow {
  readonly kernel: readonly Dim[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Every begin, then every end; null where auto_pad depends on a length that is unknown. */
  readonly pads: readonly (number | null)[];
}

/** A window over an input of known lengths. */
export interface BoundWindow {
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  readonly output: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
}

const autoPads = ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"];

/** An INTS attribute of `length` elements, each at least `least`. Anything else is ADN_ATTRIBUTE. */
export function intsOfLength(
  node: Node,
  name: string,
  length: number,
  least: number,
  where: string,
): number[] | undefined {
  const values = getInts(node, name);
  if (values === undefined) return undefined;
  if (values.length !== length || values.some((value) => value < least)) {
    throw new AdderNetError("ADN_ATTRIBUTE", `attribute ${name} is out of range`, {
      where,
      expected: `${length} integers >= ${least}`,
      found: `[${values.join(", ")}]`,
    });
  }
  return values;
}

export function autoPadOf(node: Node, where: string): string {
  const mode = getString(node, "auto_pad") ?? "NOTSET";
  if (autoPads.includes(mode)) return mode;
  throw new AdderNetError("ADN_ATTRIBUTE", "attribute auto_pad is out of range", {
    where,
    expected: autoPads.join(", "),
    found: mode,
  });
}

/** Splits padding into begin and end; SAME_UPPER puts the odd one at the end. */
export function splitPadding(total: number, mode: string): [number, number] {
  const small = Math.floor(total / 2);
  return mode === "SAME_LOWER" ? [total - small, small] : [small, total - small];
}

/** Padding with which the output has ceil(size / stride) positions. With stride 1 it does not depend on the size. */
function samePads(size: Dim, taps: Dim, stride: number, dilation: number, mode: string) {
  if (typeof taps !== "number") return [null, null] as const;
  const reach = (taps - 1) * dilation + 1;
  if (stride === 1) return splitPadding(reach - 1, mode);
  if (typeof size !== "number") return [null, null] as const;
  return splitPadding(Math.max(0, (Math.ceil(size / stride) - 1) * stride + reach - size), mode);
}

/** Strides, dilations and pads with their ONNX defaults for an input of spatial lengths `size` and a kernel `kernel`. */
export function readWindow(
  node: Node,
  size: readonly Dim[],
  kernel: readonly Dim[],
  where: string,
): SpatialWindow {
  const rank = kernel.length;
  const ones = new Array<number>(rank).fill(1);
  const strides = intsOfLength(node, "strides", rank, 1, where) ?? ones;
  const dilations = intsOfLength(node, "dilations", rank, 1, where) ?? ones;
  const mode = autoPadOf(node, where);
  const zeros = new Array<number>(2 * rank).fill(0);
  if (mode === "VALID") return { kernel, strides, dilations, pads: zeros };
  if (mode === "NOTSET") {
    return { kernel, strides, dilations, pads: intsOfLength(node, "pads", 2 * rank, 0, where) ?? zeros };
  }
  const pairs = kernel.map((taps, axis) =>
    samePads(size[axis] ?? null, taps, strides[axis]!, dilations[axis]!, mode),
  );
  return {
    kernel,
    strides,
    dilations,
    pads: [...pairs.map(([begin]) => begin), ...pairs.map(([, end]) => end)],
  };
}

/** Throws ADN_ATTRIBUTE when kernel_shape is given and is not the kernel of W. */
export function checkKernelShape(node: Node, kernel: readonly Dim[], where: string): void {
  const given = intsOfLength(node, "kernel_shape", kernel.length, 1, where);
  if (given?.some((length, axis) => typeof kernel[axis] === "number" && kernel[axis] !== length)) {
    throw new AdderNetError("ADN_ATTRIBUTE", "kernel_shape differs from the shape of W", {
      where,
      expected: kernel.join("x"),
      found: given.join("x"),
    });
  }
}

/**
 * Positions of a window along one axis: floor((size + begin + end - reach) / stride) + 1, with reach = dilation·(taps - 1) + 1.
 * `ceilMode` rounds up instead, but no window may start in the padding at the end. A symbol passes through where the length
 * does not change.
 */
function outputLength(window: SpatialWindow, axis: number, size: Dim, ceilMode: boolean, where: string): Dim {
  const rank = window.kernel.length;
  const [taps, begin, end] = [window.kernel[axis], window.pads[axis], window.pads[axis + rank]];
  const [stride, dilation] = [window.strides[axis]!, window.dilations[axis]!];
  if (typeof taps !== "number" || typeof begin !== "number" || typeof end !== "number") return null;
  const reach = dilation * (taps - 1) + 1;
  if (stride === 1 && begin + end === reach - 1) return size;
  if (typeof size !== "number") return null;
  const steps = (size + begin + end - reach) / stride;
  const length = (ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
  if (steps < 0) {
    throw new AdderNetError("ADN_SHAPE", "the kernel does not fit the padded input", {
      where,
      expected: `at least ${reach}`,
      found: `${size + begin + end}`,
    });
  }
  return ceilMode && (length - 1) * stride >= size + begin ? length - 1 : length;
}

/** Output length along every spatial axis; null where it cannot be known. A window larger than its input is ADN_SHAPE. */
export function outputLengths(
  window: SpatialWindow,
  size: readonly Dim[],
  where: string,
  ceilMode = false,
): Dim[] {
  return window.kernel.map((_, axis) => outputLength(window, axis, size[axis] ?? null, ceilMode, where));
}

/** The window over an input whose lengths are all known. */
export function bindWindow(
  window: SpatialWindow,
  input: readonly number[],
  where: string,
  ceilMode = false,
): BoundWindow {
  const output = outputLengths(window, input, where, ceilMode);
  return { ...window, input, output } as BoundWindow;
}

/** Every index into an array of shape `dims`, last axis fastest. */
function* positions(dims: readonly number[]): Generator<readonly number[]> {
  const total = elementCount(dims);
  const at = dims.map(() => 0);
  for (let count = 0; count < total; count++) {
    yield at;
    for (let axis = dims.length - 1; axis >= 0 && ++at[axis]! === dims[axis]; axis--) at[axis] = 0;
  }
}

/** Half a gigabyte of them. */
const mostStretches = 2 ** 25;

/** Room for what `windowStretches` may find. */
function roomForStretches({ kernel, output }: BoundWindow): Int32Array {
  const most = elementCount(kernel) * elementCount(output.slice(0, -1));
  if (most <= mostStretches) return new Int32Array(4 * most);
  throw new AdderNetError(
    "ADN_LIMIT",
    "a window has too many taps and rows to be walked through one by one",
    {
      expected: `at most ${mostStretches} rows of taps`,
      found: `${most}: kernel ${kernel.join("x")}, output ${output.join("x")}`,
    },
  );
}

/**
 * What a window reads, as stretches along the last axis: quadruples of tap, first input element, first output element and
 * count. Within a stretch the output advances by 1 and the input by the last stride; taps in the padding are left out.
 * Errors: ADN_LIMIT.
 */
export function windowStretches(window: BoundWindow): Int32Array {
  const { input, kernel, output, strides, dilations, pads } = window;
  const last = kernel.length - 1;
  const [inputSteps, rowSteps] = [stridesOf(input), stridesOf(output)];
  const stretches = roomForStretches(window);
  let [length, tap] = [0, 0];
  for (const taps of positions(kernel)) {
    const offsets = taps.map((index, axis) => index * dilations[axis]! - pads[axis]!);
    const first = Math.max(0, Math.ceil(-offsets[last]! / strides[last]!));
    const end = Math.min(output[last]!, Math.floor((input[last]! - 1 - offsets[last]!) / strides[last]!) + 1);
    for (const row of end > first ? positions(output.slice(0, last)) : []) {
      const read = row.map((index, axis) => index * strides[axis]! + offsets[axis]!);
      if (read.some((index, axis) => index < 0 || index >= input[axis]!)) continue;
      const inputRow = read.reduce((sum, index, axis) => sum + index * inputSteps[axis]!, 0);
      const outputRow = row.reduce((sum, index, axis) => sum + index * rowSteps[axis]!, 0);
      const firstRead = inputRow + first * strides[last]! + offsets[last]!;
      stretches.set([tap, firstRead, outputRow + first, end - first], length);
      length += 4;
    }
    tap++;
  }
  return stretches.subarray(0, length);
}
