// Ways in which an onnxruntime-web may be other than the native strategy takes it to be.

import { encodeModel } from "../../src/core/onnx/index.ts";
import { isSharedMemory } from "../../src/core/wasm-binary.ts";
import { findOrtApis } from "../../src/ort/native/web/find-api.ts";
import { parseModel } from "../passes/parse-model.ts";

// biome-ignore lint/suspicious/noExplicitAny: any onnxruntime, of any version
type Ort = any;

interface Measures {
  readonly beforeRegister?: (ort: Ort) => unknown;
  readonly afterRegister?: (ort: Ort) => unknown;
}

type Instantiated = WebAssembly.WebAssemblyInstantiatedSource;

/** Has every module instantiated by way of `change`, beneath whatever the strategy puts in front of it. */
function afterInstantiation(
  change: (result: Instantiated, imports: WebAssembly.Imports) => Instantiated,
): void {
  const { instantiate } = WebAssembly;
  WebAssembly.instantiate = (async (source: BufferSource, imports: WebAssembly.Imports) => {
    const result: unknown = await instantiate.call(WebAssembly, source, imports);
    const { instance } = result as Instantiated;
    // A module that was compiled before is answered by its instance alone.
    return instance === undefined
      ? changedKernels(result as WebAssembly.Instance, change, imports)
      : change(result as Instantiated, imports);
  }) as unknown as typeof instantiate;
}

function changedKernels(
  instance: WebAssembly.Instance,
  change: (result: Instantiated, imports: WebAssembly.Imports) => Instantiated,
  imports: WebAssembly.Imports,
): WebAssembly.Instance {
  return change({ instance } as Instantiated, imports).instance;
}

/** Changes the memory of an onnxruntime at its OrtApi. */
function atOrtApi(change: (words: Uint32Array, at: number) => void): Measures {
  return {
    beforeRegister: () =>
      afterInstantiation((result, imports) => {
        const { exports } = result.instance;
        const table = Object.values(exports).find((value) => value instanceof WebAssembly.Table);
        const memory = Object.values(imports ?? {})
          .flatMap((each) => Object.values(each))
          .find((value) => value instanceof WebAssembly.Memory);
        if (table === undefined || memory === undefined) return result;
        const [api] = findOrtApis(memory, table);
        if (api !== undefined) change(new Uint32Array(memory.buffer), api >> 2);
        return result;
      }),
  };
}

function swap(words: Uint32Array, a: number, b: number): void {
  [words[a], words[b]] = [words[b]!, words[a]!];
}

/** A binary whose function table has no maximum, which other builds of onnxruntime might have. */
async function withoutTableMaximum(ort: Ort): Promise<void> {
  const { readFile } = await import("node:fs/promises");
  const { fileURLToPath } = await import("node:url");
  const entry = fileURLToPath(import.meta.resolve("onnxruntime-web"));
  const bytes = await readFile(new URL("ort-wasm-simd-threaded.wasm", `file://${entry}`));
  const number = (at: number): [number, number] => {
    let [value, end] = [0, at];
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[end++]!;
      value |= (byte & 127) << shift;
      if (byte < 128) return [value, end];
    }
  };
  for (let at = 8; at < bytes.length; ) {
    const [size, start] = number(at + 1);
    if (bytes[at] === 4) {
      const [, end] = number(start + 3);
      const section = [1, 0x70, 0, ...bytes.subarray(start + 3, end)];
      ort.env.wasm.wasmBinary = Buffer.concat([
        bytes.subarray(0, at),
        Uint8Array.from([4, section.length, ...section]),
        bytes.subarray(start + size),
      ]).buffer;
      return;
    }
    at = start + size;
  }
}

/** A place in memory that nothing uses yet. */
const unusedWord = (words: Uint32Array): number => Math.min(words.length, 2 ** 23) - 1024;

/** Has Node look for modules by way of `change`. */
function whenRequired(change: (name: string) => void): void {
  const Module = process.getBuiltinModule("node:module") as unknown as {
    _resolveFilename(name: string, ...rest: unknown[]): string;
  };
  const original = Module._resolveFilename;
  Module._resolveFilename = function (name, ...rest) {
    change(name);
    return original.call(this, name, ...rest);
  };
}

const list = {
  "a session before": {
    beforeRegister: async (ort) => {
      const { bytes } = encodeModel(parseModel("input %x: float32[1]\n%y = Relu(%x)\noutput %y"));
      await (await ort.InferenceSession.create(bytes)).release();
    },
  },
  "another table": { beforeRegister: withoutTableMaximum },
  "no OrtApi": atOrtApi((words, at) => {
    words[at + 45] = 0;
  }),
  "two of OrtApi": atOrtApi((words, at) => {
    words.copyWithin(unusedWord(words), at, at + 300);
  }),
  "a future order of functions": atOrtApi((words, at) => {
    words.copyWithin(at + 91, at + 90, at + 300);
  }),
  "functions of the same kind, swapped": atOrtApi((words, at) => swap(words, at + 1, at + 2)),
  "kernels that do nothing": {
    beforeRegister: () =>
      afterInstantiation(({ instance, module }, imports) => {
        const { exports } = instance;
        const isShared = imports?.env?.memory && isSharedMemory(imports.env.memory as WebAssembly.Memory);
        if (exports.f32_adder_4x8 === undefined || !isShared) return { instance, module };
        return { module, instance: { exports: { ...exports, f32_adder_4x8: () => {} } } };
      }),
  },
  "no koffi": {
    beforeRegister: () =>
      whenRequired((name) => {
        if (name === "koffi") throw new Error("Cannot find module 'koffi'");
      }),
  },
  "an onnxruntime-node that is not found": {
    beforeRegister: () =>
      whenRequired((name) => {
        if (name === "onnxruntime-node") throw new Error("Cannot find module 'onnxruntime-node'");
      }),
  },
  "a library that cannot be loaded": {
    beforeRegister: async () => {
      const { createRequire } = await import("node:module");
      createRequire(import.meta.url)("koffi").load = () => {
        throw new Error("cannot open shared object file");
      };
    },
  },
  "a proxy": {
    afterRegister: (ort) => {
      (globalThis as { document?: object }).document = {};
      ort.env.wasm.proxy = true;
    },
  },
} satisfies Record<string, Measures>;

export type Sabotage = keyof typeof list;
export const sabotages: Readonly<Record<Sabotage, Measures>> = list;
