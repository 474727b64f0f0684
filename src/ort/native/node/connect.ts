// Our ops in the libonnxruntime that the caller's onnxruntime-node ships, proved before the first use.

import { AdderNetError } from "../../../core/errors.ts";
import type { OrtModule } from "../../ort-module.ts";
import type { NativeEngine } from "../engine.ts";
import { probe } from "../probe.ts";
import { makeWithLayers } from "../session-layers.ts";
import { installBeside } from "./install.ts";
import { findLibrary, loadKoffi } from "./koffi.ts";
import { makeNodeHost } from "./node-host.ts";
import { openProcess, openSession } from "./session.ts";

async function connect(ort: OrtModule): Promise<NativeEngine> {
  const host = makeNodeHost(loadKoffi(), findLibrary(ort));
  const { table, domain } = await installBeside(host);
  const shared = openProcess(host, domain);
  const make = makeWithLayers(table);
  const engine: NativeEngine = {
    place: "onnxruntime-node's libonnxruntime",
    takeError: () => table.takeError(),
    async createSession(model, options) {
      const { made, layers } = await make(() => openSession(shared, model, options));
      return { ...made, layers };
    },
  };
  await probe(engine, (tensor) => tensor);
  return engine;
}

/** Sessions of libonnxruntime with our ops. Throws ADN_PEER_MISSING without koffi, ADN_NATIVE where something is not as it should be. */
export async function connectNode(ort: OrtModule): Promise<NativeEngine> {
  try {
    return await connect(ort);
  } catch (cause) {
    if (cause instanceof AdderNetError) throw cause;
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new AdderNetError("ADN_NATIVE", `onnxruntime-node does not take the custom ops: ${problem}`, {
      cause,
    });
  }
}
