// koffi and libonnxruntime: both are found when they are needed, by Node's own means, which pages do not have.

import { AdderNetError } from "../../../core/errors.ts";
import type { OrtModule } from "../../ort-module.ts";

/** What is used of koffi. Types are spelled in C. */
export interface Koffi {
  load(path: string | null): {
    func(name: string, result: string, parameters: readonly string[]): NativeFunction;
  };
  proto(result: string, parameters: readonly string[]): object;
  pointer(type: object): object;
  register(call: (...args: number[]) => number | undefined, type: object): bigint;
  address(value: unknown): bigint;
  view(address: bigint, bytes: number): ArrayBuffer;
  decode(address: bigint, type: object): NativeFunction;
}

/** Addresses are numbers: 64-bit words that a number holds are given as such. */
export type NativeFunction = (...args: readonly (number | bigint)[]) => number;

interface NodeModules {
  readonly module: {
    createRequire(from: string): NodeRequire;
  };
  readonly fs: { readdirSync(folder: string): string[]; existsSync(path: string): boolean };
  readonly path: { dirname(path: string): string; join(...parts: string[]): string };
}

interface NodeRequire {
  (name: string): unknown;
  resolve(name: string): string;
}

function builtin<K extends keyof NodeModules>(name: K): NodeModules[K] {
  const get = process.getBuiltinModule as ((name: string) => NodeModules[K] | undefined) | undefined;
  const found = get?.call(process, `node:${name}`);
  if (found !== undefined) return found;
  throw new AdderNetError("ADN_NATIVE", "custom ops in onnxruntime-node need Node 20.16 or newer");
}

/** Where packages are looked for: beside this one, beside the program, in the working directory. */
function places(): NodeRequire[] {
  const { createRequire } = builtin("module");
  const starts = [import.meta.url, process.argv[1], `${process.cwd()}/`];
  return starts.flatMap((start) => {
    try {
      return start === undefined ? [] : [createRequire(start)];
    } catch {
      return [];
    }
  });
}

/** The first answer of a place where `look` finds something. */
function inPlaces<T>(look: (from: NodeRequire) => T): T | undefined {
  for (const from of places()) {
    try {
      return look(from);
    } catch {
      // The next place may have it.
    }
  }
  return undefined;
}

export function loadKoffi(): Koffi {
  const koffi = inPlaces((from) => from("koffi")) as Koffi | undefined;
  if (koffi?.register !== undefined && koffi.view !== undefined) return koffi;
  throw new AdderNetError(
    "ADN_PEER_MISSING",
    koffi === undefined ? "koffi is not installed" : "koffi is too old",
    { where: 'strategy "native" in onnxruntime-node', fix: "npm install koffi@3" },
  );
}

/** Folders of packages named onnxruntime-node that are as old as `version` says. */
function packageFolder(version: string): string | undefined {
  const { dirname, join } = builtin("path");
  return inPlaces((from) => {
    const folder = dirname(dirname(from.resolve("onnxruntime-node")));
    const { version: found } = from(join(folder, "package.json")) as { version: string };
    if (found !== version) throw new Error(found);
    return folder;
  });
}

/** The path of the libonnxruntime of the caller's onnxruntime-node. Throws ADN_NATIVE where there is none. */
export function findLibrary({ env }: OrtModule): string {
  const { node: version = "?" } = env.versions as { node?: string };
  const folder = packageFolder(version);
  const { join } = builtin("path");
  const { readdirSync, existsSync } = builtin("fs");
  const bin = folder === undefined ? "" : join(folder, "bin");
  const interfaces = existsSync(bin) ? readdirSync(bin) : [];
  for (const napi of interfaces) {
    const own = join(bin, napi, process.platform, process.arch);
    const names = existsSync(own) ? readdirSync(own) : [];
    const library = names.find((name) =>
      /^(lib)?onnxruntime(\.[\d.]+)?\.(so|dll|dylib)(\.[\d.]+)?$/.test(name),
    );
    if (library !== undefined) return join(own, library);
  }
  throw new AdderNetError("ADN_NATIVE", "the library of onnxruntime-node is not found", {
    expected: `libonnxruntime of version ${version} for ${process.platform} ${process.arch}`,
    found: folder ?? "no such package",
  });
}
