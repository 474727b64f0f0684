// Our ops in the libonnxruntime that onnxruntime-node ships.

import { AdderNetError } from "../../../core/errors.ts";
import type { OrtModule } from "../../ort-module.ts";
import type { NativeEngine } from "../engine.ts";

export async function connectNode(_ort: OrtModule): Promise<NativeEngine> {
  throw new AdderNetError("ADN_PEER_MISSING", "koffi is not installed");
}
