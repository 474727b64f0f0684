// Parameter names made alike: wrappers that every key begins with are taken off, what is no parameter is left out, and the weights of the
// AdderNet repositories get one shape and one name.

import { widenFloat16 } from "../../src/core/float16.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { type Checkpoint, checkpointError, type ModuleNode, quote } from "./checkpoint.ts";

/** DataParallel, wrappers of training code, torch.compile. */
const wrappers = ["module.", "model.", "network.", "net.", "_orig_mod."];

/** Counters that training and profiling leave in a checkpoint. */
const bookkeeping = /(^|\.)(num_batches_tracked|n_averaged|total_ops|total_params)$/;

/** Suffixes that always mean an adder layer's weights. */
const adderSuffixes = ["adder", "Weight", "pat"];

/** The names without the wrappers that all of them share, and those wrappers. */
function withoutWrappers(names: readonly string[]): { stripped: string[]; removed: string[] } {
  let stripped = [...names];
  const removed: string[] = [];
  for (;;) {
    const wrapper = wrappers.find((prefix) => stripped.every((name) => name.startsWith(prefix)));
    if (wrapper === undefined || stripped.length === 0) return { stripped, removed };
    stripped = stripped.map((name) => name.slice(wrapper.length));
    removed.push(wrapper.slice(0, -1));
  }
}

/** Any float as float32. Errors: ADN_CHECKPOINT for other types, which no parameter has. */
export function asFloat32(tensor: Tensor, where: string): Tensor {
  const { type, data, dims } = tensor;
  if (type === "float32") return tensor;
  if (type === "float16" || type === "bfloat16") return widenFloat16(tensor);
  if (type === "float64") return { type: "float32", data: new Float32Array(data as Float64Array), dims };
  throw checkpointError(where, "the parameter is not of a float type", { expected: "float32", found: type });
}

/** [O,I,k·k] as [O,I,k,k]. */
function withSquareKernel(tensor: Tensor, where: string): Tensor {
  const [outputs, inputs, taps] = tensor.dims;
  const side = Math.sqrt(taps ?? 0);
  if (tensor.dims.length !== 3) return tensor;
  if (Number.isInteger(side)) return { ...tensor, dims: [outputs!, inputs!, side, side] };
  throw checkpointError(where, "the filters are not square", { found: `[${tensor.dims.join(", ")}]` });
}

/** Sparse training keeps the weights whole and a mask beside them: a masked tap is w = 0, which still costs -|x|. */
function masked(tensor: Tensor, mask: Tensor, where: string): Tensor {
  if (mask.dims.join() !== tensor.dims.join()) {
    throw checkpointError(where, "the mask does not have the weights' shape", {
      expected: `[${tensor.dims.join(", ")}]`,
      found: `[${mask.dims.join(", ")}]`,
    });
  }
  const weights = asFloat32(tensor, where).data as Float32Array;
  const factors = (mask.type === "bool" ? mask : asFloat32(mask, where)).data as ArrayLike<number>;
  return { type: "float32", data: weights.map((weight, at) => weight * factors[at]!), dims: tensor.dims };
}

/** The node at a layer's name. */
export function moduleAt(modules: ModuleNode | undefined, path: string): ModuleNode | undefined {
  if (path === "") return modules;
  return path.split(".").reduce<ModuleNode | undefined>((node, part) => node?.children.get(part), modules);
}

/** `weight` of a module whose class is an adder's is an adder's weight. */
function suffixOf(
  path: string,
  suffix: string,
  dims: readonly number[],
  modules: ModuleNode | undefined,
): string {
  if (adderSuffixes.includes(suffix)) return "adder";
  if (suffix === "b") return "bias";
  const className = moduleAt(modules, path)?.className.split(".").at(-1) ?? "";
  return suffix === "weight" && dims.length >= 2 && /adder/i.test(className) ? "adder" : suffix;
}

/**
 * A checkpoint whose keys are `<layer>.adder` or `<layer>.weight`, `<layer>.bias`, and batch normalisation's four, without wrappers and counters.
 * The modules lose the same wrappers. Errors: ADN_CHECKPOINT when two keys become one, or a mask or kernel does not fit.
 */
export function normaliseNames(checkpoint: Checkpoint, where = "checkpoint"): Checkpoint {
  const kept = [...checkpoint.tensors].filter(([name]) => !bookkeeping.test(name));
  const { stripped, removed } = withoutWrappers(kept.map(([name]) => name));
  const modules = moduleAt(checkpoint.modules, removed.join("."));
  const given = new Map(stripped.map((name, at) => [name, kept[at]![1]]));
  const tensors = new Map<string, Tensor>();
  for (const [name, tensor] of given) {
    const [, path, suffix] = /^(?:(.*)\.)?([^.]*)$/s.exec(name)! as unknown as [
      string,
      string | undefined,
      string,
    ];
    const layer = path ?? "";
    const mask = given.get(`${layer}.adder_mask`);
    if (mask !== undefined && (suffix === "adder_mask" || suffix === "s")) continue;
    const key = `${layer === "" ? "" : `${layer}.`}${suffixOf(layer, suffix, tensor.dims, modules)}`;
    const place = `${where}, tensor ${quote(name)}`;
    if (tensors.has(key)) throw checkpointError(place, "the layer has these weights under two names");
    const value = suffix === "adder" && mask !== undefined ? masked(tensor, mask, place) : tensor;
    tensors.set(key, key.endsWith("adder") ? withSquareKernel(value, place) : value);
  }
  return { format: checkpoint.format, tensors, ...(modules && { modules }) };
}
