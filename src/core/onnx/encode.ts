// Model -> ONNX bytes, the counterpart of decode.ts.

import { dataTypes } from "../dtype.ts";
import { AdderNetError } from "../errors.ts";
import type {
  Attribute,
  Dim,
  FunctionBody,
  Graph,
  Model,
  Node,
  OpaqueType,
  TensorNotes,
  TensorType,
  ValueInfo,
} from "../ir/model.ts";
import { verifyModel } from "../ir/verify.ts";
import { topologicalOrder } from "../ir/walk.ts";
import type { Tensor } from "../tensor.ts";
import { attributeTypeNumbers } from "./attribute-types.ts";
import { encodeEntries } from "./entries.ts";
import { checkLocation } from "./external-data.ts";
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  OperatorSetIdProto,
  TensorProto,
  TensorShapeProtoDimension,
  TypeProto,
  ValueInfoProto,
} from "./generated/messages.js";
import { requiredIrVersion } from "./ir-version.ts";
import { encodeTensor, moveOutside } from "./tensor-proto.ts";
import { writeModelProto } from "./write-wire.ts";

export interface EncodeOptions {
  /** Puts initialisers of at least `thresholdBytes` (1024 unless told) into a file named `location` beside the model. */
  readonly externalData?: { readonly location: string; readonly thresholdBytes?: number };
}

export interface EncodedModel {
  readonly bytes: Uint8Array;
  /** What `location` has to hold; absent when no tensor went there. */
  readonly externalData?: Uint8Array;
}

const largestFile = 2 ** 31 - 1;

type EncodeInitializer = (tensor: Tensor, name: string, notes: TensorNotes | undefined) => TensorProto;

function encodeOpsets(imports: ReadonlyMap<string, number>): OperatorSetIdProto[] {
  return [...imports].map(([domain, version]) => ({ domain, version: BigInt(version) }));
}

function encodeDim(dim: Dim, denotation: string | undefined): TensorShapeProtoDimension {
  return {
    ...(typeof dim === "number" && { dimValue: BigInt(dim) }),
    ...(typeof dim === "string" && { dimParam: dim }),
    ...(denotation && { denotation }),
  };
}

function encodeType(type: TensorType | OpaqueType): TypeProto {
  if (type.kind === "opaque") return type.proto as TypeProto;
  const { elemType, shape, denotation, dimDenotations } = type;
  const dims = shape?.map((dim, axis) => encodeDim(dim, dimDenotations?.[axis]));
  return {
    tensorType: { elemType: dataTypes[elemType].onnx, ...(dims && { shape: { dim: dims } }) },
    ...(denotation && { denotation }),
  };
}

function encodeValueInfo({ name, type, docString, metadata }: ValueInfo): ValueInfoProto {
  return {
    name,
    ...(type && { type: encodeType(type) }),
    ...(docString && { docString }),
    metadataProps: encodeEntries(metadata),
  };
}

function encodeNoted(tensor: Tensor, notes: TensorNotes | undefined): TensorProto {
  return encodeTensor(tensor, notes?.name ?? "", notes);
}

function attributeFields(attribute: Attribute, encodeInitializer: EncodeInitializer): AttributeProto {
  switch (attribute.type) {
    case "FLOAT":
      return { f: attribute.value };
    case "INT":
      return { i: attribute.value };
    case "STRING":
      return { s: attribute.value };
    case "TENSOR":
      return { t: encodeNoted(attribute.value, attribute.tensorNotes?.[0]) };
    case "GRAPH":
      return { g: encodeGraph(attribute.value, encodeInitializer) };
    case "FLOATS":
      return { floats: attribute.value };
    case "INTS":
      return { ints: attribute.value };
    case "STRINGS":
      return { strings: attribute.value };
    case "TENSORS":
      return {
        tensors: attribute.value.map((tensor, index) => encodeNoted(tensor, attribute.tensorNotes?.[index])),
      };
    case "GRAPHS":
      return { graphs: attribute.value.map((graph) => encodeGraph(graph, encodeInitializer)) };
    case "OPAQUE":
      return attribute.proto as AttributeProto;
    case "REF":
      return { refAttrName: attribute.name };
  }
  attribute satisfies never;
}

function typeNumber(attribute: Attribute): number {
  if (attribute.type === "OPAQUE") return (attribute.proto as AttributeProto).type ?? 0;
  return attributeTypeNumbers[attribute.type === "REF" ? attribute.of : attribute.type];
}

function encodeAttributes(
  attributes: ReadonlyMap<string, Attribute>,
  encodeInitializer: EncodeInitializer,
): AttributeProto[] {
  return [...attributes].map(([name, attribute]) => ({
    ...attributeFields(attribute, encodeInitializer),
    name,
    type: typeNumber(attribute),
    ...(attribute.docString && { docString: attribute.docString }),
  }));
}

function encodeNode(node: Node, encodeInitializer: EncodeInitializer): NodeProto {
  return {
    input: node.inputs,
    output: node.outputs,
    ...(node.name && { name: node.name }),
    opType: node.opType,
    attribute: encodeAttributes(node.attributes, encodeInitializer),
    ...(node.docString && { docString: node.docString }),
    ...(node.domain && { domain: node.domain }),
    ...(node.overload && { overload: node.overload }),
    metadataProps: encodeEntries(node.metadata),
    deviceConfigurations: (node.deviceConfigurations ?? []) as NonNullable<NodeProto["deviceConfigurations"]>,
  };
}

function encodeNodes(nodes: readonly Node[], encodeInitializer: EncodeInitializer): NodeProto[] {
  return topologicalOrder(nodes).map((node) => encodeNode(node, encodeInitializer));
}

function encodeGraph(graph: Graph, encodeInitializer: EncodeInitializer): GraphProto {
  const initializer = [...graph.initializers].map(([name, tensor]) =>
    encodeInitializer(tensor, name, graph.initializerNotes?.get(name)),
  );
  return {
    node: encodeNodes(graph.nodes, encodeInitializer),
    name: graph.name || "graph",
    initializer,
    ...(graph.docString && { docString: graph.docString }),
    input: [...graph.inputs, ...graph.overridable].map(encodeValueInfo),
    output: graph.outputs.map(encodeValueInfo),
    valueInfo: [...graph.valueInfo.values()].map(encodeValueInfo),
    quantizationAnnotation: (graph.quantizationAnnotations ?? []) as NonNullable<
      GraphProto["quantizationAnnotation"]
    >,
    sparseInitializer: (graph.sparseInitializers ?? []) as NonNullable<GraphProto["sparseInitializer"]>,
    metadataProps: encodeEntries(graph.metadata),
  };
}

function encodeFunction(body: FunctionBody): FunctionProto {
  return {
    name: body.name,
    input: body.inputs,
    output: body.outputs,
    attribute: body.attributes,
    node: encodeNodes(body.nodes, encodeTensor),
    ...(body.docString && { docString: body.docString }),
    opsetImport: encodeOpsets(body.opsetImports),
    domain: body.domain,
    attributeProto: encodeAttributes(body.attributeDefaults, encodeTensor),
    valueInfo: [...body.valueInfo.values()].map(encodeValueInfo),
    ...(body.overload && { overload: body.overload }),
    metadataProps: encodeEntries(body.metadata),
  };
}

function encodeProto(model: Model, encodeInitializer: EncodeInitializer): ModelProto {
  return {
    irVersion: BigInt(Math.max(model.irVersion, requiredIrVersion(model))),
    producerName: model.producerName,
    producerVersion: model.producerVersion,
    domain: model.domain,
    modelVersion: model.modelVersion,
    docString: model.docString,
    graph: encodeGraph(model.graph, encodeInitializer),
    opsetImport: encodeOpsets(model.opsetImports),
    metadataProps: encodeEntries(model.metadata),
    trainingInfo: (model.trainingInfo ?? []) as NonNullable<ModelProto["trainingInfo"]>,
    functions: model.functions.map(encodeFunction),
    configuration: (model.configurations ?? []) as NonNullable<ModelProto["configuration"]>,
  };
}

interface Chunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Large tensors start on a page, so that they can be mapped into memory; the others on a cache line. */
function alignedOffset(end: number, byteLength: number): number {
  const alignment = byteLength >= 2 ** 20 ? 4096 : 64;
  return Math.ceil(end / alignment) * alignment;
}

/** Keeps large tensors for the other file as it meets them. */
function collectChunks(location: string, threshold: number) {
  const chunks: Chunk[] = [];
  const encodeInitializer: EncodeInitializer = (tensor, name, notes) => {
    const proto = encodeTensor(tensor, name, notes);
    const bytes = proto.rawData;
    if (!bytes || bytes.length < Math.max(1, threshold)) return proto;
    const last = chunks.at(-1);
    const offset = alignedOffset(last ? last.offset + last.bytes.length : 0, bytes.length);
    chunks.push({ offset, bytes });
    return moveOutside(proto, location, offset);
  };
  return { chunks, encodeInitializer };
}

function joinChunks(chunks: readonly Chunk[]): Uint8Array {
  const last = chunks.at(-1)!;
  const joined = new Uint8Array(last.offset + last.bytes.length);
  for (const { offset, bytes } of chunks) joined.set(bytes, offset);
  return joined;
}

function tooLarge(found: number): AdderNetError {
  return new AdderNetError("ADN_LIMIT", "the model is too large for one ONNX file", {
    expected: "less than 2 GiB",
    found: `${found} bytes`,
    fix: "keep its weights in external data",
  });
}

/** Bytes of data in the message, wherever they are nested, and `perField` for everything else; strings at their longest. */
function countBytes(value: unknown, perField: number): number {
  if (value instanceof Uint8Array) return value.length + perField;
  if (typeof value === "string") return perField === 0 ? 0 : 3 * value.length + perField;
  if (typeof value !== "object" || value === null) return perField;
  return Object.values(value).reduce<number>((sum, part) => sum + countBytes(part, perField), perField);
}

function writeWire(proto: ModelProto, sizeHint: number): Uint8Array {
  try {
    return writeModelProto(proto, sizeHint);
  } catch (cause) {
    throw new AdderNetError("ADN_LIMIT", "the model is nested too deeply for an ONNX file", { cause });
  }
}

/** A field's tag and length or varint take up to 12 bytes. */
function writeProto(proto: ModelProto): Uint8Array {
  const atLeast = countBytes(proto, 0);
  if (atLeast > largestFile) throw tooLarge(atLeast);
  const bytes = writeWire(proto, Math.min(countBytes(proto, 12), largestFile));
  if (bytes.length > largestFile) throw tooLarge(bytes.length);
  return bytes;
}

/**
 * Writes a model as ONNX. Nodes are written in topological order and the IR version is raised when the model uses
 * something newer than it says.
 *
 * Throws ADN_ONNX_MODEL when the model breaks ONNX's rules, ADN_LIMIT beyond 2 GiB, ADN_EXTERNAL_DATA for a bad location.
 */
export function encodeModel(model: Model, options: EncodeOptions = {}): EncodedModel {
  verifyModel(model);
  if (options.externalData === undefined) return { bytes: writeProto(encodeProto(model, encodeTensor)) };
  const { location, thresholdBytes = 1024 } = options.externalData;
  const { chunks, encodeInitializer } = collectChunks(checkLocation(location), thresholdBytes);
  const bytes = writeProto(encodeProto(model, encodeInitializer));
  return chunks.length === 0 ? { bytes } : { bytes, externalData: joinChunks(chunks) };
}
