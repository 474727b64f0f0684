// addernet/runtime: runs models on WebAssembly kernels, without onnxruntime.

export type { SimdLevel } from "../custom-ops/kernels/load.ts";
export { AdderNetError } from "../src/core/errors.ts";
export type { Tensor } from "../src/core/tensor.ts";
export type { PlanExplanation, SessionExplanation, StepExplanation, StepTime } from "./explain.ts";
export type { Feeds } from "./feeds.ts";
export {
  createExecutor,
  createSession,
  type Session,
  type SessionOptions,
  type ValueMetadata,
} from "./session.ts";
export { supportsNode, type UnsupportedNode, unsupportedNodes } from "./support.ts";
