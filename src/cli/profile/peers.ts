// onnxruntime's engines as contenders.

import type { Feeds } from "../../../runtime/feeds.ts";
import { loadPeer, type Ort, type Peer, startSession } from "../engines.ts";
import type { Contender } from "./compare.ts";

interface WasmSettings {
  env: { wasm: { numThreads?: number } };
}

/** Feeds by the session's own names, in order. */
function ortFeeds(
  ort: Ort,
  names: readonly string[],
  feeds: Feeds,
): Record<string, InstanceType<Ort["Tensor"]>> {
  return Object.fromEntries(
    Object.values(feeds).map(({ type, data, dims }, index) => [
      names[index] ?? "",
      new ort.Tensor(type as "float32", data as Float32Array, dims),
    ]),
  );
}

/** A CNN's bytes on onnxruntime alone. */
export function peerContender(peer: Peer, bytes: Uint8Array, feeds: Feeds, threads: number): Contender {
  return {
    engine: peer,
    network: "CNN",
    open: async () => {
      const ort = await loadPeer(peer);
      if (peer === "onnxruntime-web") (ort as unknown as WasmSettings).env.wasm.numThreads = threads;
      const session = await startSession(ort, bytes, {
        ...(peer === "onnxruntime-web"
          ? { executionProviders: ["wasm"] }
          : { intraOpNumThreads: threads, interOpNumThreads: 1 }),
        graphOptimizationLevel: "all",
        logSeverityLevel: 3,
      });
      const given = ortFeeds(ort, session.inputNames, feeds);
      return { run: () => session.run(given), close: () => session.release() };
    },
  };
}
