// libonnxruntime as a host of custom ops: functions are called through koffi, addresses are those of the process.

import { AdderNetError } from "../../../core/errors.ts";
import { type OrtFunction, ortApi } from "../ort-api.ts";
import type { OrtHost } from "../ort-host.ts";
import type { Koffi, NativeFunction } from "./koffi.ts";

const word = "uintptr_t";
const mailboxBytes = 1024;

const words = (count: number): string[] => new Array<string>(count).fill(word);

/** The version that has all functions used here; every newer library answers for it. */
const apiVersion = 19;

/** The table of functions of that version. */
function openApi(koffi: Koffi, path: string): BigUint64Array {
  const base = koffi.load(path).func("OrtGetApiBase", word, [])();
  const [getApi] = new BigUint64Array(koffi.view(BigInt(base), 8));
  const api = koffi.decode(getApi!, koffi.proto(word, ["uint32_t"]))(apiVersion);
  if (api === 0) {
    throw new AdderNetError("ADN_NATIVE", "onnxruntime is too old", { expected: "version 1.19 or newer" });
  }
  const count = 1 + Math.max(...Object.values(ortApi).map(([place]) => place));
  return new BigUint64Array(koffi.view(BigInt(api), 8 * count).slice(0));
}

function bindFunctions(koffi: Koffi, table: BigUint64Array): Record<OrtFunction, NativeFunction> {
  const entries = Object.entries(ortApi) as [OrtFunction, readonly [number, number]][];
  return Object.fromEntries(
    entries.map(([name, [place, parameters]]) => {
      const result = name.startsWith("Release") ? "void" : word;
      return [name, koffi.decode(table[place]!, koffi.proto(result, words(parameters)))];
    }),
  ) as Record<OrtFunction, NativeFunction>;
}

export interface NodeHost extends OrtHost {
  readonly koffi: Koffi;
  /** Where the bytes of an array that is kept begin. */
  addressOf(bytes: Uint8Array): number;
  /** A function that onnxruntime can call: words in, a word out. */
  callback(parameters: number, answers: boolean, call: (...args: number[]) => number | undefined): number;
  /** Copies bytes between addresses. */
  copy(to: number, from: number, bytes: number): void;
}

/** memcpy of the C library that the process has. */
function findCopy(koffi: Koffi): NativeFunction {
  const library = process.platform === "win32" ? "ucrtbase.dll" : null;
  return koffi.load(library).func("memcpy", word, [word, word, "size_t"]);
}

export function makeNodeHost(koffi: Koffi, path: string): NodeHost {
  const functions = bindFunctions(koffi, openApi(koffi, path));
  const copy = findCopy(koffi);
  // Memory of its own, which stays where it is as long as it is held.
  const box = new Uint8Array(new ArrayBuffer(mailboxBytes));
  const addressOf = (bytes: Uint8Array): number => Number(koffi.address(bytes));
  return {
    koffi,
    pointerBytes: 8,
    mailbox: addressOf(box),
    answers: new DataView(box.buffer),
    call: (name, ...args) => Number(functions[name](...args) ?? 0),
    view: (address, bytes) => new DataView(koffi.view(BigInt(address), bytes)),
    text(address) {
      const view = new Uint8Array(mailboxBytes);
      let [end, found] = [0, ""];
      const decoder = new TextDecoder();
      // In parts that cannot leave the page the text is on.
      for (;;) {
        const room = 4096 - ((address + end) % 4096);
        const part = Math.min(room, view.length);
        view.set(new Uint8Array(koffi.view(BigInt(address + end), part)));
        const zero = view.subarray(0, part).indexOf(0);
        found += decoder.decode(view.subarray(0, zero < 0 ? part : zero), { stream: zero < 0 });
        if (zero >= 0) return found;
        end += part;
      }
    },
    addressOf,
    callback: (parameters, answers, call) =>
      Number(koffi.register(call, koffi.pointer(koffi.proto(answers ? word : "void", words(parameters))))),
    copy: (to, from, bytes) => void copy(to, from, bytes),
  };
}
