// This machine as a report tells it.

import { hostname, release, totalmem } from "node:os";
import type { Environment } from "../../../runtime/profile/index.ts";
import { boardName, examineCpu } from "./cpu.ts";

export function nodeEnvironment(): Environment {
  const { model, cores, features } = examineCpu();
  return {
    host: hostname() || null,
    system: `${process.platform} ${process.arch} ${release()}`,
    engine: `Node ${process.version.slice(1)}, V8 ${process.versions.v8}`,
    cpu: { model, cores, features },
    board: boardName(),
    memoryBytes: totalmem(),
  };
}
