// Zip archives: the central directory says what there is; sizes, offsets and overlaps are checked before a byte is taken.

import { checkpointError, quote } from "./checkpoint.ts";

export interface ZipMember {
  readonly name: string;
  readonly isDeflated: boolean;
  readonly crc: number;
  /** Bytes in the file, and bytes they stand for. */
  readonly storedSize: number;
  readonly size: number;
  /** Of the local header. */
  readonly headerOffset: number;
}

export interface ZipArchive {
  readonly bytes: Uint8Array;
  readonly where: string;
  readonly members: ReadonlyMap<string, ZipMember>;
}

const signatures = {
  end: 0x06054b50,
  end64: 0x06064b50,
  locator64: 0x07064b50,
  entry: 0x02014b50,
  local: 0x04034b50,
};
const endSize = 22;
const longestComment = 0xffff;

/** How much more than the file itself all its members may hold together. */
const mostExpansion = 20;
const alwaysAllowed = 2 ** 24;

interface Directory {
  readonly offset: number;
  readonly count: number;
  readonly size: number;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const uint64 = (view: DataView, at: number): number => Number(view.getBigUint64(at, true));

export function isZip(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && viewOf(bytes).getUint32(0, true) === signatures.local;
}

function damaged(where: string, problem: string): Error {
  return checkpointError(where, `the zip archive is damaged: ${problem}`, {
    fix: "copy or download the file again",
  });
}

/** The end record stands last, behind it only its own comment. */
function findEnd(view: DataView, where: string): number {
  const first = Math.max(0, view.byteLength - endSize - longestComment);
  for (let at = view.byteLength - endSize; at >= first; at--) {
    if (view.getUint32(at, true) !== signatures.end) continue;
    if (at + endSize + view.getUint16(at + 20, true) === view.byteLength) return at;
  }
  throw damaged(where, "its directory is missing, the file may be cut off");
}

function readEnd(view: DataView, where: string): Directory {
  const end = findEnd(view, where);
  const locator = end - 20;
  if (locator < 0 || view.getUint32(locator, true) !== signatures.locator64) {
    const [count, size] = [view.getUint16(end + 10, true), view.getUint32(end + 12, true)];
    return { count, size, offset: view.getUint32(end + 16, true) };
  }
  const at = uint64(view, locator + 8);
  if (at > locator - 56 || view.getUint32(at, true) !== signatures.end64) {
    throw damaged(where, "its directory is not where it should be");
  }
  return { count: uint64(view, at + 32), size: uint64(view, at + 40), offset: uint64(view, at + 48) };
}

/** The 64-bit sizes of the extra field stand for those that read 0xffffffff, in their order. */
function wideSizes(extra: DataView, narrow: readonly number[], where: string): number[] {
  const missing = narrow.filter((value) => value === 0xffffffff).length;
  if (missing === 0) return [...narrow];
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    const length = extra.getUint16(at + 2, true);
    if (extra.getUint16(at, true) !== 1 || length < 8 * missing || at + 4 + length > extra.byteLength)
      continue;
    const wide = Array.from({ length: missing }, (_, index) => uint64(extra, at + 4 + 8 * index));
    return narrow.map((value) => (value === 0xffffffff ? wide.shift()! : value));
  }
  throw damaged(where, "a size is missing");
}

const names = new TextDecoder("utf-8");

function readEntry(
  bytes: Uint8Array,
  at: number,
  end: number,
  where: string,
): { member: ZipMember; next: number } {
  const view = viewOf(bytes);
  if (at + 46 > end || view.getUint32(at, true) !== signatures.entry)
    throw damaged(where, "its directory is cut off");
  const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) =>
    view.getUint16(at + field, true),
  );
  const next = at + 46 + nameLength! + extraLength! + commentLength!;
  if (next > end) throw damaged(where, "its directory is cut off");
  const name = names.decode(bytes.subarray(at + 46, at + 46 + nameLength!));
  const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
  if (flags & 1) throw checkpointError(where, `member ${quote(name)} is encrypted`);
  if (method !== 0 && method !== 8) {
    throw checkpointError(where, `member ${quote(name)} is compressed in a way that is not read`, {
      expected: "stored or deflated",
      found: `method ${method}`,
    });
  }
  const extra = viewOf(bytes.subarray(at + 46 + nameLength!, at + 46 + nameLength! + extraLength!));
  const narrow = [24, 20, 42].map((field) => view.getUint32(at + field, true));
  const [size, storedSize, headerOffset] = wideSizes(extra, narrow, where);
  const crc = view.getUint32(at + 16, true);
  const member = {
    name,
    isDeflated: method === 8,
    crc,
    size: size!,
    storedSize: storedSize!,
    headerOffset: headerOffset!,
  };
  return { member, next };
}

/** Bombs declare more than the file could hold, or let members share bytes. */
function checkMembers(
  members: readonly ZipMember[],
  fileBytes: number,
  directory: Directory,
  where: string,
): void {
  const total = members.reduce((sum, { size }) => sum + size, 0);
  if (total > Math.max(alwaysAllowed, mostExpansion * fileBytes)) {
    throw checkpointError(
      where,
      "the archive would unpack to far more than a checkpoint of its size can hold",
      {
        found: `${total} bytes in a file of ${fileBytes}`,
      },
    );
  }
  let end = 0;
  for (const member of [...members].sort((a, b) => a.headerOffset - b.headerOffset)) {
    if (member.headerOffset < end)
      throw damaged(where, `member ${quote(member.name)} lies on top of another`);
    end = member.headerOffset + 30 + member.storedSize;
    if (end > directory.offset) throw damaged(where, `member ${quote(member.name)} is cut off`);
    if (!member.isDeflated && member.size !== member.storedSize) {
      throw damaged(where, `member ${quote(member.name)} has two different sizes`);
    }
  }
}

/** Reads and checks the directory. Errors: ADN_CHECKPOINT. */
export function openZip(bytes: Uint8Array, where: string): ZipArchive {
  const directory = readEnd(viewOf(bytes), where);
  const end = directory.offset + directory.size;
  if (!(end <= bytes.length)) throw damaged(where, "its directory is cut off");
  const members = new Map<string, ZipMember>();
  for (let at = directory.offset; at < end; ) {
    const { member, next } = readEntry(bytes, at, end, where);
    if (members.has(member.name)) throw damaged(where, `member ${quote(member.name)} is there twice`);
    members.set(member.name, member);
    at = next;
  }
  if (members.size !== directory.count) throw damaged(where, "its directory does not list what it announces");
  checkMembers([...members.values()], bytes.length, directory, where);
  return { bytes, where, members };
}

/** Where a member's bytes lie; the local header's own sizes may be 0 and are not read. */
function storedBytes({ bytes, where }: ZipArchive, member: ZipMember): Uint8Array {
  const view = viewOf(bytes);
  const at = member.headerOffset;
  if (view.getUint32(at, true) !== signatures.local)
    throw damaged(where, `member ${quote(member.name)} has no header`);
  const start = at + 30 + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
  const end = start + member.storedSize;
  if (end > bytes.length) throw damaged(where, `member ${quote(member.name)} is cut off`);
  return bytes.subarray(start, end);
}

const crcTable = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) crc = (crc >>> 8) ^ crcTable[(crc ^ bytes[at]!) & 255]!;
  return ~crc >>> 0;
}

/** Inflates into exactly the announced size; a stream that goes on beyond it is stopped. */
async function inflate(stored: Uint8Array, member: ZipMember, where: string): Promise<Uint8Array> {
  const result = new Uint8Array(member.size);
  let length = 0;
  const source = new Blob([stored as Uint8Array<ArrayBuffer>]).stream();
  const reader = source.pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (length + value.length > member.size)
        throw damaged(where, `member ${quote(member.name)} is larger than it says`);
      result.set(value, length);
      length += value.length;
    }
  } catch (cause) {
    await reader.cancel().catch(() => undefined);
    if (cause instanceof Error && cause.name === "AdderNetError") throw cause;
    throw checkpointError(where, `member ${quote(member.name)} cannot be decompressed`, { cause });
  }
  if (length < member.size) throw damaged(where, `member ${quote(member.name)} is smaller than it says`);
  return result;
}

/** A member's content. A checksum of 0 was never computed and is not compared. Errors: ADN_CHECKPOINT. */
export async function readMember(archive: ZipArchive, member: ZipMember): Promise<Uint8Array> {
  const stored = storedBytes(archive, member);
  const content = member.isDeflated ? await inflate(stored, member, archive.where) : stored;
  if (member.crc === 0 || crc32(content) === member.crc) return content;
  throw damaged(archive.where, `the checksum of member ${quote(member.name)} is wrong`);
}
