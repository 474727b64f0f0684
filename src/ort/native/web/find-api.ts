// OrtApi inside onnxruntime-web: a row of table entries in static memory whose functions take as many parameters as the API says.

import { AdderNetError } from "../../../core/errors.ts";
import { ortApi } from "../ort-api.ts";

/** Static data lies at the start of the memory. */
const searchedBytes = 2 ** 25;
/** No module has its data below this. */
const firstByte = 1024;

const known = Object.values(ortApi).map(([place, parameters]) => ({ place, parameters }));
/** The first version of the API had that many functions, all of which must be there. */
const firstVersion = 102;
const last = Math.max(...known.map(({ place }) => place));

/** How many parameters the function behind a table entry takes; -1 for none. */
function parameterCounts(table: WebAssembly.Table): (entry: number) => number {
  const counts = new Int16Array(table.length).fill(-2);
  return (entry) => {
    if (counts[entry] === -2) counts[entry] = (table.get(entry) as { length: number } | null)?.length ?? -1;
    return counts[entry]!;
  };
}

/** Addresses at which there is what looks like OrtApi. */
export function findOrtApis({ buffer }: WebAssembly.Memory, table: WebAssembly.Table): number[] {
  const words = new Uint32Array(buffer, 0, Math.min(buffer.byteLength, searchedBytes) >> 2);
  const parametersOf = parameterCounts(table);
  const isFunction = (entry: number): boolean =>
    entry > 0 && entry < table.length && parametersOf(entry) >= 0;
  const fits = (at: number): boolean => {
    for (const { place, parameters } of known) {
      const entry = words[at + place]!;
      if (!isFunction(entry) || parametersOf(entry) !== parameters) return false;
    }
    for (let place = 0; place < firstVersion; place++) if (!isFunction(words[at + place]!)) return false;
    return true;
  };
  const found: number[] = [];
  for (let at = firstByte >> 2; at + last < words.length; at++) {
    const entry = words[at]!;
    // Most words are no table entries, and most of the rest do not stand in front of another one.
    if (entry === 0 || entry >= table.length || words[at + 1]! >= table.length) continue;
    if (fits(at)) found.push(at << 2);
  }
  return found;
}

/** The one place; ADN_NATIVE where there is none or more than one. */
export function findOrtApi(memory: WebAssembly.Memory, table: WebAssembly.Table): number {
  const found = findOrtApis(memory, table);
  if (found.length === 1) return found[0]!;
  throw new AdderNetError("ADN_NATIVE", "onnxruntime's table of functions is not where it can be told", {
    expected: "one place",
    found: found.length === 0 ? "none" : `${found.length} places`,
  });
}
