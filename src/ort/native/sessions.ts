// Sessions with our kernels as custom ops, for one `ort` object: connected to at the first of them, by code that is loaded only then.

import type { OrtModule } from "../ort-module.ts";
import type { NativeEngine } from "./engine.ts";
import type { NativeHandler } from "./handler.ts";
import { beginWatch, endWatch } from "./web/watch.ts";

export interface NativeSessions {
  /** To be called before onnxruntime-web starts. */
  prepare(): void;
  /** Throws ADN_NATIVE and ADN_PEER_MISSING where custom ops cannot be had. */
  create(
    model: string | Uint8Array,
    options: object,
  ): Promise<{ readonly handler: NativeHandler; readonly place: string }>;
  /** Says once why sessions are partitioned. */
  warn(reason: string): void;
}

const isWeb = (ort: OrtModule): boolean => "web" in ort.env.versions;

async function connect(ort: OrtModule): Promise<NativeEngine> {
  if (isWeb(ort)) return (await import("./web/connect.ts")).connectWeb(ort);
  return (await import("./node/connect.ts")).connectNode(ort);
}

export function makeNativeSessions(ort: OrtModule): NativeSessions {
  let engine: Promise<NativeEngine> | undefined;
  let isWatching = false;
  let hasWarned = false;
  function watch(): void {
    if (!isWeb(ort) || isWatching || engine !== undefined) return;
    isWatching = true;
    beginWatch();
  }
  async function connectOnce(): Promise<NativeEngine> {
    watch();
    try {
      return await connect(ort);
    } finally {
      if (isWatching) endWatch();
      isWatching = false;
    }
  }
  return {
    prepare: watch,
    async create(model, options) {
      engine ??= connectOnce();
      const connected = await engine;
      const { createNativeHandler } = await import("./handler.ts");
      return { handler: await createNativeHandler(connected, model, options), place: connected.place };
    },
    warn(reason) {
      if (hasWarned) return;
      hasWarned = true;
      console.warn(`addernet: sessions are partitioned, custom ops cannot be used: ${reason}`);
    },
  };
}
