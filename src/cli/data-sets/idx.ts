// The IDX format of MNIST: unsigned bytes in one to four dimensions.

import { AdderNetError } from "../../core/errors.ts";

export interface IdxArray {
  readonly dims: readonly number[];
  readonly data: Uint8Array;
}

const unsignedByte = 0x08;

/** Errors: ADN_DATA. `where` names the file in messages. */
export function decodeIdx(bytes: Uint8Array, where: string): IdxArray {
  const rank = bytes[3] ?? 0;
  const start = 4 + 4 * rank;
  if (bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== unsignedByte || rank < 1 || rank > 4) {
    throw new AdderNetError("ADN_DATA", "not an IDX file of unsigned bytes", { where });
  }
  if (bytes.length < start) throw new AdderNetError("ADN_DATA", "the IDX header is cut off", { where });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dims = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const length = dims.reduce((product, dim) => product * dim, 1);
  if (bytes.length - start !== length) {
    throw new AdderNetError("ADN_DATA", "the IDX file has the wrong length", {
      where,
      expected: `${length} bytes for ${dims.join("x")}`,
      found: `${bytes.length - start}`,
    });
  }
  return { dims, data: bytes.subarray(start) };
}
