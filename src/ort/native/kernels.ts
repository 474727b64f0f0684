// The kernels onnxruntime holds of ours: made for a node, called with a context, destroyed. Nothing is ever thrown through onnxruntime:
// what goes wrong becomes a status of its own.

import { dataTypes } from "../../core/dtype.ts";
import { AdderNetError } from "../../core/errors.ts";
import { elementCount } from "../../core/tensor.ts";
import type { CustomOp } from "./custom-ops.ts";
import { type Layer, type LayerGround, makeLayer, type SeenRange } from "./layer.ts";
import { type AttributeNames, dimsOf, readNode } from "./node-info.ts";
import { statusFail } from "./ort-api.ts";
import { answeredPointer, askOrt, callOrt, type OrtHost, writePointer } from "./ort-host.ts";
import type { RangeReader } from "./seen-range.ts";

/** Where the kernels work: onnxruntime's own memory, or one beside it to which operands are copied. */
export interface Workplace extends LayerGround {
  readonly ranges: RangeReader;
  /** Addresses at which the kernels find operands that onnxruntime has at `addresses`. */
  bringIn(addresses: readonly number[], bytes: readonly number[]): readonly number[];
  /** Addresses for an output that onnxruntime wants at `address`, and for scratch. */
  reserve(address: number, bytes: number, scratchBytes: number): readonly [output: number, scratch: number];
  /** Brings an output to where onnxruntime wants it. */
  bringOut(from: number, address: number, bytes: number): void;
}

interface Kernel {
  readonly op: CustomOp;
  readonly layer: Layer;
  /** Place among the op's inputs, and bytes of an element, of every feed. */
  readonly feeds: readonly { readonly input: number; readonly elementBytes: number }[];
  /** Bits that codes of X have had so far. */
  codes: number;
}

export interface KernelTable {
  /** CreateKernelV2: puts a number that stands for the kernel at `out`. Answers a status. */
  create(op: CustomOp, info: number, out: number): number;
  /** KernelComputeV2. Answers a status. */
  compute(kernel: number, context: number): number;
  destroy(kernel: number): void;
  /** Layers of kernels that are there, in the order in which they were made. */
  layers(): Layer[];
  /** What went wrong last, once. */
  takeError(): AdderNetError | undefined;
}

/** Space for text in the place that a status is made from. */
const mostText = 400;

function bytesPerElement(op: CustomOp, input: number): number {
  return dataTypes[op.inputs[input]!.type].bits / 8;
}

function seenIn(kernel: Kernel, ranges: RangeReader, address: number, bytes: number): SeenRange {
  if (kernel.feeds[0]!.elementBytes === 4) {
    return { isNotNegative: ranges.isNotNegative(address, bytes), mostCode: 255 };
  }
  kernel.codes = ranges.mostCode(address, bytes, kernel.codes);
  return { isNotNegative: true, mostCode: kernel.codes };
}

/** Asks for the output of `dims`; answers its address. */
function outputOf(host: OrtHost, context: number, dims: readonly number[]): number {
  for (const [axis, length] of dims.entries()) {
    host.answers.setUint32(8 + 8 * axis, length, true);
    host.answers.setUint32(12 + 8 * axis, length / 2 ** 32, true);
  }
  const value = host.mailbox;
  callOrt(host, "KernelContext_GetOutput", context, 0, value + 8, dims.length, value);
  return askOrt(host, "GetTensorMutableData", answeredPointer(host));
}

function run(kernel: Kernel, host: OrtHost, context: number, workplace: Workplace): void {
  const { layer, feeds, op } = kernel;
  const values = feeds.map(({ input }) => askOrt(host, "KernelContext_GetInput", context, input));
  const missing = values.indexOf(0);
  if (missing >= 0) {
    throw new AdderNetError("ADN_FEED", `nothing is given for ${layer.feeds[missing]}`, {
      where: layer.where,
    });
  }
  const dims = values.map((value) => dimsOf(host, value));
  const bytes = dims.map((each, index) => elementCount(each) * feeds[index]!.elementBytes);
  const addresses = values.map((value) => askOrt(host, "GetTensorMutableData", value));
  const places = workplace.bringIn(addresses, bytes);
  const seen = seenIn(kernel, workplace.ranges, places[0]!, bytes[0]!);
  const plan = layer.planFor(dims, seen);
  const outputBytes = (elementCount(plan.dims) * dataTypes[op.output].bits) / 8;
  const output = outputOf(host, context, plan.dims);
  if (outputBytes === 0) return;
  const [y, scratch] = workplace.reserve(output, outputBytes, plan.scratchBytes);
  plan.run([...places, y, scratch]);
  workplace.bringOut(y, output, outputBytes);
}

function asError(cause: unknown): AdderNetError {
  if (cause instanceof AdderNetError) return cause;
  const problem = cause instanceof Error ? cause.message : String(cause);
  return new AdderNetError("ADN_NATIVE", `the custom op failed: ${problem}`, { cause });
}

/** A status that onnxruntime releases. */
function statusOf(host: OrtHost, message: string): number {
  const text = new TextEncoder().encode(message).subarray(0, mostText);
  for (const [index, byte] of text.entries()) host.answers.setUint8(index, byte);
  host.answers.setUint8(text.length, 0);
  return host.call("CreateStatus", statusFail, host.mailbox);
}

/** The kernels of one onnxruntime. */
export function makeKernelTable(host: OrtHost, workplace: Workplace, names: AttributeNames): KernelTable {
  const kernels = new Map<number, Kernel>();
  let made = 0;
  let lastError: AdderNetError | undefined;
  // At hand where memory is so short that none can be made: a failure must never pass for a result.
  let spare = statusOf(host, "ADN_LIMIT: no memory for an error message");

  /** Does `act`; answers a status. */
  function guarded(act: () => void): number {
    try {
      act();
      return 0;
    } catch (cause) {
      try {
        lastError = asError(cause);
        return statusOf(host, `${lastError.code}: ${lastError.message}`);
      } catch {
        const status = spare;
        spare = 0;
        return status;
      }
    }
  }
  return {
    create: (op, info, out) =>
      guarded(() => {
        const source = readNode(host, op, info, names);
        const layer = makeLayer(source, workplace);
        const feeds = layer.feeds.map((name) => {
          const input = op.inputs.findIndex((each) => each.name === name);
          return { input, elementBytes: bytesPerElement(op, input) };
        });
        kernels.set(++made, { op, layer, feeds, codes: 0 });
        writePointer(host, out, made);
      }),
    compute: (kernel, context) => guarded(() => run(kernels.get(kernel)!, host, context, workplace)),
    destroy(kernel) {
      try {
        kernels.get(kernel)?.layer.release();
      } finally {
        kernels.delete(kernel);
      }
    },
    layers: () => [...kernels.values()].map(({ layer }) => layer),
    takeError() {
      const error = lastError;
      lastError = undefined;
      return error;
    },
  };
}
