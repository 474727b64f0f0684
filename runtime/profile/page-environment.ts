// A browser's page as a report tells it: what a page may know.

import type { Environment } from "./report.ts";

interface PageNavigator {
  readonly userAgent?: string;
  readonly platform?: string;
  readonly hardwareConcurrency?: number;
  /** Gigabytes, rounded, in some browsers. */
  readonly deviceMemory?: number;
}

export function pageEnvironment(): Environment {
  const page = (globalThis.navigator ?? {}) as PageNavigator;
  return {
    host: null,
    system: page.platform || "unknown",
    engine: page.userAgent ?? "unknown",
    cpu: { model: "not told to pages", cores: page.hardwareConcurrency ?? null, features: [] },
    board: null,
    memoryBytes: page.deviceMemory === undefined ? null : page.deviceMemory * 2 ** 30,
  };
}
