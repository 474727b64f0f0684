// Running pieces of a model: in our runtime, else with onnxruntime alone.

import type { StartModel } from "../../converter/index.ts";
import { createSession } from "../../runtime/index.ts";
import { AdderNetError } from "../core/errors.ts";
import { encodeModel } from "../core/onnx/index.ts";
import { startPeerAlone } from "./engines.ts";

/** Errors: ADN_PEER_MISSING where neither our runtime knows every op nor onnxruntime-node is there. */
export const startModel: StartModel = async (model) => {
  try {
    const session = await createSession(model);
    return {
      run: async (feeds) => new Map(Object.entries(await session.run(Object.fromEntries(feeds)))),
      dispose: () => session.dispose(),
    };
  } catch (error) {
    if (!(error instanceof AdderNetError) || error.code !== "ADN_OP_UNSUPPORTED") throw error;
    return startPeerAlone(encodeModel(model).bytes);
  }
};
