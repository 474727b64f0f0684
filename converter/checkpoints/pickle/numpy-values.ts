// NumPy's arrays as pickles describe them: a type, a shape and bytes.

import { stridesOf } from "../../../src/core/tensor.ts";
import { numpyTypes } from "../element-types.ts";
import type { TensorView } from "../tensor-view.ts";
import { describe, isKind, latin1Bytes, type PickledDtype, type PickleValue } from "./values.ts";

/** Makes an error of this file's reader. */
export type Fail = (problem: string, found?: string) => Error;

export function integerOf(value: PickleValue | undefined, fail: Fail): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw fail("a count is no integer", describe(value));
}

export function integersOf(value: PickleValue | undefined, fail: Fail): number[] {
  if (!isKind(value, "tuple", "list")) throw fail("a shape is no list", describe(value));
  return value.items.map((item) => integerOf(item, fail));
}

/** The bytes of an array; Python 2 keeps them in a string. */
function bytesOf(value: PickleValue | undefined, fail: Fail): Uint8Array {
  const bytes = typeof value === "string" ? latin1Bytes(value) : value;
  if (bytes instanceof Uint8Array) return bytes;
  const problem = isKind(value, "list")
    ? "an array holds Python objects"
    : "an array's content is no sequence of bytes";
  throw fail(problem, describe(value));
}

/** numpy.dtype("f4", …), also with a class such as ml_dtypes.bfloat16 in place of the text. */
export function makeDtype(code: PickleValue | undefined, fail: Fail): PickledDtype {
  const name = isKind(code, "global") ? code.name.split(".").at(-1) : code;
  if (typeof name !== "string") throw fail("an array's element type has no name", describe(code));
  const [, order, bare] = /^([<>=|]?)(.*)$/s.exec(name)!;
  return { kind: "dtype", code: bare!, byteOrder: order || "=" };
}

function elementTypeOf(dtype: PickleValue | undefined, fail: Fail) {
  if (!isKind(dtype, "dtype")) throw fail("an array has no element type", describe(dtype));
  const element = numpyTypes.get(dtype.code);
  if (element === undefined) throw fail("an array's elements are of a kind that is not read", dtype.code);
  if (dtype.byteOrder === ">" && element.bytesPerElement > 1) {
    throw fail(
      "an array is big-endian: save it with .astype(array.dtype.newbyteorder('='))",
      `>${dtype.code}`,
    );
  }
  return element;
}

/** The view that (shape, dtype, order, content) means. */
export function arrayView(
  parts: { shape?: PickleValue; dtype?: PickleValue; isFortran: boolean; content?: PickleValue },
  fail: Fail,
): TensorView {
  const element = elementTypeOf(parts.dtype, fail);
  const bytes = bytesOf(parts.content, fail);
  const dims = integersOf(parts.shape, fail);
  const strides = parts.isFortran ? stridesOf([...dims].reverse()).reverse() : stridesOf(dims);
  const count = Math.floor(bytes.length / element.bytesPerElement);
  const storage = {
    key: "of an array",
    typeName: "NumPy",
    ...element,
    count,
    startBytes: 0,
    source: { bytes },
  };
  const expected = dims.reduce((product, dim) => product * dim, 1);
  if (expected !== count) throw fail("an array's content does not fill its shape", `${bytes.length} bytes`);
  return { storage, offset: 0, dims, strides };
}
