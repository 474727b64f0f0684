// ONNX bytes -> Model. Everything about a file that can be wrong is found here, so that later stages can trust the model.

import { dataTypeOfOnnx } from "../dtype.ts";
import { AdderNetError, type ErrorCode, type ErrorDetails } from "../errors.ts";
import { nodeLabel } from "../ir/attributes.ts";
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
import { attributeTypeOf } from "./attribute-types.ts";
import { decodeEntries } from "./entries.ts";
import {
  checkLocation,
  type ExternalReader,
  externalLocation,
  makeExternalReader,
  type ReadExternalData,
} from "./external-data.ts";
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
import { readModelProto } from "./read-wire.ts";
import { recognizeFile } from "./recognize.ts";
import { decodeNotes, decodeTensor } from "./tensor-proto.ts";

export interface DecodeOptions {
  /** Bytes of a file in the model's folder, for weights kept outside the model. */
  readonly externalData?: ReadExternalData;
  /** The file's name, for messages. */
  readonly where?: string;
}

const newestIrVersion = 13n;
const oldestIrVersion = 3n;

function bad(place: string, problem: string, details: ErrorDetails = {}, code: ErrorCode = "ADN_ONNX_MODEL") {
  return new AdderNetError(code, problem, { where: place, ...details });
}

type Collection = string | readonly unknown[] | ReadonlyMap<string, unknown>;

/** `{ [key]: value }`, or nothing for an absent or empty value. */
function unlessEmpty<K extends string, T extends Collection>(
  key: K,
  value: T | null | undefined,
): { [name in K]?: T } {
  const size = value instanceof Map ? value.size : ((value as string | null | undefined)?.length ?? 0);
  return (size === 0 ? {} : { [key]: value }) as { [name in K]?: T };
}

const normalDomain = (domain: string | null | undefined): string =>
  domain === "ai.onnx" ? "" : (domain ?? "");

function decodeOpsets(
  imports: readonly OperatorSetIdProto[] | undefined,
  place: string,
): Map<string, number> {
  const versions = new Map<string, number>();
  for (const { domain, version } of imports ?? []) {
    const name = normalDomain(domain);
    const number = Number(version ?? 0n);
    if (number < 1 || number > 2 ** 31) {
      throw bad(place, `bad opset version of domain "${name}"`, { found: `${number}` });
    }
    if (versions.has(name) && versions.get(name) !== number) {
      throw bad(place, `domain "${name}" is imported in two versions`, {
        found: `${versions.get(name)} and ${number}`,
      });
    }
    versions.set(name, number);
  }
  return versions;
}

function decodeDim({ dimValue, dimParam }: TensorShapeProtoDimension, place: string): Dim {
  if (dimValue === null || dimValue === undefined) return dimParam || null;
  // Some exporters write -1 for a length that is not known.
  if (dimValue === -1n) return null;
  if (dimValue < 0n) throw bad(place, "a dim is negative", { found: `${dimValue}` });
  if (dimValue <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(dimValue);
  throw bad(place, "a dim is too large", { found: `${dimValue}` }, "ADN_LIMIT");
}

/** Types other than tensors are carried as they are; a type that says nothing is none. */
function decodeType(proto: TypeProto, place: string): TensorType | OpaqueType | undefined {
  if (Object.keys(proto).length === 0) return undefined;
  const { tensorType, denotation } = proto;
  if (!tensorType?.elemType) return { kind: "opaque", proto };
  const elemType = dataTypeOfOnnx(tensorType.elemType);
  if (elemType === undefined) {
    throw bad(place, "unknown element type", { expected: "1 to 26", found: `${tensorType.elemType}` });
  }
  const dims = tensorType.shape ? (tensorType.shape.dim ?? []) : undefined;
  const denotations = dims?.map((dim) => dim.denotation ?? "") ?? [];
  return {
    kind: "tensor",
    elemType,
    ...(dims && { shape: dims.map((dim) => decodeDim(dim, place)) }),
    ...unlessEmpty("denotation", denotation),
    ...(denotations.some(Boolean) && { dimDenotations: denotations }),
  };
}

function decodeValueInfo(proto: ValueInfoProto): ValueInfo {
  const name = proto.name ?? "";
  const type = proto.type && decodeType(proto.type, `value "${name}"`);
  return {
    name,
    ...(type && { type }),
    ...unlessEmpty("docString", proto.docString),
    ...unlessEmpty("metadata", decodeEntries(proto.metadataProps)),
  };
}

function decodeValueInfos(protos: readonly ValueInfoProto[] | undefined): ValueInfo[] {
  return (protos ?? []).map(decodeValueInfo);
}

type Decoded<T> = (proto: AttributeProto, place: string, readExternal: ExternalReader) => T;

function required<T>(value: T | null | undefined, place: string): T {
  if (value === null || value === undefined) throw bad(place, "the attribute has no value");
  return value;
}

const decodeOpaque: Decoded<Attribute> = (proto) => ({ type: "OPAQUE", proto });

function notesOf(tensors: readonly TensorProto[]): { readonly tensorNotes?: readonly TensorNotes[] } {
  const notes = tensors.map((tensor) => decodeNotes(tensor, true));
  return notes.some(Boolean) ? { tensorNotes: notes.map((note) => note ?? {}) } : {};
}

/** An absent number or string is 0 or "": writers of proto3 leave those out. */
const attributeDecoders: { readonly [type: string]: Decoded<Attribute> } = {
  FLOAT: ({ f }) => ({ type: "FLOAT", value: f ?? 0 }),
  INT: ({ i }) => ({ type: "INT", value: i ?? 0n }),
  STRING: ({ s }) => ({ type: "STRING", value: new Uint8Array(s ?? []) }),
  TENSOR: ({ t }, place, read) => ({
    type: "TENSOR",
    value: decodeTensor(required(t, place), place, read),
    ...notesOf(t ? [t] : []),
  }),
  GRAPH: ({ g }, place, read) => ({ type: "GRAPH", value: decodeGraph(required(g, place), place, read) }),
  FLOATS: ({ floats }) => ({ type: "FLOATS", value: [...(floats ?? [])] }),
  INTS: ({ ints }) => ({ type: "INTS", value: [...(ints ?? [])] }),
  STRINGS: ({ strings }) => ({
    type: "STRINGS",
    value: (strings ?? []).map((bytes) => new Uint8Array(bytes)),
  }),
  TENSORS: ({ tensors }, place, read) => ({
    type: "TENSORS",
    value: (tensors ?? []).map((tensor) => decodeTensor(tensor, place, read)),
    ...notesOf(tensors ?? []),
  }),
  GRAPHS: ({ graphs }, place, read) => ({
    type: "GRAPHS",
    value: (graphs ?? []).map((graph) => decodeGraph(graph, place, read)),
  }),
  SPARSE_TENSOR: decodeOpaque,
  SPARSE_TENSORS: decodeOpaque,
  TYPE_PROTO: decodeOpaque,
  TYPE_PROTOS: decodeOpaque,
};

const decodeAttribute: Decoded<Attribute> = (proto, place, readExternal) => {
  const type = attributeTypeOf(proto.type ?? 0);
  if (type === undefined)
    throw bad(place, "the attribute has an unknown type", { found: `${proto.type ?? 0}` });
  const attribute: Attribute = proto.refAttrName
    ? { type: "REF", name: proto.refAttrName, of: type }
    : attributeDecoders[type]!(proto, place, readExternal);
  return { ...attribute, ...unlessEmpty("docString", proto.docString) };
};

function decodeAttributes(
  protos: readonly AttributeProto[] | undefined,
  place: string,
  readExternal: ExternalReader,
): Map<string, Attribute> {
  const attributes = new Map<string, Attribute>();
  for (const proto of protos ?? []) {
    const name = proto.name ?? "";
    if (name === "") throw bad(place, "an attribute has no name");
    if (attributes.has(name)) throw bad(place, `attribute ${name} is given twice`);
    attributes.set(name, decodeAttribute(proto, `${place} attribute ${name}`, readExternal));
  }
  return attributes;
}

function decodeNode(proto: NodeProto, readExternal: ExternalReader): Node {
  const named = {
    opType: proto.opType ?? "",
    domain: normalDomain(proto.domain),
    name: proto.name ?? "",
    inputs: [...(proto.input ?? [])],
    outputs: [...(proto.output ?? [])],
  };
  return {
    ...named,
    attributes: decodeAttributes(proto.attribute, nodeLabel(named), readExternal),
    ...unlessEmpty("docString", proto.docString),
    ...unlessEmpty("metadata", decodeEntries(proto.metadataProps)),
    ...unlessEmpty("overload", proto.overload),
    ...unlessEmpty("deviceConfigurations", [...(proto.deviceConfigurations ?? [])]),
  };
}

function decodeInitializers(proto: GraphProto, readExternal: ExternalReader): Map<string, Tensor> {
  const initializers = new Map<string, Tensor>();
  for (const tensor of proto.initializer ?? []) {
    const name = tensor.name ?? "";
    if (initializers.has(name)) throw bad(`initialiser "${name}"`, "it is given twice");
    initializers.set(name, decodeTensor(tensor, `initialiser "${name}"`, readExternal));
  }
  return initializers;
}

function decodeGraph(proto: GraphProto, place: string, readExternal: ExternalReader): Graph {
  const initializers = decodeInitializers(proto, readExternal);
  const inputs = decodeValueInfos(proto.input);
  const duplicate = firstRepeated(inputs.map(({ name }) => name));
  if (duplicate !== undefined) throw bad(place, `the input "${duplicate}" is listed twice`);
  const notes = (proto.initializer ?? []).flatMap((tensor) => {
    const note = decodeNotes(tensor, false);
    return note ? [[tensor.name ?? "", note] as const] : [];
  });
  return {
    name: proto.name ?? "",
    inputs: inputs.filter(({ name }) => !initializers.has(name)),
    outputs: decodeValueInfos(proto.output),
    nodes: (proto.node ?? []).map((node) => decodeNode(node, readExternal)),
    initializers,
    overridable: inputs.filter(({ name }) => initializers.has(name)),
    valueInfo: new Map(decodeValueInfos(proto.valueInfo).map((value) => [value.name, value])),
    ...unlessEmpty("docString", proto.docString),
    ...unlessEmpty("metadata", decodeEntries(proto.metadataProps)),
    ...unlessEmpty("initializerNotes", new Map(notes)),
    ...unlessEmpty("sparseInitializers", [...(proto.sparseInitializer ?? [])]),
    ...unlessEmpty("quantizationAnnotations", [...(proto.quantizationAnnotation ?? [])]),
  };
}

function firstRepeated(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.has(name) || !seen.add(name));
}

function decodeFunction(proto: FunctionProto, readExternal: ExternalReader): FunctionBody {
  const name = proto.name ?? "";
  const domain = normalDomain(proto.domain);
  const place = `function ${domain}::${name}`;
  if (name === "") throw bad(place, "the function has no name");
  return {
    name,
    domain,
    inputs: [...(proto.input ?? [])],
    outputs: [...(proto.output ?? [])],
    attributes: [...(proto.attribute ?? [])],
    attributeDefaults: decodeAttributes(proto.attributeProto, place, readExternal),
    nodes: (proto.node ?? []).map((node) => decodeNode(node, readExternal)),
    opsetImports: decodeOpsets(proto.opsetImport, place),
    valueInfo: new Map(decodeValueInfos(proto.valueInfo).map((value) => [value.name, value])),
    ...unlessEmpty("overload", proto.overload),
    ...unlessEmpty("docString", proto.docString),
    ...unlessEmpty("metadata", decodeEntries(proto.metadataProps)),
  };
}

function decodeProto(proto: ModelProto, irVersion: number, readExternal: ExternalReader): Model {
  return {
    irVersion,
    producerName: proto.producerName ?? "",
    producerVersion: proto.producerVersion ?? "",
    domain: proto.domain ?? "",
    modelVersion: proto.modelVersion ?? 0n,
    docString: proto.docString ?? "",
    opsetImports: decodeOpsets(proto.opsetImport, "model"),
    graph: decodeGraph(proto.graph!, "graph", readExternal),
    functions: (proto.functions ?? []).map((body) => decodeFunction(body, readExternal)),
    metadata: decodeEntries(proto.metadataProps),
    ...unlessEmpty("trainingInfo", [...(proto.trainingInfo ?? [])]),
    ...unlessEmpty("configurations", [...(proto.configuration ?? [])]),
  };
}

/** What the wire reader's complaints mean to the owner of the file. */
const wireProblems: readonly { matches: RegExp; code: ErrorCode; problem: string; fix: string }[] = [
  {
    matches: /max depth/,
    code: "ADN_LIMIT",
    problem: "the model is nested too deeply",
    fix: "subgraphs may be about 30 deep",
  },
  {
    matches: /more than \d+ fields/,
    code: "ADN_LIMIT",
    problem: "the model has too many fields",
    fix: "keep large tensors as raw_data",
  },
  {
    matches: /out of range|missing end group/,
    code: "ADN_ONNX_WIRE",
    problem: "the ONNX file ends too early or is damaged",
    fix: "download or export it again",
  },
];

function wireError(bytes: Uint8Array, cause: unknown): AdderNetError {
  const reason = cause instanceof Error ? cause.message : "";
  const known = recognizeFile(bytes) ? undefined : wireProblems.find(({ matches }) => matches.test(reason));
  return known ? new AdderNetError(known.code, known.problem, { fix: known.fix }) : notOnnx(bytes);
}

function notOnnx(bytes: Uint8Array): AdderNetError {
  const kind = recognizeFile(bytes);
  if (!kind) return new AdderNetError("ADN_ONNX_WIRE", "this is not an ONNX model, or a damaged one");
  return new AdderNetError("ADN_ONNX_WIRE", "this is not an ONNX model", {
    found: kind.name,
    ...(kind.fix && { fix: kind.fix }),
  });
}

function readProto(bytes: Uint8Array): ModelProto {
  if (!(bytes instanceof Uint8Array)) {
    throw new AdderNetError("ADN_USAGE", "a model is given as its bytes", {
      expected: "Uint8Array",
      found: Object.prototype.toString.call(bytes).slice(8, -1),
    });
  }
  if (bytes.length >= 2 ** 31) {
    throw new AdderNetError("ADN_LIMIT", "an ONNX file cannot exceed 2 GiB", {
      fix: "keep the weights in external data",
    });
  }
  try {
    return readModelProto(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (cause) {
    throw wireError(bytes, cause);
  }
}

function checkIrVersion(version: bigint): number {
  if (version >= oldestIrVersion && version <= newestIrVersion) return Number(version);
  throw new AdderNetError("ADN_ONNX_MODEL", "this IR version of ONNX is not supported", {
    expected: `${oldestIrVersion} to ${newestIrVersion}`,
    found: `${version}`,
    fix:
      version > newestIrVersion
        ? "write it with an older ir_version (in Python: model.ir_version = 10; onnx.save)"
        : "export the model again",
  });
}

function sortGraph(graph: Graph): void {
  graph.nodes = sortNodes(graph.nodes);
}

function sortNodes(nodes: readonly Node[]): Node[] {
  for (const node of nodes) {
    for (const attribute of node.attributes.values()) {
      if (attribute.type === "GRAPH") sortGraph(attribute.value);
      if (attribute.type === "GRAPHS") attribute.value.forEach(sortGraph);
    }
  }
  return topologicalOrder(nodes);
}

function decode(bytes: Uint8Array, options: DecodeOptions): Model {
  const proto = readProto(bytes);
  const isEmpty = !proto.graph && !proto.opsetImport?.length && !proto.functions?.length;
  if (isEmpty) throw notOnnx(bytes);
  const irVersion = checkIrVersion(proto.irVersion ?? 0n);
  if (!proto.graph) throw new AdderNetError("ADN_ONNX_MODEL", "the model has no graph");
  const model = decodeProto(proto, irVersion, makeExternalReader(options.externalData));
  verifyModel(model);
  sortGraph(model.graph);
  for (const body of model.functions) body.nodes = sortNodes(body.nodes);
  return model;
}

/**
 * Reads an ONNX file. Its nodes come out in topological order, initialisers that are also graph inputs as `overridable`.
 *
 * Throws ADN_ONNX_WIRE for bytes that are no ONNX file, ADN_ONNX_MODEL for a model that breaks ONNX's rules,
 * ADN_EXTERNAL_DATA for weights that cannot be found, ADN_LIMIT for what is too large or too deep.
 */
export function decodeModel(bytes: Uint8Array, options: DecodeOptions = {}): Model {
  try {
    return decode(bytes, options);
  } catch (error) {
    throw error instanceof AdderNetError ? placed(error, options.where) : error;
  }
}

/** Files that the weights of a model are in, relative to its folder. Throws as `decodeModel` does for bytes that are no model. */
export function externalLocations(bytes: Uint8Array): string[] {
  const locations = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
    const { dataLocation, externalData } = value as TensorProto;
    if (dataLocation === externalLocation) {
      for (const entry of externalData ?? []) {
        if (entry.key === "location") locations.add(checkLocation(entry.value ?? ""));
      }
    }
    for (const part of Object.values(value)) visit(part);
  };
  visit(readProto(bytes));
  return [...locations];
}

/** The same error with the file's name in front. */
function placed(error: AdderNetError, file: string | undefined): AdderNetError {
  if (file === undefined) return error;
  const where = [file, error.details.where].filter(Boolean).join(", ");
  return new AdderNetError(error.code, error.problem, { ...error.details, where });
}
