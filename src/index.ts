// The few names most people need.

export { type Converted, type ConvertOptions, type ConvertReport, convert } from "../converter/index.ts";
export { createSession, type Session } from "../runtime/index.ts";
export type { DataType } from "./core/dtype.ts";
export { AdderNetError, type ErrorCode, type ErrorDetails } from "./core/errors.ts";
export type { Tensor } from "./core/tensor.ts";
export { type AdderNetEp, type AdderNetEpOptions, adderNetEp, registerAdderNet } from "./ort.ts";
