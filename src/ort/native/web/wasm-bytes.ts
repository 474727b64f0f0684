// WebAssembly binaries as bytes: the few places that are read, changed and written here.

/** An unsigned LEB128 number and where it ends. */
function readNumber(bytes: Uint8Array, at: number): [value: number, end: number] {
  let [value, factor, end] = [0, 1, at];
  for (;;) {
    const byte = bytes[end++]!;
    value += (byte & 127) * factor;
    factor *= 128;
    if (byte < 128 || end - at > 5) return [value, end];
  }
}

const tableSection = 4;
const functions = 0x70;
const hasMaximum = 1;
/** onnxruntime has tens of thousands; anything with fewer is something else. */
const fewestEntries = 4096;

/** Where the one table of functions says how long it is at most: its first and its last byte. */
function maximumOf(bytes: Uint8Array): [number, number] | undefined {
  let at = 8;
  while (at < bytes.length) {
    const id = bytes[at]!;
    const [size, start] = readNumber(bytes, at + 1);
    if (id === tableSection) {
      if (bytes[start] !== 1 || bytes[start + 1] !== functions || bytes[start + 2] !== hasMaximum) {
        return undefined;
      }
      const [entries, maximum] = readNumber(bytes, start + 3);
      const [most, end] = readNumber(bytes, maximum);
      return entries < fewestEntries || most !== entries || end !== start + size ? undefined : [maximum, end];
    }
    at = start + size;
  }
  return undefined;
}

/**
 * The same binary with a table that can grow: as long as its maximum's bytes can say. Undefined where the table is not what
 * onnxruntime's is: one, of functions, that cannot grow.
 */
export function withGrowingTable(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
  const place = maximumOf(bytes);
  if (place === undefined) return undefined;
  const patched = bytes.slice();
  const [first, end] = place;
  patched.fill(0xff, first, end - 1);
  patched[end - 1] = end - first > 3 ? 0 : 0x7f;
  return patched;
}

const word = 0x7f;

function number(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...number(value >>> 7)];
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const content = [...number(items.length), ...items.flat()];
  return [id, ...number(content.length), ...content];
}

/** What a function takes, in 32-bit words, and whether it answers one. */
export interface Signature {
  readonly parameters: number;
  readonly answers: boolean;
}

/** A module that imports functions "f"."0", "f"."1" ... and exports them under the same names, as table entries of these signatures. */
export function reexportingModule(signatures: readonly Signature[]): Uint8Array<ArrayBuffer> {
  const name = (text: string): number[] => [text.length, ...new TextEncoder().encode(text)];
  const types = signatures.map(({ parameters, answers }) => [
    ...[0x60, parameters, ...new Array<number>(parameters).fill(word)],
    ...(answers ? [1, word] : [0]),
  ]);
  const imports = signatures.map((_, index) => [...name("f"), ...name(`${index}`), 0, ...number(index)]);
  const exports = signatures.map((_, index) => [...name(`${index}`), 0, ...number(index)]);
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types),
    ...section(2, imports),
    ...section(7, exports),
  ]);
}

/**
 * A module with a function "f" of three words that answers what "o"."listen" answers for them, unless that is -1: then what "o"."f"
 * answers. A function of WebAssembly, so that what it calls may be suspended.
 */
export function listeningModule(): Uint8Array<ArrayBuffer> {
  const [getLocal, teeLocal, callFunction] = [0x20, 0x22, 0x10];
  const given = [0, 1, 2].flatMap((local) => [getLocal, local]);
  const body = [
    ...[1, 1, word],
    ...[...given, callFunction, 1, teeLocal, 3],
    ...[0x41, 0x7f, 0x46, 0x04, word],
    ...[...given, callFunction, 0],
    ...[0x05, getLocal, 3, 0x0b, 0x0b],
  ];
  const name = (text: string): number[] => [text.length, ...new TextEncoder().encode(text)];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [[0x60, 3, word, word, word, 1, word]]),
    ...section(2, [
      [...name("o"), ...name("f"), 0, 0],
      [...name("o"), ...name("listen"), 0, 0],
    ]),
    ...section(3, [[0]]),
    ...section(7, [[...name("f"), 0, 2]]),
    ...section(10, [[...number(body.length), ...body]]),
  ]);
}
