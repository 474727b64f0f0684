// The model as plain data: what an ONNX file says, without protobuf. Names link nodes; nothing here has behaviour.

import type { DataType } from "../dtype.ts";
import type { Tensor } from "../tensor.ts";

/** A length, a symbol shared by name, or null where nothing is known. */
export type Dim = number | string | null;

export interface TensorType {
  readonly kind: "tensor";
  readonly elemType: DataType;
  /** Absent when the rank is unknown. */
  readonly shape?: readonly Dim[];
  /** What the values stand for, in ONNX's words. */
  readonly denotation?: string;
  /** The same for each axis, "" where nothing is said. */
  readonly dimDenotations?: readonly string[];
}

/** Sequence, map, optional and sparse types: carried through unread. */
export interface OpaqueType {
  readonly kind: "opaque";
  readonly proto: unknown;
}

export interface ValueInfo {
  readonly name: string;
  /** Absent when the file gives only a name. */
  readonly type?: TensorType | OpaqueType;
  readonly docString?: string;
  readonly metadata?: ReadonlyMap<string, string>;
}

/** What a file says about a tensor besides its value. */
export interface TensorNotes {
  /** Of tensors in attributes. */
  readonly name?: string;
  readonly docString?: string;
  readonly metadata?: ReadonlyMap<string, string>;
}

export type Attribute = {
  readonly docString?: string;
  /** Of TENSOR and TENSORS, one for each tensor. */
  readonly tensorNotes?: readonly TensorNotes[];
} & (
  | { readonly type: "FLOAT"; readonly value: number }
  | { readonly type: "INT"; readonly value: bigint }
  | { readonly type: "STRING"; readonly value: Uint8Array }
  | { readonly type: "TENSOR"; readonly value: Tensor }
  | { readonly type: "GRAPH"; readonly value: Graph }
  | { readonly type: "FLOATS"; readonly value: readonly number[] }
  | { readonly type: "INTS"; readonly value: readonly bigint[] }
  | { readonly type: "STRINGS"; readonly value: readonly Uint8Array[] }
  | { readonly type: "TENSORS"; readonly value: readonly Tensor[] }
  | { readonly type: "GRAPHS"; readonly value: readonly Graph[] }
  /** Sparse tensors and type protos: carried through unread. */
  | { readonly type: "OPAQUE"; readonly proto: unknown }
  /** Inside a function body: the value of the calling node's attribute `name`. */
  | { readonly type: "REF"; readonly name: string; readonly of: AttributeType }
);

// biome-ignore format: a table
export type AttributeType =
  | "FLOAT" | "INT" | "STRING" | "TENSOR" | "GRAPH" | "SPARSE_TENSOR" | "TYPE_PROTO"
  | "FLOATS" | "INTS" | "STRINGS" | "TENSORS" | "GRAPHS" | "SPARSE_TENSORS" | "TYPE_PROTOS";

export interface Node {
  opType: string;
  /** "" is the standard domain; "ai.onnx" is read as "". */
  domain: string;
  name: string;
  /** "" marks an optional input or output that is absent. */
  inputs: string[];
  outputs: string[];
  attributes: Map<string, Attribute>;
  docString?: string;
  metadata?: Map<string, string>;
  overload?: string;
  /** Device configurations, carried through unread. */
  deviceConfigurations?: unknown[];
}

export interface Graph {
  name: string;
  /** What a caller must feed. Initialisers that old files list here too are in `overridable`. */
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  /** In topological order once decoded. */
  nodes: Node[];
  initializers: Map<string, Tensor>;
  /** Inputs that have an initialiser as default. */
  overridable: ValueInfo[];
  valueInfo: Map<string, ValueInfo>;
  docString?: string;
  metadata?: Map<string, string>;
  /** By initialiser. */
  initializerNotes?: Map<string, TensorNotes>;
  /** Fields carried through unread. */
  sparseInitializers?: unknown[];
  quantizationAnnotations?: unknown[];
}

/** A model-local function: a body in other ops that any ONNX engine can run. */
export interface FunctionBody {
  name: string;
  domain: string;
  overload?: string;
  inputs: string[];
  outputs: string[];
  /** Attribute names without default. */
  attributes: string[];
  /** Attributes with default. */
  attributeDefaults: Map<string, Attribute>;
  nodes: Node[];
  opsetImports: Map<string, number>;
  valueInfo: Map<string, ValueInfo>;
  docString?: string;
  metadata?: Map<string, string>;
}

export interface Model {
  irVersion: number;
  producerName: string;
  producerVersion: string;
  domain: string;
  modelVersion: bigint;
  docString: string;
  /** Version by domain; "ai.onnx" is read as "". */
  opsetImports: Map<string, number>;
  graph: Graph;
  functions: FunctionBody[];
  metadata: Map<string, string>;
  /** Fields carried through unread. */
  trainingInfo?: unknown[];
  configurations?: unknown[];
}
