// addernet inspect: what is in a model and what it costs per image.

import { type ImportedLayer, importAdders } from "../../../converter/index.ts";
import { ops } from "../../../custom-ops/index.ts";
import { type Costs, countCosts } from "../../../runtime/profile/costs.ts";
import { isFloat } from "../../core/dtype.ts";
import { AdderNetError } from "../../core/errors.ts";
import { cloneModel } from "../../core/ir/clone.ts";
import type { Dim, Model, ValueInfo } from "../../core/ir/model.ts";
import type { Tensor } from "../../core/tensor.ts";
import { defineCommand } from "../command.ts";

import { shapeText } from "../feeds.ts";
import * as types from "../flag-types.ts";
import { describeLayer, padsText } from "../layers.ts";
import { countOps } from "../op-counts.ts";
import { type ModelFile, readModel } from "../read-model.ts";
import { textTable } from "../text-table.ts";
import { warningTexts } from "../warning-text.ts";

/** Float values and codes of weights kept in the model, in initialisers and Constant nodes. */
function countParameters({ graph }: Model): number {
  const constants = graph.nodes.flatMap(({ opType, attributes }) => {
    const value = opType === "Constant" ? attributes.get("value") : undefined;
    return value?.type === "TENSOR" ? [value.value] : [];
  });
  const tensors: Tensor[] = [...graph.initializers.values(), ...constants];
  const isCode = ({ type, dims }: Tensor) => (type === "uint8" || type === "int8") && dims.length > 1;
  const counted = tensors.filter((tensor) => isFloat(tensor.type) || isCode(tensor));
  return counted.reduce((sum, { data }) => sum + data.length, 0);
}

function describeValue({ name, type }: ValueInfo) {
  if (type?.kind !== "tensor") return { name, type: type ? "not a tensor" : null, shape: null };
  return { name, type: type.elemType, shape: type.shape ?? null };
}

interface Analysis {
  /** Undefined when a node must be an adder layer and cannot be made one. */
  readonly layers: readonly ImportedLayer[] | undefined;
  readonly costs: Costs | undefined;
  readonly problems: readonly string[];
}

/** Recognition and costs on a copy. What stands in the way is a finding, not a failure. */
function analyse(original: Model, inputShapes: ReadonlyMap<string, readonly Dim[]>): Analysis {
  const problems: string[] = [];
  const attempt = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof AdderNetError)) throw error;
      problems.push(`${error.code}: ${error.message}`);
      return undefined;
    }
  };
  const model = cloneModel(original);
  const imported = attempt(() => importAdders(model, { ops }));
  problems.push(...warningTexts(imported?.warnings ?? []));
  const costs = attempt(() => countCosts(imported ? model : original, inputShapes));
  return { layers: imported?.layers, costs, problems };
}

/** Null as soon as one part is not known. */
function sum(values: readonly (number | null)[]): number | null {
  return values.reduce(
    (total: number | null, value) => (total === null || value === null ? null : total + value),
    0,
  );
}

function adderSummary({ layers, costs }: Analysis) {
  if (layers === undefined) return { layers: null, weights: null, taps: null, additions: null, list: [] };
  const list = (costs?.adders ?? []).map(({ node, weight, taps }) => {
    const layer = layers.find((one) => one.node === node);
    const known = layer ? describeLayer(layer) : { name: node, node };
    return { ...known, weight, taps, additions: taps && 2 * taps };
  });
  const taps = costs ? sum(list.map((layer) => layer.taps)) : null;
  const weights = sum(list.map(({ weight }) => weight?.reduce((product, dim) => product * dim, 1) ?? null));
  return { layers: Math.max(list.length, layers.length), weights, taps, additions: taps && 2 * taps, list };
}

function describe(file: ModelFile, analysis: Analysis) {
  const { model } = file;
  const { costs, problems } = analysis;
  return {
    schemaVersion: 1,
    model: file.path,
    producer: [model.producerName, model.producerVersion].filter(Boolean).join(" ") || null,
    irVersion: model.irVersion,
    opsets: Object.fromEntries(
      [...model.opsetImports].map(([domain, version]) => [domain || "ai.onnx", version]),
    ),
    inputs: model.graph.inputs.map(describeValue),
    outputs: model.graph.outputs.map(describeValue),
    nodes: model.graph.nodes.length,
    ops: [...countOps(model.graph)].map(([op, count]) => ({ op, count })).sort((a, b) => b.count - a.count),
    functions: model.functions.map(({ domain, name }) => `${domain}::${name}`),
    externalData: file.files.slice(1),
    parameters: countParameters(model),
    adder: adderSummary(analysis),
    multiplications: costs && costs.unknown.length === 0 ? costs.multiplications : null,
    scalings: costs && costs.unknown.length === 0 ? costs.scalings : null,
    uncounted: costs?.unknown ?? [],
    metadata: Object.fromEntries(model.metadata),
    problems,
  };
}

type Description = ReturnType<typeof describe>;

const count = (value: number | null): string => (value === null ? "unknown" : value.toLocaleString("en-US"));

function valueText({ name, type, shape }: Description["inputs"][number]): string {
  return `${name}: ${type ?? "?"} ${shape ? shapeText(shape) : ""}`.trimEnd();
}

function layerLines({ adder }: Description): string {
  const rows = adder.list.map((layer) => {
    const taps = layer.taps === null ? "?" : layer.taps.toLocaleString("en-US");
    const weight = layer.weight?.join("x") ?? "?";
    if (!("form" in layer)) return [layer.name, "", weight, "", "", taps];
    return [layer.name, layer.form, weight, layer.strides.join(","), padsText(layer.pads), taps];
  });
  return textTable([["layer", "recognised as", "weight", "stride", "pads", "taps per image"], ...rows], {
    head: true,
  });
}

function descriptionText(description: Description): string {
  const { adder, ops: opCounts } = description;
  const facts = [
    ["model", description.model],
    ["producer", description.producer ?? "unknown"],
    [
      "opsets",
      Object.entries(description.opsets)
        .map((pair) => pair.join(" "))
        .join(", "),
    ],
    ["inputs", description.inputs.map(valueText).join(", ")],
    ["outputs", description.outputs.map(valueText).join(", ")],
    ["nodes", `${description.nodes}`],
    ...(description.functions.length > 0 ? [["functions", description.functions.join(", ")]] : []),
    ...(description.externalData.length > 0 ? [["external data", description.externalData.join(", ")]] : []),
    ["parameters", count(description.parameters)],
    ["adder layers", count(adder.layers)],
    ["adder weights", count(adder.weights)],
    ["adder taps per image", count(adder.taps)],
    ["additions per image", count(adder.additions)],
    ["multiplications per image", count(description.multiplications)],
    ["scalings per image", count(description.scalings)],
  ];
  return [
    textTable(facts),
    textTable(opCounts.map(({ op, count: times }) => [op, `${times}`])),
    ...(adder.list.length > 0 ? [layerLines(description)] : []),
  ].join("\n\n");
}

export const inspectCommand = defineCommand({
  name: "inspect",
  summary: "Lists ops, parameters, additions, multiplications and how each adder layer is recognised.",
  positionals: [{ name: "MODEL", help: "an .onnx file" }],
  flags: {
    "input-shape": {
      type: types.namedShape,
      placeholder: "NAME:1,3,32,32",
      repeat: true,
      help: "count with this shape of an input",
    },
  },
  notes: [
    "Counts are per image: a symbolic batch is one image, a fixed one is divided out. A tap is one |x - w|: a subtraction and an\naddition. Scalings multiply single values (Mul, BatchNormalization, the scale of a fused adder).",
  ],
  examples: ["addernet inspect resnet20.onnx", "addernet inspect export.onnx --json"],
  run: async ({ positionals, flags }, context) => {
    const file = readModel(positionals[0]!);
    const known = file.model.graph.inputs.map(({ name }) => name);
    for (const { name } of flags["input-shape"]) {
      if (known.includes(name)) continue;
      throw new AdderNetError("ADN_USAGE", `the model has no input "${name}"`, {
        expected: known.join(", "),
      });
    }
    const shapes = new Map(flags["input-shape"].map(({ name, dims }) => [name, dims]));
    const description = describe(file, analyse(file.model, shapes));
    for (const problem of description.problems) context.warn(problem);
    const { uncounted } = description;
    if (uncounted.length > 0) {
      context.warn(`lengths are open, so ${uncounted.length} nodes were not counted; give --input-shape`);
    }
    return { text: descriptionText(description), json: description };
  },
});
