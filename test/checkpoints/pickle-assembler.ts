// Pickles written opcode by opcode, and archives around them: for tests of what no well-meaning program writes.

export const bytesOf = (...parts: (string | number | Uint8Array | readonly number[])[]): Uint8Array =>
  Uint8Array.from(
    parts.flatMap((part) => {
      if (typeof part === "number") return [part];
      return typeof part === "string" ? [...Buffer.from(part, "latin1")] : [...part];
    }),
  );

const le = (value: number, width: number): Uint8Array => {
  const bytes = Buffer.alloc(width);
  if (width === 8) bytes.writeBigInt64LE(BigInt(value));
  else bytes.writeUIntLE(value, 0, width);
  return bytes;
};

export const pickle = (...ops: Uint8Array[]): Uint8Array => bytesOf(0x80, 2, ...ops, ".");
export const global = (module: string, name: string): Uint8Array => bytesOf("c", module, "\n", name, "\n");
export const text = (value: string): Uint8Array =>
  bytesOf("X", le(Buffer.byteLength(value), 4), Buffer.from(value));
export const stackGlobal = (module: string, name: string): Uint8Array =>
  bytesOf(text(module), text(name), 0x93);
export const integer = (value: number): Uint8Array => bytesOf("J", le(value >>> 0, 4));
export const long = (value: number): Uint8Array => bytesOf(0x8a, 8, le(value, 8));
export const tuple = (...items: Uint8Array[]): Uint8Array => bytesOf("(", ...items, "t");
export const dict = (...items: Uint8Array[]): Uint8Array => bytesOf("}(", ...items, "u");
export const reduce = (callee: Uint8Array, args: Uint8Array): Uint8Array => bytesOf(callee, args, "R");
/** An instance made without arguments, and its state. */
export const newObject = (callee: Uint8Array, state: Uint8Array): Uint8Array =>
  bytesOf(callee, ")", 0x81, state, "b");
export const none = bytesOf("N");

/** A tensor of `count` floats in storage "0". */
export const tensor = ({
  count = 4,
  offset = 0,
  size = [2, 2],
  stride = [2, 1],
  key = "0",
  type = "FloatStorage",
}: {
  count?: number;
  offset?: number;
  size?: readonly number[];
  stride?: readonly number[];
  key?: string;
  type?: string;
} = {}): Uint8Array => {
  const id = tuple(text("storage"), global("torch", type), text(key), text("cpu"), long(count));
  const storage = bytesOf(id, "Q");
  const numbers = (values: readonly number[]): Uint8Array => tuple(...values.map(long));
  const rest = [numbers(size), numbers(stride), bytesOf(0x89), dict()];
  return reduce(global("torch._utils", "_rebuild_tensor_v2"), tuple(storage, long(offset), ...rest));
};

export interface MemberOptions {
  readonly name: string;
  readonly data: Uint8Array;
  readonly method?: number;
  /** What the directory says, where it lies. */
  readonly size?: number;
  readonly storedSize?: number;
  readonly headerOffset?: number;
  readonly crc?: number;
  readonly flags?: number;
}

/** A zip archive; sizes, offsets and checksums are as given, true or not. A checksum of 0 is none. */
export function zip(members: readonly MemberOptions[], { cut = 0 } = {}): Uint8Array {
  const files: Uint8Array[] = [];
  const entries: Uint8Array[] = [];
  let at = 0;
  for (const {
    name,
    data,
    method = 0,
    size = data.length,
    storedSize = data.length,
    headerOffset = at,
    crc = 0,
    flags = 0,
  } of members) {
    const label = Buffer.from(name);
    const common = bytesOf(
      le(flags, 2),
      le(method, 2),
      le(0, 4),
      le(crc, 4),
      le(storedSize, 4),
      le(size, 4),
      le(label.length, 2),
    );
    const file = bytesOf("PK\x03\x04", le(20, 2), common, le(0, 2), label, data);
    entries.push(
      bytesOf(
        "PK\x01\x02",
        le(20, 2),
        le(20, 2),
        common,
        le(0, 2),
        le(0, 2),
        le(0, 8),
        le(headerOffset, 4),
        label,
      ),
    );
    files.push(file);
    at += file.length;
  }
  const directory = bytesOf(...entries);
  const end = bytesOf(
    "PK\x05\x06",
    le(0, 4),
    le(members.length, 2),
    le(members.length, 2),
    le(directory.length, 4),
    le(at, 4),
    le(0, 2),
  );
  const whole = bytesOf(...files, directory, end);
  return whole.subarray(0, whole.length - cut);
}

/** A torch zip file around a pickle, with storage "0" of four floats. */
export const torchZip = (content: Uint8Array, storage: Uint8Array = new Uint8Array(16)): Uint8Array =>
  zip([
    { name: "archive/data.pkl", data: content },
    { name: "archive/data/0", data: storage },
    { name: "archive/version", data: bytesOf("3\n") },
  ]);
