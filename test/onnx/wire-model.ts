// Models as onnx-proto's plain messages, written by onnx-proto: what our reader gets to see without our writer.

import onnxProto, { type onnx } from "onnx-proto";

export type WireModel = onnx.IModelProto;
export type WireGraph = onnx.IGraphProto;

/** y = Relu(x), the smallest sound model, with parts replaced. */
export function wireGraph(parts: WireGraph = {}): WireGraph {
  return {
    name: "g",
    node: [{ opType: "Relu", input: ["x"], output: ["y"] }],
    input: [{ name: "x" }],
    output: [{ name: "y" }],
    ...parts,
  };
}

export function wireModel(graph: WireGraph = {}, parts: WireModel = {}): WireModel {
  return { irVersion: 8, opsetImport: [{ version: 13 }], graph: wireGraph(graph), ...parts };
}

export function writeWire(model: WireModel): Uint8Array {
  return new Uint8Array(onnxProto.onnx.ModelProto.encode(model).finish());
}

export function readWire(bytes: Uint8Array): onnx.ModelProto {
  return onnxProto.onnx.ModelProto.decode(bytes);
}
