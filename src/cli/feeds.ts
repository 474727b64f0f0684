// Arrays from files as feeds: matched to the model's inputs by name, in its types, and only when nothing is lost.

import type { DataType } from "../core/dtype.ts";
import { AdderNetError } from "../core/errors.ts";
import type { Dim, Model } from "../core/ir/model.ts";
import { elementCount, type Tensor } from "../core/tensor.ts";
import { convertExactly } from "./convert-exactly.ts";
import { decodeNpy } from "./npy.ts";
import { readWholeFile } from "./read-model.ts";

export interface ModelInput {
  readonly name: string;
  readonly type: DataType;
  /** Absent when the rank is unknown. */
  readonly shape?: readonly Dim[];
}

/** What must be fed. Errors: ADN_ONNX_MODEL for inputs that are no tensors. */
export function modelInputs({ graph }: Model): ModelInput[] {
  return graph.inputs.map(({ name, type }) => {
    if (type?.kind !== "tensor") {
      throw new AdderNetError("ADN_ONNX_MODEL", `input "${name}" is no tensor`, {
        fix: "such models cannot be fed from files",
      });
    }
    return { name, type: type.elemType, ...(type.shape && { shape: type.shape }) };
  });
}

export function shapeText(shape: readonly Dim[] | undefined): string {
  return shape ? `[${shape.map((dim) => dim ?? "?").join(", ")}]` : "of any rank";
}

function inType(tensor: Tensor, input: ModelInput, where: string): Tensor {
  if (tensor.type === input.type) return tensor;
  const converted = convertExactly(tensor, input.type);
  if (converted) return converted;
  throw new AdderNetError("ADN_FEED", `the values do not all exist in the type of input "${input.name}"`, {
    where,
    expected: input.type,
    found: tensor.type,
    fix: `save it in the model's type, for example numpy.save(file, x.astype(numpy.${input.type}))`,
  });
}

function tooManyRows({ name, shape }: ModelInput, tensor: Tensor, where: string): AdderNetError {
  return new AdderNetError("ADN_FEED", `the model takes a batch of ${shape![0]} at input "${name}"`, {
    where,
    expected: shapeText(shape),
    found: shapeText(tensor.dims),
    fix: `take the first rows with --limit ${shape![0]}, or export with a free batch: dynamic_axes={"${name}": {0: "batch"}}`,
  });
}

function checkShape(tensor: Tensor, input: ModelInput, where: string): void {
  const { shape } = input;
  if (shape === undefined) return;
  const fits = (axis: number): boolean =>
    typeof shape[axis] !== "number" || shape[axis] === tensor.dims[axis];
  const sameRank = shape.length === tensor.dims.length;
  if (sameRank && shape.every((_, axis) => fits(axis))) return;
  const onlyBatchDiffers = sameRank && shape.every((_, axis) => axis === 0 || fits(axis));
  if (onlyBatchDiffers && tensor.dims[0]! > Number(shape[0])) throw tooManyRows(input, tensor, where);
  throw new AdderNetError("ADN_FEED", `the array does not fit input "${input.name}"`, {
    where,
    expected: shapeText(shape),
    found: shapeText(tensor.dims),
  });
}

/** The first `rows` rows. */
function firstRows(tensor: Tensor, rows: number | undefined): Tensor {
  const [count, ...rest] = tensor.dims;
  if (rows === undefined || count === undefined || rows >= count) return tensor;
  return { ...tensor, dims: [rows, ...rest], data: tensor.data.slice(0, rows * elementCount(rest)) };
}

export interface NamedFile {
  readonly name: string | undefined;
  readonly path: string;
}

/** Which file goes to which input. A file without a name goes to the only input. */
function assign(files: readonly NamedFile[], inputs: readonly ModelInput[]): Map<ModelInput, string> {
  const known = inputs.map(({ name }) => name).join(", ");
  const assigned = new Map<ModelInput, string>();
  for (const { name, path } of files) {
    const input =
      name === undefined && inputs.length === 1 ? inputs[0] : inputs.find((one) => one.name === name);
    if (input === undefined) {
      const problem =
        name === undefined ? "the file needs an input's name" : `the model has no input "${name}"`;
      throw new AdderNetError("ADN_FEED", problem, {
        where: path,
        expected: `one of: ${known}`,
        ...(name === undefined && { fix: `write it as NAME=${path}` }),
      });
    }
    if (assigned.has(input)) throw new AdderNetError("ADN_FEED", `input "${input.name}" is given twice`);
    assigned.set(input, path);
  }
  const missing = inputs.filter((input) => !assigned.has(input));
  if (missing.length > 0) {
    throw new AdderNetError("ADN_FEED", `no file for ${missing.map(({ name }) => `"${name}"`).join(", ")}`, {
      fix: missing.map(({ name, shape }) => `--input ${name}=x.npy ${shapeText(shape)}`).join(" "),
    });
  }
  return assigned;
}

/** Feeds from .npy files. Errors: ADN_FEED, ADN_NPY, ADN_FILE. */
export function readFeeds(files: readonly NamedFile[], model: Model, limit?: number): Map<string, Tensor> {
  const feeds = new Map<string, Tensor>();
  for (const [input, path] of assign(files, modelInputs(model))) {
    const tensor = firstRows(decodeNpy(readWholeFile(path), path), limit);
    checkShape(tensor, input, path);
    feeds.set(input.name, inType(tensor, input, path));
  }
  return feeds;
}
