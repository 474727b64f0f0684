// What a file that is no ONNX model looks like, for messages.

interface FileKind {
  readonly name: string;
  readonly matches: (bytes: Uint8Array, text: string) => boolean;
  readonly fix?: string;
}

function startsWith(...magic: readonly number[]) {
  return (bytes: Uint8Array): boolean => magic.every((byte, index) => bytes[index] === byte);
}

const checkpointFix = "export the model to ONNX, or convert the checkpoint with its architecture named";

/** Zip archives name their entries in clear text: torch.save writes NAME/data.pkl first. */
const fileKinds: readonly FileKind[] = [
  { name: "an empty file", matches: (bytes) => bytes.length === 0, fix: "was the download interrupted?" },
  {
    name: "a PyTorch checkpoint (zip)",
    matches: (bytes, text) => startsWith(0x50, 0x4b, 3, 4)(bytes) && text.includes(".pkl"),
    fix: checkpointFix,
  },
  { name: "a zip archive", matches: startsWith(0x50, 0x4b, 3, 4), fix: "unpack it first" },
  {
    name: "a PyTorch checkpoint (pickle)",
    matches: (bytes) => bytes[0] === 0x80 && bytes[1]! < 6,
    fix: checkpointFix,
  },
  {
    name: "a safetensors file",
    matches: (_, text) => text.charCodeAt(8) === 0x7b && /^.{5}\0{3}\{\s*"/s.test(text),
    fix: checkpointFix,
  },
  {
    name: "an HTML page",
    matches: (_, text) => /^\W*<(!doctype html|html|head|body)\b/i.test(text),
    fix: "the download gave a web page: take the raw file",
  },
  {
    name: "a Git LFS pointer",
    matches: (_, text) => text.startsWith("version https://git-lfs"),
    fix: "fetch the file itself with: git lfs pull",
  },
  {
    name: "an onnxruntime .ort file",
    matches: (_, text) => text.startsWith("ORTM", 4),
    fix: "give the .onnx file it was made from",
  },
  { name: "a TensorFlow Lite model", matches: (_, text) => text.startsWith("TFL3", 4) },
  { name: "a gzip archive", matches: startsWith(0x1f, 0x8b), fix: "unpack it first" },
  { name: "an HDF5 file", matches: startsWith(0x89, 0x48, 0x44, 0x46) },
  { name: "an .npy file", matches: startsWith(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59) },
  {
    name: "an image",
    matches: (bytes, text) => text.startsWith("PNG", 1) || startsWith(0xff, 0xd8, 0xff)(bytes),
  },
  { name: "a tar archive", matches: (_, text) => text.startsWith("ustar", 257), fix: "unpack it first" },
  { name: "an XML file", matches: (_, text) => /^\W*<\?xml/.test(text) },
  { name: "a JSON file", matches: (_, text) => /^\s*[[{]\s*["{[\]}]/.test(text) },
  { name: "a text file", matches: (bytes) => bytes.subarray(0, 1000).every(isTextByte) },
  { name: "zeros only", matches: (bytes) => bytes.every((byte) => byte === 0) },
];

function isTextByte(byte: number): boolean {
  return byte >= 0x20 ? byte !== 0x7f : byte >= 9 && byte <= 13;
}

/** The kind of file by its first bytes, and what to do with it; undefined when it could be anything. */
export function recognizeFile(
  bytes: Uint8Array,
): { readonly name: string; readonly fix?: string } | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, 1000));
  return fileKinds.find(({ matches }) => matches(bytes, text));
}
