// A network that can be trained, as plain data: layers in the order in which they run, each naming the values it reads and makes,
// and its parameters by name. Functions build them: `sequential([1, 28, 28], [adder({ filters: 6, kernel: 5 }), batchNorm(), …])`.

import { AdderNetError } from "../core/errors.ts";

/** Channels, height, width of one image's value. */
export type Shape = readonly [channels: number, height: number, width: number];
/** Height, width. */
export type Pair = readonly [number, number];

export interface Window {
  readonly kernel: Pair;
  readonly strides: Pair;
  readonly dilations: Pair;
  /** Top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
}

/** Codes stand for step·code, from low to high. */
export interface GridOptions {
  readonly step: number;
  readonly low: number;
  readonly high: number;
}

interface LayerBase {
  readonly name: string;
  readonly input: string;
  readonly output: string;
}

/** y[m] = bias[m] - Σ|x - w| (adder) or bias[m] + Σ x·w (conv). Weights [filters, channels/group, KH, KW]. */
export interface FilterLayer extends LayerBase, Window {
  readonly kind: "adder" | "conv";
  readonly filters: number;
  readonly group: number;
  readonly weight: string;
  readonly bias?: string;
  /** Weights are used as low-bit codes would have them, gradients passed straight through. */
  readonly grid?: GridOptions;
}

/** y = gamma·(x - mean)/√(variance + epsilon) + beta per channel; the batch's statistics in training, running ones otherwise. */
export interface NormLayer extends LayerBase {
  readonly kind: "norm";
  readonly gamma?: string;
  readonly beta?: string;
  readonly mean: string;
  readonly variance: string;
  readonly epsilon: number;
  /** Share of the newest batch in the running statistics. */
  readonly momentum: number;
}

export interface ReluLayer extends LayerBase {
  readonly kind: "relu";
}

/** Slopes: one, or one per channel. */
export interface PreluLayer extends LayerBase {
  readonly kind: "prelu";
  readonly slope: string;
}

export interface PoolLayer extends LayerBase, Window {
  readonly kind: "maxPool" | "averagePool";
  /** Whether padding counts as zeros in a mean. */
  readonly countsPadding: boolean;
}

export interface AddLayer extends LayerBase {
  readonly kind: "add";
  readonly other: string;
}

/** [C,H,W] as [C·H·W,1,1]. */
export interface FlattenLayer extends LayerBase {
  readonly kind: "flatten";
}

/** step·clamp(round(x/step), low, high), its gradient passed straight through inside that range: what low-bit codes do to a value. */
export interface GridLayer extends LayerBase, GridOptions {
  readonly kind: "grid";
}

export type Layer =
  | FilterLayer
  | NormLayer
  | ReluLayer
  | PreluLayer
  | PoolLayer
  | AddLayer
  | FlattenLayer
  | GridLayer;

/** What a parameter is to its layer; "mean" and "variance" are statistics, which no gradient reaches. */
export type Role = "adder" | "conv" | "bias" | "gamma" | "beta" | "slope" | "mean" | "variance";

export interface Parameter {
  readonly name: string;
  readonly role: Role;
  readonly dims: readonly number[];
}

export interface Network {
  readonly input: string;
  readonly shape: Shape;
  readonly layers: readonly Layer[];
  readonly output: string;
  readonly parameters: ReadonlyMap<string, Parameter>;
}

export const isTrained = ({ role }: Parameter): boolean => role !== "mean" && role !== "variance";

export const outputLength = (size: number, kernel: number, stride: number, dilation: number, pads: number) =>
  Math.floor((size + pads - dilation * (kernel - 1) - 1) / stride) + 1;

/** Errors: ADN_SHAPE where a window is larger than its map. */
export function shapeAfterWindow(name: string, [, height, width]: Shape, window: Window): Pair {
  const { kernel, strides, dilations, pads } = window;
  const after = outputLength(height, kernel[0], strides[0], dilations[0], pads[0] + pads[2]);
  const across = outputLength(width, kernel[1], strides[1], dilations[1], pads[1] + pads[3]);
  if (after >= 1 && across >= 1) return [after, across];
  throw new AdderNetError("ADN_SHAPE", "the window is larger than the map", {
    where: name,
    found: `kernel ${kernel.join("x")} on a map of ${height}x${width}`,
  });
}

function shapeAfter(layer: Layer, shapes: ReadonlyMap<string, Shape>): Shape {
  const shape = shapes.get(layer.input);
  if (shape === undefined) {
    throw new AdderNetError("ADN_SHAPE", `nothing makes the value "${layer.input}"`, { where: layer.name });
  }
  switch (layer.kind) {
    case "adder":
    case "conv":
      return [layer.filters, ...shapeAfterWindow(layer.name, shape, layer)];
    case "maxPool":
    case "averagePool":
      return [shape[0], ...shapeAfterWindow(layer.name, shape, layer)];
    case "flatten":
      return [shape[0] * shape[1] * shape[2], 1, 1];
    case "add":
      if (shapes.get(layer.other)?.join() !== shape.join()) {
        throw new AdderNetError("ADN_SHAPE", "values of different shapes are added", {
          where: layer.name,
          found: `[${shape.join(", ")}] and [${shapes.get(layer.other)?.join(", ")}]`,
        });
      }
      return shape;
    default:
      return shape;
  }
}

/** The shape of every value, by name. Errors: ADN_SHAPE. */
export function shapesOf(network: Pick<Network, "input" | "shape" | "layers">): ReadonlyMap<string, Shape> {
  const shapes = new Map<string, Shape>([[network.input, network.shape]]);
  for (const layer of network.layers) shapes.set(layer.output, shapeAfter(layer, shapes));
  return shapes;
}

/** The parameters of a layer, by the shape of what it reads. */
export function parametersOf(layer: Layer, [channels]: Shape): Parameter[] {
  switch (layer.kind) {
    case "adder":
    case "conv": {
      const { weight, bias, filters, kernel, group, kind } = layer;
      const dims = [filters, channels / group, ...kernel];
      return [
        { name: weight, role: kind, dims },
        ...(bias === undefined ? [] : [{ name: bias, role: "bias", dims: [filters] } as const]),
      ];
    }
    case "norm": {
      const { gamma, beta, mean, variance } = layer;
      const of = (name: string | undefined, role: Role): Parameter[] =>
        name === undefined ? [] : [{ name, role, dims: [channels] }];
      return [...of(gamma, "gamma"), ...of(beta, "beta"), ...of(mean, "mean"), ...of(variance, "variance")];
    }
    case "prelu":
      return [{ name: layer.slope, role: "slope", dims: [1] }];
    default:
      return [];
  }
}

/** A network out of its layers; slopes with dims of their own are given in `parameters`. Errors: ADN_SHAPE. */
export function makeNetwork(
  parts: Omit<Network, "parameters">,
  known: ReadonlyMap<string, Parameter> = new Map(),
): Network {
  const shapes = shapesOf(parts);
  const parameters = new Map<string, Parameter>();
  for (const layer of parts.layers) {
    for (const parameter of parametersOf(layer, shapes.get(layer.input)!)) {
      const { name } = parameter;
      if (parameters.has(name)) {
        throw new AdderNetError("ADN_SHAPE", `two layers share the parameter "${name}"`, {
          where: layer.name,
        });
      }
      parameters.set(name, known.get(name) ?? parameter);
    }
  }
  return { ...parts, parameters };
}

/** Adds one or more layers behind a value; answers the name of the value they make. */
export type Block = (draft: Draft, input: string) => string;

export interface Draft {
  readonly layers: Layer[];
  /** A name not used yet: the wanted one, or `kind` and a number. */
  readonly name: (kind: string, wanted?: string) => string;
  readonly shapeOf: (value: string) => Shape;
}

function makeDraft(input: string, shape: Shape): Draft {
  const layers: Layer[] = [];
  const counts = new Map<string, number>();
  return {
    layers,
    name(kind, wanted) {
      if (wanted !== undefined) return wanted;
      const count = (counts.get(kind) ?? 0) + 1;
      counts.set(kind, count);
      return `${kind}${count}`;
    },
    shapeOf: (value) => shapesOf({ input, shape, layers }).get(value)!,
  };
}

function append(draft: Draft, layer: Layer): string {
  draft.layers.push(layer);
  return layer.output;
}

const pair = (value: number | Pair): Pair => (typeof value === "number" ? [value, value] : value);

export interface FilterOptions {
  readonly filters: number;
  readonly kernel?: number | Pair;
  readonly stride?: number | Pair;
  readonly pad?: number | Pair;
  readonly dilation?: number | Pair;
  readonly group?: number;
  readonly bias?: boolean;
  readonly name?: string;
}

function filterBlock(kind: "adder" | "conv", options: FilterOptions): Block {
  return (draft, input) => {
    const name = draft.name(kind, options.name);
    const [padY, padX] = pair(options.pad ?? 0);
    return append(draft, {
      kind,
      name,
      input,
      output: `${name}.y`,
      filters: options.filters,
      kernel: pair(options.kernel ?? 1),
      strides: pair(options.stride ?? 1),
      dilations: pair(options.dilation ?? 1),
      pads: [padY, padX, padY, padX],
      group: options.group ?? 1,
      weight: `${name}.${kind === "adder" ? "adder" : "weight"}`,
      ...(options.bias && { bias: `${name}.${kind === "adder" ? "b" : "bias"}` }),
    });
  };
}

/** Y = -Σ|X - W|. */
export const adder = (options: FilterOptions): Block => filterBlock("adder", options);
/** An ordinary convolution. */
export const conv = (options: FilterOptions): Block => filterBlock("conv", options);

/** A fully connected layer over the whole map. */
export function linear(options: Omit<FilterOptions, "kernel" | "stride" | "pad" | "dilation">): Block {
  return (draft, input) => {
    const [, height, width] = draft.shapeOf(input);
    return conv({ ...options, kernel: [height, width] })(draft, input);
  };
}

export interface NormOptions {
  readonly epsilon?: number;
  readonly momentum?: number;
  readonly name?: string;
}

export function batchNorm({ epsilon = 1e-5, momentum = 0.1, name: wanted }: NormOptions = {}): Block {
  return (draft, input) => {
    const name = draft.name("norm", wanted);
    return append(draft, {
      kind: "norm",
      name,
      input,
      output: `${name}.y`,
      gamma: `${name}.weight`,
      beta: `${name}.bias`,
      mean: `${name}.running_mean`,
      variance: `${name}.running_var`,
      epsilon,
      momentum,
    });
  };
}

function simpleBlock(kind: "relu" | "flatten"): Block {
  return (draft, input) => {
    const name = draft.name(kind);
    return append(draft, { kind, name, input, output: `${name}.y` });
  };
}

export const relu = (): Block => simpleBlock("relu");
export const flatten = (): Block => simpleBlock("flatten");

/** One slope for all channels. */
export function prelu({ name: wanted }: { readonly name?: string } = {}): Block {
  return (draft, input) => {
    const name = draft.name("prelu", wanted);
    return append(draft, { kind: "prelu", name, input, output: `${name}.y`, slope: `${name}.weight` });
  };
}

/** Values rounded to low-bit codes: see `GridLayer`. */
export function grid({ step, low, high }: GridOptions): Block {
  return (draft, input) => {
    const name = draft.name("grid");
    return append(draft, { kind: "grid", name, input, output: `${name}.y`, step, low, high });
  };
}

function poolBlock(kind: PoolLayer["kind"], kernel: Pair, strides: Pair, pad: Pair): Block {
  return (draft, input) => {
    const name = draft.name(kind);
    const pads = [pad[0], pad[1], pad[0], pad[1]] as const;
    const window = { kernel, strides, dilations: [1, 1] as const, pads };
    return append(draft, { kind, name, input, output: `${name}.y`, ...window, countsPadding: true });
  };
}

export const maxPool = (
  kernel: number | Pair,
  stride: number | Pair = kernel,
  pad: number | Pair = 0,
): Block => poolBlock("maxPool", pair(kernel), pair(stride), pair(pad));
export const averagePool = (kernel: number | Pair, stride: number | Pair = kernel): Block =>
  poolBlock("averagePool", pair(kernel), pair(stride), [0, 0]);

/** The mean over all positions. */
export function globalAverage(): Block {
  return (draft, input) => {
    const [, height, width] = draft.shapeOf(input);
    return poolBlock("averagePool", [height, width], [1, 1], [0, 0])(draft, input);
  };
}

const chain = (blocks: readonly Block[], draft: Draft, input: string): string =>
  blocks.reduce((value, block) => block(draft, value), input);

/** body(x) + shortcut(x). */
export function residual(body: readonly Block[], shortcut: readonly Block[] = []): Block {
  return (draft, input) => {
    const first = chain(body, draft, input);
    const other = chain(shortcut, draft, input);
    const name = draft.name("add");
    return append(draft, { kind: "add", name, input: first, other, output: `${name}.y` });
  };
}

/** A network of blocks one after the other, for images of `shape`. Errors: ADN_SHAPE. */
export function sequential(shape: Shape, blocks: readonly Block[]): Network {
  const draft = makeDraft("input", shape);
  const output = chain(blocks, draft, "input");
  return makeNetwork({ input: "input", shape, layers: draft.layers, output });
}
