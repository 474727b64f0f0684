// AdderNets out of PyTorch exports into optimised, verified ONNX.

export * from "./adderize/index.ts";
export * from "./checkpoints/index.ts";
export {
  type Converted,
  type ConvertOptions,
  type ConvertProgress,
  type ConvertReport,
  convert,
  defaultCheck,
  runReference,
} from "./convert.ts";
export * from "./importers/index.ts";
export { optimise } from "./optimise.ts";
export * from "./passes/index.ts";
export * from "./quantize/index.ts";
export * from "./topologies/index.ts";
export { type CheckOptions, type RunFile, type Verification, verify } from "./verify.ts";
