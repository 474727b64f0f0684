// Sessions in a process of their own: an onnxruntime starts once, and some are made unfit on purpose before they start.

import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import type { Tensor } from "../../src/core/tensor.ts";
import type { AdderNetEpOptions, Strategy } from "../../src/ort.ts";
import type { Sabotage } from "./sabotage.ts";

const root = resolve(import.meta.dirname, "../..");

export interface Job {
  /** What is imported as `ort`: a package or a file. */
  readonly ort: string;
  readonly threads?: number;
  readonly sabotage?: Sabotage;
  /** What adderNetEp() is registered with. */
  readonly strategy: Strategy;
  readonly sessions: readonly {
    /** Undefined: without adderNetEp(). */
    readonly strategy?: Strategy;
    /** Further options of adderNetEp(). */
    readonly provider?: AdderNetEpOptions;
    readonly bytes: Uint8Array;
    readonly options?: object;
    readonly runs: readonly Readonly<Record<string, Tensor>>[];
  }[];
}

export interface Failure {
  readonly code?: string;
  readonly message: string;
}

export interface SessionResult {
  readonly strategy?: string;
  readonly reason?: string;
  readonly engines?: readonly string[];
  /** Of the creation. */
  readonly error?: Failure;
  readonly runs: readonly (Readonly<Record<string, Tensor>> | { readonly error: Failure })[];
}

export interface JobResult {
  readonly sessions: readonly SessionResult[];
  readonly warnings: readonly string[];
}

export interface Processes {
  run(job: Job): Promise<JobResult>;
  close(): void;
}

function answerOf(child: ChildProcess): Promise<JobResult> {
  return new Promise((fulfil, reject) => {
    child.once("message", (result) => fulfil(result as JobResult));
    child.once("exit", (code, signal) => reject(new Error(`the process ended with ${signal ?? code}`)));
  });
}

/** Bundles what the processes run, once. */
export async function openProcesses(): Promise<Processes> {
  mkdirSync(join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(join(root, ".cache", "native-"));
  await build({
    entryPoints: [join(import.meta.dirname, "native-job.ts")],
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    packages: "external",
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    logLevel: "error",
  });
  return {
    async run(job) {
      const child = fork(join(folder, "native-job.mjs"), {
        serialization: "advanced",
        execArgv: [],
        stdio: ["ignore", "ignore", process.env.NATIVE_JOB_ERRORS ? "inherit" : "ignore", "ipc"],
      });
      try {
        child.send(job);
        return await answerOf(child);
      } finally {
        child.removeAllListeners("exit");
        child.kill();
      }
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
