// Writing .safetensors: the length of a JSON header, the header, then the bytes of all tensors. PyTorch's safetensors reads it.

export interface FloatTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** Tensors of float32 by name, in their order; `metadata` is text by key. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, FloatTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let length = 0;
  for (const [name, { dims, data }] of tensors) {
    header[name] = { dtype: "F32", shape: dims, data_offsets: [length, length + 4 * data.length] };
    length += 4 * data.length;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  // Spaces behind the header let the floats begin at a multiple of eight.
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerBytes + length).fill(0x20, 8, 8 + headerBytes);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(headerBytes), true);
  bytes.set(text, 8);
  let at = 8 + headerBytes;
  for (const { data } of tensors.values()) {
    for (let i = 0; i < data.length; i++) view.setFloat32(at + 4 * i, data[i]!, true);
    at += 4 * data.length;
  }
  return bytes;
}
