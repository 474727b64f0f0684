// ONNX bytes <-> Model.

export { type DecodeOptions, decodeModel, externalLocations } from "./decode.ts";
export { type EncodedModel, type EncodeOptions, encodeModel } from "./encode.ts";
export { checkLocation, type ReadExternalData } from "./external-data.ts";
export { checkOpset, opsetRange } from "./opset.ts";
export { recognizeFile } from "./recognize.ts";
