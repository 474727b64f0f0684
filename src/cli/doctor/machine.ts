// What this machine offers to the kernels.

import { spawnSync } from "node:child_process";
import { totalmem } from "node:os";
import { setFlagsFromString } from "node:v8";
import { chooseLevel } from "../../../custom-ops/kernels/load.ts";
import { boardName, type Cpu, examineCpu } from "../machine/cpu.ts";

/** A module with one function of the given body: no parameters, no results. */
function moduleWith(body: readonly number[]): Uint8Array<ArrayBuffer> {
  const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  const types = [0x01, 0x04, 0x01, 0x60, 0x00, 0x00];
  const functions = [0x03, 0x02, 0x01, 0x00];
  const code = [0x0a, body.length + 4, 0x01, body.length + 2, 0x00, ...body, 0x0b];
  return Uint8Array.from([...header, ...types, ...functions, ...code]);
}

const zeroVector = [0x41, 0x00, 0xfd, 0x0f];
/** i8x16.splat. */
const simdModule = moduleWith([...zeroVector, 0x1a]);
/** i8x16.relaxed_swizzle. */
const relaxedModule = moduleWith([...zeroVector, ...zeroVector, 0xfd, 0x80, 0x02, 0x1a]);

export type RelaxedSimd = "yes" | "with --experimental-wasm-relaxed-simd" | "no";

function relaxedSimd(): RelaxedSimd {
  if (WebAssembly.validate(relaxedModule)) return "yes";
  setFlagsFromString("--experimental-wasm-relaxed-simd");
  const canSwitchOn = WebAssembly.validate(relaxedModule);
  setFlagsFromString("--no-experimental-wasm-relaxed-simd");
  return canSwitchOn ? "with --experimental-wasm-relaxed-simd" : "no";
}

export interface PeerState {
  readonly name: string;
  readonly version: string | null;
  /** Why it cannot be used; null when it can. */
  readonly problem: string | null;
}

/** Native code that a processor cannot run ends the whole process: such a peer is tried in one of its own first. */
function crashOf(name: string): string | null {
  const arguments_ = ["--input-type=module", "-e", `await import(${JSON.stringify(name)})`];
  const { signal, status } = spawnSync(process.execPath, arguments_, {
    cwd: import.meta.dirname,
    stdio: "ignore",
    timeout: 60_000,
  });
  return signal !== null && status === null ? `loading it ends the process with ${signal}` : null;
}

async function peerState(name: string): Promise<PeerState> {
  const crash = name === "onnxruntime-node" ? crashOf(name) : null;
  if (crash !== null) return { name, version: null, problem: crash };
  try {
    const { env } = (await import(name)) as { env?: { versions?: { node?: string; web?: string } } };
    return { name, version: env?.versions?.node ?? env?.versions?.web ?? null, problem: null };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isAbsent = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
    return { name, version: null, problem: isAbsent ? "not installed" : message.split("\n")[0]! };
  }
}

export interface Machine {
  readonly node: string;
  readonly platform: string;
  readonly cpu: Cpu;
  /** What the board calls itself. */
  readonly board: string | null;
  readonly memoryBytes: number;
  readonly wasm: {
    readonly simd: boolean;
    readonly relaxedSimd: RelaxedSimd;
    readonly sharedMemory: boolean;
    /** The kernels that are chosen here. */
    readonly kernels: string;
  };
  readonly onnxruntime: readonly PeerState[];
}

function hasSharedMemory(): boolean {
  try {
    return (
      new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer instanceof SharedArrayBuffer
    );
  } catch {
    return false;
  }
}

export async function examineMachine(): Promise<Machine> {
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: examineCpu(),
    board: boardName(),
    memoryBytes: totalmem(),
    wasm: {
      simd: WebAssembly.validate(simdModule),
      relaxedSimd: relaxedSimd(),
      sharedMemory: hasSharedMemory(),
      kernels: chooseLevel("auto"),
    },
    onnxruntime: await Promise.all(["onnxruntime-node", "onnxruntime-web"].map(peerState)),
  };
}
