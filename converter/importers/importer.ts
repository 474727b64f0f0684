// What the importer is given, what it reports, and what its families share on the way.

import type { Model, Node } from "../../src/core/ir/model.ts";
import type { OpTable } from "../../src/core/ops/define-op.ts";

/** Attributes a user gives for a node whose exporter lost them, as ONNX names and orders them. */
export interface AdderSettings {
  readonly strides?: readonly number[];
  readonly pads?: readonly number[];
  readonly dilations?: readonly number[];
  readonly group?: number;
}

export interface ImportOptions {
  readonly ops: OpTable;
  /** Attributes by node name; the name of the layer or of its weight is accepted as well. */
  readonly set?: ReadonlyMap<string, AdderSettings>;
  /** Ops that are adder layers under a name of their own: "domain::Op" to "adder2d". */
  readonly mapOps?: ReadonlyMap<string, string>;
}

/** One adder layer, as it was found and as it is now. */
export interface ImportedLayer {
  /** Name of the `addernet::Adder2d` node. */
  readonly node: string;
  /** Name of the module in the original network, for example "layer1.0.conv1". */
  readonly layer: string;
  /** How the export wrote the layer. */
  readonly form: string;
  /** Why it is one, in a sentence. */
  readonly evidence: string;
  /** [M, C/group, KH, KW]. */
  readonly weightShape: readonly number[];
  readonly strides: readonly number[];
  /** Top, left, bottom, right; empty when the node keeps `auto_pad`. */
  readonly pads: readonly number[];
  readonly dilations: readonly number[];
  readonly group: number;
}

export type ImportWarningCode =
  /** A torch.cdist export without Abs was mended. */
  | "ADN_CDIST_REPAIRED"
  /** Sums of distances that stay as they are: no adder layer could be made of them. */
  | "ADN_ADDER_UNRECOGNISED"
  /** A PythonOp without a name was taken for AdderNet's function. */
  | "ADN_PYTHONOP_ASSUMED"
  /** The file calls its batch free and then fixes it. */
  | "ADN_BATCH_FIXED"
  /** One of PyTorch's own operators that is not known here. */
  | "ADN_ATEN_UNKNOWN"
  /** 16-bit floats became float32. */
  | "ADN_FLOAT16_WIDENED";

export interface ImportWarning {
  readonly code: ImportWarningCode;
  readonly node: string;
  readonly message: string;
  readonly fix: string;
}

/** A node that must be an adder layer and cannot be made one. */
export interface ImportProblem {
  readonly code: "ADN_ADDER_INCOMPLETE" | "ADN_ADDER_UNRECOGNISED";
  readonly node: string;
  /** What was found, and what is missing. */
  readonly found: string;
  /** What flags would complete; absent when flags cannot help. */
  readonly lost?: LostGeometry;
}

/** A layer whose strides or pads are not in the file. */
export interface LostGeometry {
  readonly node: Node;
  /** The name by which the user addresses the node. */
  readonly name: string;
  readonly x: string;
  readonly output: string;
  /** [M, C/group, KH, KW]. */
  readonly weightDims: readonly number[];
  readonly known: {
    readonly strides?: readonly [number, number] | undefined;
    readonly pads?: readonly [number, number, number, number] | undefined;
    readonly dilations: readonly [number, number];
    readonly group: number;
  };
  readonly missing: readonly ("strides" | "pads")[];
}

export interface ImportReport {
  readonly layers: readonly ImportedLayer[];
  readonly warnings: readonly ImportWarning[];
  /**
   * The model as its author meant it, before standard ops were gathered into adder layers: functions written out, PyTorch's own ops
   * in standard ops, broken distances mended. What a conversion is checked against.
   */
  readonly meaning: Model;
}

export interface ImportContext {
  readonly model: Model;
  readonly options: ImportOptions;
  readonly layers: ImportedLayer[];
  readonly warnings: ImportWarning[];
  readonly problems: ImportProblem[];
  /** The form that a family found, by the nodes it wrote the layer in: the trace that follows reports it. */
  readonly forms: Map<Node, string>;
  /** Names in use in the graph; whoever adds a value or a node adds its name. */
  names: { readonly values: Set<string>; readonly nodes: Set<string> };
  /** Names that `options.set` gave and a node took. */
  readonly settingsUsed: Set<string>;
}
