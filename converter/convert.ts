// An export in, an optimised and verified model out.

import { attachFunctions, inlineFunctions } from "../custom-ops/attach-functions.ts";
import { ops } from "../custom-ops/index.ts";
import { AdderNetError } from "../src/core/errors.ts";
import { interpret } from "../src/core/interpret.ts";
import { cloneModel } from "../src/core/ir/clone.ts";
import type { Dim, Model } from "../src/core/ir/model.ts";
import { checkOpset, decodeModel, encodeModel } from "../src/core/onnx/index.ts";
import { freeBatch } from "./free-batch.ts";
import {
  type ImportedLayer,
  type ImportOptions,
  type ImportWarning,
  importAdders,
} from "./importers/index.ts";
import { optimise } from "./optimise.ts";
import type { PassReport } from "./passes/index.ts";
import { type CheckOptions, type RunFile, type Verification, verify } from "./verify.ts";

export interface ConvertOptions {
  /** Attributes an exporter lost, by node. */
  readonly set?: ImportOptions["set"];
  /** Ops of the user's own that are adder layers, "domain::Op". */
  readonly mapOps?: ImportOptions["mapOps"];
  /** Shapes to fix for graph inputs. */
  readonly inputShapes?: ReadonlyMap<string, readonly Dim[]>;
  /** "custom" keeps addernet::Adder2d with a function body beside it; "standard" leaves only ONNX ops. */
  readonly target?: "custom" | "standard";
  readonly check?: CheckOptions | false;
  /** What runs the written file in the check; by default the reference of every op, in float32. */
  readonly run?: RunFile;
  /** What runs a file whose ops have no reference here, on both sides of the check: onnxruntime. */
  readonly runForeign?: RunFile;
  /** Keep a batch that the export fixed to 1; by default it becomes free where every node treats rows alike. */
  readonly keepBatch?: boolean;
  readonly onProgress?: (progress: ConvertProgress) => void;
  /** Files the model names as external data, when bytes are given. */
  readonly externalData?: (location: string) => Uint8Array | undefined;
}

export interface ConvertProgress {
  readonly phase: "import" | "optimise" | "verify";
  readonly done: number;
  readonly total: number;
}

export interface ConvertReport {
  readonly layers: readonly ImportedLayer[];
  readonly warnings: readonly ImportWarning[];
  readonly passes: readonly PassReport[];
  readonly nodesBefore: number;
  readonly nodesAfter: number;
  /** The export fixed the batch to 1; the converted model takes any. */
  readonly batchFreed: boolean;
  readonly verification?: Verification;
}

export const defaultCheck: CheckOptions = { samples: 2, rtol: 1e-3, atol: 1e-3 };

/** Runs a file by the reference of every op. */
export const runReference: RunFile = async (bytes, feeds) => {
  const { graph, opsetImports, functions } = decodeModel(bytes);
  return interpret(graph, opsetImports, ops, feeds, { functions });
};

function fixInputShapes(model: Model, shapes: ReadonlyMap<string, readonly Dim[]>): void {
  const known = new Set(model.graph.inputs.map(({ name }) => name));
  for (const name of shapes.keys()) {
    if (known.has(name)) continue;
    throw new AdderNetError("ADN_USAGE", `the model has no input "${name}"`, {
      expected: [...known].join(", "),
    });
  }
  model.graph.inputs = model.graph.inputs.map((info) => {
    const shape = shapes.get(info.name);
    if (shape === undefined) return info;
    const elemType = info.type?.kind === "tensor" ? info.type.elemType : "float32";
    return { ...info, type: { kind: "tensor", elemType, shape } };
  });
  model.graph.valueInfo.clear();
}

/** Domains nobody uses any more, the producer, and an IR version that can hold functions. */
function finish(model: Model, target: "custom" | "standard"): void {
  model.irVersion = Math.max(model.irVersion, 8);
  if (target === "custom") attachFunctions(model);
  else inlineFunctions(model);
}

export interface Converted {
  readonly model: Model;
  /** The model as one ONNX file. */
  readonly bytes: Uint8Array;
  readonly report: ConvertReport;
}

/**
 * Converts an export, given as ONNX bytes or decoded; the argument is left as it is.
 * Errors: those of decoding, ADN_OPSET, ADN_ADDER_INCOMPLETE, ADN_ADDER_UNRECOGNISED, ADN_VERIFY, and ADN_OP_UNSUPPORTED when an op has no
 * reference to verify against (pass `check: false`).
 */
export async function convert(source: Uint8Array | Model, options: ConvertOptions = {}): Promise<Converted> {
  const original =
    source instanceof Uint8Array
      ? decodeModel(source, { ...(options.externalData && { externalData: options.externalData }) })
      : source;
  checkOpset(original);
  const { onProgress, target = "custom", check = defaultCheck } = options;
  const model = cloneModel(original);
  if (options.inputShapes) fixInputShapes(model, options.inputShapes);
  onProgress?.({ phase: "import", done: 0, total: 1 });
  const imported = importAdders(model, {
    ops,
    ...(options.set && { set: options.set }),
    ...(options.mapOps && { mapOps: options.mapOps }),
  });
  onProgress?.({ phase: "optimise", done: 0, total: 1 });
  const passes = optimise(model, { ops });
  const isShapeGiven = (options.inputShapes?.size ?? 0) > 0;
  const mayFree = !options.keepBatch && !isShapeGiven && check !== false;
  const batchFreed = mayFree && freeBatch(model, ops);
  finish(model, target);
  const report: ConvertReport = {
    layers: imported.layers,
    warnings: imported.warnings,
    passes,
    nodesBefore: original.graph.nodes.length,
    nodesAfter: model.graph.nodes.length,
    batchFreed,
  };
  const { bytes } = encodeModel(model);
  if (check === false) return { model, bytes, report };
  try {
    const verification = await verify({
      original: imported.meaning,
      converted: model,
      bytes,
      ops,
      run: options.run ?? runReference,
      ...(options.runForeign && { runForeign: options.runForeign }),
      batchFreed,
      check,
      onProgress: (done, total) => onProgress?.({ phase: "verify", done, total }),
    });
    return { model, bytes, report: { ...report, verification } };
  } catch (error) {
    // Rows that mix show only when several run at once: then the batch stays as the export fixed it.
    const mixes = batchFreed && error instanceof AdderNetError && error.code === "ADN_VERIFY";
    if (!mixes) throw error;
    return convert(original, { ...options, keepBatch: true });
  }
}
