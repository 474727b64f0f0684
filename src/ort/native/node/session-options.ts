// onnxruntime's session and run options as its C API takes them.

import { AdderNetError } from "../../../core/errors.ts";
import { type ExternalDataOption, readExternalData } from "../../load-model.ts";
import type { OrtFunction } from "../ort-api.ts";
import { askOrt, callOrt } from "../ort-host.ts";
import type { NodeHost } from "./node-host.ts";

/** Keeps what C functions are pointed to until they have returned. */
export interface Kept {
  /** The address of a text that ends with a zero byte. */
  text(value: string): number;
  /** The address of a path, in the platform's own kind of characters. */
  path(value: string): number;
  /** The address of words. */
  words(values: readonly number[]): number;
  bytes(data: Uint8Array): number;
}

export function keep(host: NodeHost): Kept {
  const held: unknown[] = [];
  const place = (data: Uint8Array): number => {
    held.push(data);
    return host.addressOf(data);
  };
  const copied = (data: Uint8Array): number => {
    const own = new Uint8Array(new ArrayBuffer(Math.max(64, data.length + 2)));
    own.set(data);
    return place(own);
  };
  const text = (value: string): number => copied(new TextEncoder().encode(value));
  return {
    text,
    path(value) {
      if (process.platform !== "win32") return text(value);
      const units = Uint16Array.from(value, (_, index) => value.charCodeAt(index));
      return copied(new Uint8Array(units.buffer));
    },
    words: (values) => copied(new Uint8Array(BigUint64Array.from(values, BigInt).buffer)),
    bytes: (data) => (data.buffer instanceof ArrayBuffer && data.length > 64 ? place(data) : copied(data)),
  };
}

const optimizationLevels: Readonly<Record<string, number>> = {
  disabled: 0,
  basic: 1,
  extended: 2,
  layout: 3,
  all: 99,
};

/** Session options of onnxruntime-node. */
export interface NodeSessionOptions {
  readonly executionProviders?: readonly (string | { readonly name: string })[];
  readonly intraOpNumThreads?: number;
  readonly graphOptimizationLevel?: string;
  readonly enableCpuMemArena?: boolean;
  readonly enableMemPattern?: boolean;
  readonly optimizedModelFilePath?: string;
  readonly enableProfiling?: boolean;
  readonly profileFilePrefix?: string;
  readonly logId?: string;
  readonly logSeverityLevel?: number;
  readonly logVerbosityLevel?: number;
  readonly freeDimensionOverrides?: Readonly<Record<string, number>>;
  readonly externalData?: ExternalDataOption;
  readonly extra?: object;
}

/** Nested options as keys with dots. */
function entriesOf(extra: object, prefix = ""): [string, string][] {
  return Object.entries(extra).flatMap(([name, value]): [string, string][] => {
    if (typeof value === "object" && value !== null) return entriesOf(value, `${prefix}${name}.`);
    return [[prefix + name, typeof value === "boolean" ? (value ? "1" : "0") : String(value)]];
  });
}

function requireCpu({ executionProviders = ["cpu"] }: NodeSessionOptions): void {
  const others = executionProviders
    .map((provider) => (typeof provider === "string" ? provider : provider.name))
    .filter((name) => name !== "cpu");
  if (others.length === 0) return;
  throw new AdderNetError("ADN_NATIVE", "custom ops in onnxruntime-node run beside the cpu provider only", {
    found: others.join(", "),
  });
}

function levelOf({ graphOptimizationLevel = "all" }: NodeSessionOptions): number {
  const level = optimizationLevels[graphOptimizationLevel];
  if (level !== undefined) return level;
  throw new AdderNetError("ADN_USAGE", "graphOptimizationLevel is unknown", {
    expected: Object.keys(optimizationLevels).join(", "),
    found: graphOptimizationLevel,
  });
}

/** The calls that options stand for; those that are not given make none. */
function callsFor(given: NodeSessionOptions, kept: Kept): [OrtFunction, ...number[]][] {
  const calls: [OrtFunction, ...number[]][] = [["SetSessionGraphOptimizationLevel", levelOf(given)]];
  // One thread calls the kernels: JavaScript's.
  calls.push(["SetSessionExecutionMode", 0], ["SetInterOpNumThreads", 1]);
  if (given.intraOpNumThreads !== undefined) calls.push(["SetIntraOpNumThreads", given.intraOpNumThreads]);
  if (given.enableCpuMemArena === false) calls.push(["DisableCpuMemArena"]);
  if (given.enableMemPattern === false) calls.push(["DisableMemPattern"]);
  if (given.logId !== undefined) calls.push(["SetSessionLogId", kept.text(given.logId)]);
  if (given.logSeverityLevel !== undefined)
    calls.push(["SetSessionLogSeverityLevel", given.logSeverityLevel]);
  if (given.logVerbosityLevel !== undefined) {
    calls.push(["SetSessionLogVerbosityLevel", given.logVerbosityLevel]);
  }
  if (given.optimizedModelFilePath !== undefined) {
    calls.push(["SetOptimizedModelFilePath", kept.path(given.optimizedModelFilePath)]);
  }
  if (given.enableProfiling) {
    calls.push(["EnableProfiling", kept.path(given.profileFilePrefix ?? "onnxruntime_profile_")]);
  }
  for (const [name, length] of Object.entries(given.freeDimensionOverrides ?? {})) {
    calls.push(["AddFreeDimensionOverrideByName", kept.text(name), length]);
  }
  for (const [key, value] of entriesOf(given.extra ?? {})) {
    calls.push(["AddSessionConfigEntry", kept.text(key), kept.text(value)]);
  }
  return calls;
}

/** Files of weights as onnxruntime reads them out of memory, which stays until the session is made. */
async function addExternalData(host: NodeHost, options: number, data: ExternalDataOption, kept: Kept) {
  const files = [...(await readExternalData(data))];
  const names = files.map(([path]) => kept.path(path));
  const buffers = files.map(([, bytes]) => kept.bytes(bytes));
  const lengths = files.map(([, bytes]) => bytes.length);
  const lists = [names, buffers, lengths].map((each) => kept.words(each));
  callOrt(host, "AddExternalInitializersFromFilesInMemory", options, ...lists, files.length);
}

/** OrtSessionOptions with our domain; the caller releases them. */
export async function makeSessionOptions(
  host: NodeHost,
  domain: number,
  given: NodeSessionOptions,
  kept: Kept,
): Promise<number> {
  requireCpu(given);
  const options = askOrt(host, "CreateSessionOptions");
  try {
    for (const [name, ...args] of callsFor(given, kept)) callOrt(host, name, options, ...args);
    if (given.externalData !== undefined) await addExternalData(host, options, given.externalData, kept);
    callOrt(host, "AddCustomOpDomain", options, domain);
    return options;
  } catch (error) {
    host.call("ReleaseSessionOptions", options);
    throw error;
  }
}

/** Options of one run. */
export interface NodeRunOptions {
  readonly logSeverityLevel?: number;
  readonly logVerbosityLevel?: number;
  readonly terminate?: boolean;
  readonly tag?: string;
  readonly extra?: object;
}

/** OrtRunOptions; the caller releases them. 0 where nothing is given. */
export function makeRunOptions(host: NodeHost, given: NodeRunOptions, kept: Kept): number {
  if (Object.keys(given).length === 0) return 0;
  const options = askOrt(host, "CreateRunOptions");
  const { logSeverityLevel, logVerbosityLevel, terminate, tag, extra = {} } = given;
  const set = (name: OrtFunction, ...args: number[]) => callOrt(host, name, options, ...args);
  try {
    if (logSeverityLevel !== undefined) set("RunOptionsSetRunLogSeverityLevel", logSeverityLevel);
    if (logVerbosityLevel !== undefined) set("RunOptionsSetRunLogVerbosityLevel", logVerbosityLevel);
    if (tag !== undefined) set("RunOptionsSetRunTag", kept.text(tag));
    if (terminate) set("RunOptionsSetTerminate");
    for (const [key, value] of entriesOf(extra)) set("AddRunConfigEntry", kept.text(key), kept.text(value));
    return options;
  } catch (error) {
    host.call("ReleaseRunOptions", options);
    throw error;
  }
}
