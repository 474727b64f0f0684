// What a caller passes in, checked against what the graph declares.

import { byteLengthOf, type DataType, dataTypes } from "../src/core/dtype.ts";
import { AdderNetError } from "../src/core/errors.ts";
import type { TensorType, ValueInfo } from "../src/core/ir/model.ts";
import { elementCount, type Tensor } from "../src/core/tensor.ts";

/** Tensors by input name. onnxruntime's Tensor objects fit. */
export type Feeds = Readonly<Record<string, Tensor>>;

function refuse(where: string, problem: string, expected?: string, found?: string): never {
  throw new AdderNetError("ADN_FEED", problem, {
    where,
    ...(expected !== undefined && { expected }),
    ...(found !== undefined && { found }),
  });
}

function requireNames(feeds: Feeds, inputs: readonly ValueInfo[]): void {
  if (typeof feeds !== "object" || feeds === null)
    refuse("run", "feeds are tensors by input name", "an object");
  const names = inputs.map(({ name }) => name);
  const missing = names.filter((name) => feeds[name] === undefined);
  const unknown = Object.keys(feeds).filter((name) => !names.includes(name));
  const expected = names.join(", ") || "no inputs";
  if (missing.length > 0) refuse("feeds", `nothing is fed to ${missing.join(", ")}`, expected);
  if (unknown.length > 0) refuse("feeds", `the model has no input ${unknown.join(", ")}`, expected);
}

const isLength = (dim: unknown): boolean => typeof dim === "number" && Number.isInteger(dim) && dim >= 0;

/** Reads the parts of a feed once: onnxruntime's tensors compute them and may refuse. */
function partsOf(where: string, feed: Tensor): Tensor {
  try {
    const { type, data, dims } = feed;
    if (typeof type === "string" && data !== undefined && Array.isArray(dims)) return { type, data, dims };
  } catch (cause) {
    throw new AdderNetError("ADN_FEED", "the tensor's data cannot be read", {
      where,
      fix: "feed a tensor whose data is on the CPU",
      cause,
    });
  }
  return refuse(where, "this is no tensor", "{ type, data, dims }");
}

function requireData(where: string, { type, data, dims }: Tensor): void {
  if (!dims.every(isLength)) refuse(where, "dims are no lengths", "integers >= 0", `[${dims.join(", ")}]`);
  if (!Object.hasOwn(dataTypes, type)) refuse(where, "the type is unknown", undefined, String(type));
  const { array } = dataTypes[type];
  const isRight =
    array === "string"
      ? Array.isArray(data)
      : array === "raw" || data instanceof array || isAlike(data, type);
  if (!isRight)
    refuse(where, "the data is no array of its type", array === "string" ? "string[]" : String(array));
  const count = array === "raw" ? byteLengthOf(type, elementCount(dims)) : elementCount(dims);
  if (data.length !== count) {
    refuse(where, "data and dims disagree", `${count} elements for [${dims.join(", ")}]`, `${data.length}`);
  }
}

/** The same kind of array from another realm, or a newer kind that is read alike (Float16Array bits are refused). */
function isAlike(data: unknown, type: DataType): boolean {
  const { array } = dataTypes[type];
  return typeof array === "function" && Object.prototype.toString.call(data) === `[object ${array.name}]`;
}

const shapeText = (shape: readonly unknown[]): string => `[${shape.map((dim) => dim ?? "?").join(", ")}]`;

function requireShape(
  where: string,
  { shape }: TensorType,
  dims: readonly number[],
  symbols: Map<string, number>,
): void {
  if (shape === undefined) return;
  if (shape.length !== dims.length) {
    refuse(
      where,
      "the rank is wrong",
      `${shape.length}, ${shapeText(shape)}`,
      `${dims.length}, ${shapeText(dims)}`,
    );
  }
  for (const [axis, dim] of shape.entries()) {
    const length = dims[axis]!;
    const wanted = typeof dim === "string" ? (symbols.get(dim) ?? length) : (dim ?? length);
    if (wanted !== length)
      refuse(where, `axis ${axis} has the wrong length`, shapeText(shape), shapeText(dims));
    if (typeof dim === "string" && dim !== "") symbols.set(dim, length);
  }
}

/**
 * The feeds in the order of `inputs`. Missing and unknown names, wrong types, ranks and lengths, symbols that stand for two
 * lengths at once, and data that does not fill its dims throw ADN_FEED.
 */
export function checkFeeds(feeds: Feeds, inputs: readonly ValueInfo[]): Tensor[] {
  requireNames(feeds, inputs);
  const symbols = new Map<string, number>();
  return inputs.map(({ name, type }) => {
    const where = `input "${name}"`;
    const feed = partsOf(where, feeds[name]!);
    if (type?.kind === "tensor" && feed.type !== type.elemType) {
      refuse(where, "the type is wrong", type.elemType, String(feed.type));
    }
    requireData(where, feed);
    if (type?.kind === "tensor") requireShape(where, type, feed.dims, symbols);
    return feed;
  });
}
