// onnxruntime natively and as WASM, by name, for what both have to answer alike.

import * as native from "onnxruntime-node";
import * as web from "onnxruntime-web";

web.env.wasm.numThreads = 1;

export type Ort = Pick<typeof native, "InferenceSession" | "Tensor">;

export const onnxruntimes: readonly (readonly [string, Ort])[] = [
  ["onnxruntime-node", native],
  ["onnxruntime-web", web as unknown as Ort],
];
