// Files that no well-meaning program writes, and files that were damaged: refused by name, quickly, and nothing of them is run.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readCheckpoint } from "../../converter/checkpoints/index.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import {
  bytesOf,
  dict,
  global,
  integer,
  type MemberOptions,
  newObject,
  none,
  pickle,
  reduce,
  stackGlobal,
  tensor,
  text,
  torchZip,
  tuple,
  zip,
} from "./pickle-assembler.ts";

const fixture = (name: string): Uint8Array => readFileSync(join(import.meta.dirname, "fixtures", name));

/** The refusal, which must come within a second of the processor's time. */
async function refusalOf(bytes: Uint8Array): Promise<AdderNetError> {
  const started = process.cpuUsage();
  const error = await readCheckpoint(bytes, "net.pth").then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(process.cpuUsage(started).user).toBeLessThan(1e6);
  expect(error).toBeInstanceOf(AdderNetError);
  expect((error as AdderNetError).code).toBe("ADN_CHECKPOINT");
  return error as AdderNetError;
}

const state = (value: Uint8Array): Uint8Array => pickle(dict(text("weight"), value));
const member = (name: string, data: Uint8Array, more: Partial<MemberOptions> = {}): MemberOptions => ({
  name,
  data,
  ...more,
});

const command = tuple(text("touch /tmp/addernet-was-run"));
const calls: readonly (readonly [name: string, content: Uint8Array])[] = [
  ["os.system", pickle(reduce(global("os", "system"), command))],
  ["posix.system", pickle(reduce(global("posix", "system"), command))],
  ["nt.system", pickle(global("nt", "system"))],
  ["subprocess.Popen", pickle(newObject(global("subprocess", "Popen"), dict()))],
  ["builtins.eval", pickle(reduce(global("builtins", "eval"), tuple(text("1 + 1"))))],
  ["builtins.exec", pickle(stackGlobal("builtins", "exec"))],
  ["__builtin__.getattr", pickle(reduce(global("__builtin__", "getattr"), tuple(none, text("x"))))],
  ["builtins.__import__", pickle(reduce(global("builtins", "__import__"), tuple(text("os"))))],
  ["importlib.import_module", pickle(global("importlib", "import_module"))],
  ["operator.attrgetter", pickle(reduce(global("operator", "attrgetter"), tuple(text("system"))))],
  ["functools.partial", pickle(reduce(global("functools", "partial"), tuple(global("net", "Net"))))],
  ["pickle.loads", pickle(global("pickle", "loads"))],
  ["runpy.run_path", pickle(global("runpy", "run_path"))],
  ["sys.modules", pickle(global("sys", "modules"))],
  ["torch.load", pickle(reduce(global("torch", "load"), tuple(text("x"))))],
  ["torch.hub.load", pickle(global("torch.hub", "load"))],
  ["numpy.testing._private.utils.runstring", pickle(global("numpy.testing._private.utils", "runstring"))],
  ["net.os.system", pickle(stackGlobal("net", "os.system"))],
  ["torch.nn.modules.os.system", pickle(stackGlobal("torch.nn.modules", "os.system"))],
  ["_io.FileIO", pickle(global("_io", "FileIO"))],
  ["net.Net", pickle(reduce(global("net", "Net"), tuple(text("an argument"))))],
  ["pip.main", pickle(reduce(global("pip", "main"), tuple(text("install"))))],
];

describe("what a pickle may not name or call", () => {
  it.each(calls)("%s, plain, in a zip, as an instance", async (name, content) => {
    const zipped = await refusalOf(torchZip(content));
    expect(zipped.message).toContain(JSON.stringify(name));
    expect(zipped.message).toContain("nothing was run");
    expect((await refusalOf(content)).message).toContain(JSON.stringify(name));
  });

  it("opcodes of old protocols that call", async () => {
    const instance = bytesOf("(", text("touch x"), "ios\nsystem\n.");
    expect((await refusalOf(instance)).message).toContain('"os.system"');
    const object = bytesOf("(", global("os", "system"), text("touch x"), "o.");
    expect((await refusalOf(object)).message).toContain('"os.system"');
    expect((await refusalOf(bytesOf(0x80, 2, 0x82, 1, "."))).message).toContain("the extension registry");
  });

  it("in the pickles of the old format, before and behind its magic number", async () => {
    const legacy = fixture("torch1.state.legacy.pth");
    const attack = pickle(reduce(global("os", "system"), command));
    expect((await refusalOf(bytesOf(legacy.subarray(0, 15), attack))).message).toContain('"os.system"');
    expect((await refusalOf(bytesOf(attack, legacy))).message).toContain('"os.system"');
  });

  it("in a checkpoint inside a pickle", async () => {
    const inner = pickle(reduce(global("os", "system"), command));
    const bytes = bytesOf("C", inner.length, inner);
    const content = state(reduce(global("torch.storage", "_load_from_bytes"), tuple(bytes)));
    expect((await refusalOf(bytesOf(0x80, 3, content.subarray(2)))).message).toContain('"os.system"');
  });

  it("takes a class of the user's own as a name, and its state as data", async () => {
    const module = newObject(
      global("network", "Net"),
      dict(
        text("_parameters"),
        dict(text("weight"), tensor()),
        text("_modules"),
        dict(),
        text("stride"),
        integer(2),
      ),
    );
    const { modules, tensors } = await readCheckpoint(
      torchZip(pickle(module), bytesOf(0, 0, 128, 63, new Uint8Array(12))),
    );
    expect(modules?.className).toBe("network.Net");
    expect(modules?.attributes.get("stride")).toBe(2);
    expect(tensors.get("weight")).toEqual({
      type: "float32",
      dims: [2, 2],
      data: Float32Array.of(1, 0, 0, 0),
    });
  });
});

const views: readonly (readonly [what: string, options: Parameters<typeof tensor>[0], message: string])[] = [
  ["reaches beyond its storage", { size: [5, 1], stride: [1, 1] }, "beyond its storage"],
  ["begins beyond its storage", { offset: 4 }, "beyond its storage"],
  ["is larger than the machine's memory", { size: [2 ** 40, 2 ** 10], stride: [0, 0] }, "far larger"],
  ["repeats one element too often", { size: [2 ** 26], stride: [0] }, "far larger"],
  ["has a length below 0", { size: [-2, 2] }, "no counts"],
  ["has strides below 0", { stride: [-1, 1] }, "no counts"],
  ["has another number of strides", { stride: [1] }, "do not belong together"],
  [
    "has a hundred dimensions",
    { size: new Array(100).fill(1), stride: new Array(100).fill(1) },
    "do not belong together",
  ],
  ["announces more than its storage holds", { count: 8, size: [8], stride: [1] }, 'storage "0" is cut off'],
  [
    "announces more than any storage can hold",
    { count: 2 ** 52, size: [2 ** 40], stride: [1] },
    "far larger",
  ],
  ["has no storage", { key: "7" }, 'storage "7" is not in the archive'],
  ["is of an unknown type", { type: "FancyStorage" }, '"torch.FancyStorage"'],
  [
    "is complex",
    { type: "ComplexFloatStorage", count: 2, size: [2], stride: [1] },
    "ComplexFloatStorage elements",
  ],
];

describe("tensors that lie", () => {
  it.each(views)("one that %s", async (_, options, message) => {
    expect((await refusalOf(torchZip(state(tensor(options))))).message).toContain(message);
  });

  it("many that each read all of a large storage", async () => {
    const count = 2 ** 20;
    const one = tensor({ count, size: [2, count / 2], stride: [1, 2] });
    const entries = Array.from({ length: 400 }, (_, index) => [text(`w${index}`), one]).flat();
    const bytes = torchZip(pickle(dict(...entries)), new Uint8Array(4 * count));
    expect((await refusalOf(bytes)).message).toContain("far larger than the file");
  });
});

const half = new Uint8Array(2 ** 20);
const bomb = deflateRawSync(new Uint8Array(2 ** 25));
const good = state(tensor());
const archives: readonly (readonly [what: string, bytes: Uint8Array, message: string])[] = [
  [
    "a member that unpacks to far more than the file",
    zip([member("a/data.pkl", bomb, { method: 8, size: 2 ** 25 })]),
    "far more",
  ],
  [
    "a member that announces far more",
    zip([member("a/data.pkl", bomb, { method: 8, size: 0xfffffff0 })]),
    "far more",
  ],
  [
    "a member that unpacks to more than it announces",
    zip([member("a/data.pkl", bomb, { method: 8, size: 1000 })]),
    "larger than it says",
  ],
  [
    "a member that unpacks to less",
    zip([member("a/data.pkl", deflateRawSync(good), { method: 8, size: 9999 })]),
    "smaller than it says",
  ],
  [
    "a member that is no deflate stream",
    zip([member("a/data.pkl", good, { method: 8 })]),
    "cannot be decompressed",
  ],
  [
    "members on top of each other",
    zip([
      member("a/data.pkl", good),
      member("a/data/0", half),
      member("a/data/1", half, { headerOffset: 20 }),
    ]),
    "on top of another",
  ],
  ["two members of one name", zip([member("a/data.pkl", good), member("a/data.pkl", good)]), "there twice"],
  [
    "a member beyond the end",
    zip([member("a/data.pkl", good, { storedSize: 10 ** 6, size: 10 ** 6 })]),
    "is cut off",
  ],
  ["a member of two sizes", zip([member("a/data.pkl", good, { size: 10 })]), "two different sizes"],
  [
    "a member whose header is elsewhere",
    zip([member("a", half), member("a/data.pkl", good, { headerOffset: 100 })]),
    "on top of another",
  ],
  ["a wrong checksum", zip([member("a/data.pkl", good, { crc: 1234 })]), "checksum"],
  ["an encrypted member", zip([member("a/data.pkl", good, { flags: 1 })]), "encrypted"],
  ["a compression of another kind", zip([member("a/data.pkl", good, { method: 14 })]), "method 14"],
  ["no data.pkl", zip([member("word/document.xml", good)]), "no PyTorch checkpoint"],
  ["two data.pkl", zip([member("a/data.pkl", good), member("b/data.pkl", good)]), "2 of them"],
  ["no directory", torchZip(good).subarray(0, 100), "its directory is missing"],
  ["a cut in its directory", zip([member("a/data.pkl", good)], { cut: 5 }), "its directory is missing"],
  [
    "a big-endian machine's mark",
    zip([member("a/data.pkl", good), member("a/byteorder", bytesOf("big"))]),
    "big-endian",
  ],
];

describe("archives that lie", () => {
  it.each(archives)("one with %s", async (_, bytes, message) => {
    expect((await refusalOf(bytes)).message).toContain(message);
  });
});

const deep = (opcode: string, count: number): Uint8Array => new Uint8Array(count).fill(opcode.charCodeAt(0));
const doubled = bytesOf("]", ...Array.from({ length: 30 }, (_, n) => bytesOf("q", n, "]h", n, "ah", n, "a")));
const nested = (depth: number): Uint8Array =>
  newObject(
    global("net", "Block"),
    dict(
      text("_parameters"),
      dict(text("w"), tensor()),
      text("_modules"),
      depth === 0 ? dict() : dict(text("m"), nested(depth - 1)),
    ),
  );
const selfReferring = bytesOf(
  global("net", "Block"),
  ")\x81q\x01}(",
  text("_parameters"),
  dict(),
  bytesOf(text("_modules"), dict(text("a"), bytesOf("h\x01"), text("b"), bytesOf("h\x01"))),
  "ub",
);

/** `levels` dictionaries, each with `width` entries that are the next one. */
const widened = (levels: number, width: number, key: (index: number) => string): Uint8Array =>
  Array.from({ length: levels }).reduce<Uint8Array>((inner, _, level) => {
    const entries = Array.from({ length: width }, (_, index) => bytesOf(text(key(index)), "h", level));
    return bytesOf(inner, "q", level, "0}(", ...entries, "u");
  }, bytesOf("}"));

const numbers = (count: number): Uint8Array =>
  Uint8Array.from({ length: 5 * count }, (_, at) =>
    at % 5 === 0 ? 0x4a : (Math.floor(at / 5) >> (8 * ((at % 5) - 1))) & 255,
  );
const large = (empty: string, fill: string): Uint8Array => bytesOf(empty, "(", numbers(400_000), fill);
const many = (ops: Uint8Array): Uint8Array => bytesOf(...new Array<Uint8Array>(2000).fill(ops));
const one = tensor({ count: 4, size: [1], stride: [1] });

const pickles: readonly (readonly [what: string, bytes: Uint8Array, message: string])[] = [
  ["pushes without end", bytesOf(0x80, 2, deep("N", 3_000_000), "."), "grows without end"],
  ["marks without end", bytesOf(0x80, 2, deep("(", 6_000_000), "."), "goes on and on"],
  [
    "nests lists without end",
    bytesOf(0x80, 2, deep("]", 200_000), deep("a", 199_999), "."),
    "no tensors by name",
  ],
  ["doubles a list thirty times", pickle(doubled), "no tensors by name"],
  [
    "widens dictionaries six times over",
    pickle(widened(6, 200, (index) => `k${index}`)),
    "nested without end",
  ],
  [
    "wraps a state_dict in itself, by every name",
    pickle(bytesOf("}q\x01(", text("model"), "h\x01", text("net"), "h\x01u")),
    "no tensors",
  ],
  ["nests modules without end", torchZip(pickle(nested(200))), "nested without end"],
  ["holds a module that holds itself twice", pickle(selfReferring), "nested without end"],
  [
    "gives one large state to many objects",
    pickle(bytesOf(large("}", "u"), "q\x010", many(bytesOf(global("net", "A"), ")\x81h\x01b0")))),
    "goes on and on",
  ],
  [
    "makes many sets of one large list",
    pickle(bytesOf(large("]", "e"), "q\x010", many(reduce(global("builtins", "set"), bytesOf("h\x01\x85"))))),
    "goes on and on",
  ],
  [
    "calls with one large tuple, many times",
    pickle(
      bytesOf("(", numbers(400_000), "tq\x010", many(reduce(global("torch", "Size"), bytesOf("h\x01")))),
    ),
    "goes on and on",
  ],
  [
    "names more tensors than any network",
    torchZip(pickle(dict(...Array.from({ length: 30_000 }, (_, n) => [text(`w${n}`), one]).flat()))),
    "more tensors",
  ],
  ["has an integer of a megabyte", bytesOf(0x80, 2, 0x8b, 0, 0, 16, 0, half, "."), "an integer is too long"],
  ["has a decimal of a megabyte", bytesOf("I", deep("9", 2 ** 20), "\n."), "an integer is none"],
  ["has text longer than the file", bytesOf(0x80, 2, "X", 255, 255, 255, 127, "abc"), "cut off"],
  [
    "has bytes longer than any file",
    bytesOf(0x80, 5, 0x96, 255, 255, 255, 255, 255, 255, 255, 255),
    "cut off",
  ],
  [
    "has a frame longer than the file, and nothing behind it",
    bytesOf(0x80, 4, 0x95, 0, 0, 0, 0, 0, 0, 16, 0),
    "cut off",
  ],
  ["recalls what it never kept", bytesOf(0x80, 2, "h\x05."), "never kept"],
  ["pops from an empty stack", bytesOf(0x80, 2, "0."), "missing on its stack"],
  ["pops through a mark", bytesOf(0x80, 2, "](N", "s."), "missing on its stack"],
  ["is of a protocol to come", bytesOf(0x80, 9, "N."), "protocol"],
  ["has an unknown opcode", bytesOf(0x80, 2, 0x01, "."), "no opcode 1"],
  ["is cut off", bytesOf(0x80, 2, "}"), "cut off"],
  ["holds nothing", pickle(none), "found None"],
  ["holds a dictionary of numbers", pickle(dict(text("epoch"), integer(3))), '"epoch"'],
  ["refers to a storage outside of any archive", state(tensor()), "outside of it"],
  ["appends to a number", bytesOf(0x80, 2, "K\x01K\x02a."), "items for a number"],
  ["sets an entry of a list", bytesOf(0x80, 2, "]K\x01K\x02s."), "entries for a list"],
  ["calls a number", pickle(reduce(integer(1), tuple())), "is no class"],
  ["gives a number a state", bytesOf(0x80, 2, "K\x01}b."), "a state is given"],
];

describe("pickles that are damaged or endless", () => {
  it.each(pickles)("one that %s", async (_, bytes, message) => {
    expect((await refusalOf(bytes)).message).toContain(message);
  });
});

const safetensors = (
  header: string | Uint8Array,
  content: Uint8Array = new Uint8Array(16),
  length?: number,
): Uint8Array => {
  const bytes = typeof header === "string" ? Buffer.from(header) : header;
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(length ?? bytes.length));
  return bytesOf(size, bytes, content);
};
const entry = (dtype: string, shape: unknown, offsets: unknown): string =>
  JSON.stringify({ dtype, shape, data_offsets: offsets });

const safetensorsCases: readonly (readonly [what: string, bytes: Uint8Array, message: string])[] = [
  ["a header that is no JSON", safetensors("{not json"), "is no JSON"],
  ["a header beyond the end", safetensors("{}", undefined, 10 ** 9), "is cut off"],
  ["a tensor beyond the end", safetensors(`{"w":${entry("F32", [8], [0, 32])}}`), "is cut off"],
  ["a tensor of the wrong size", safetensors(`{"w":${entry("F32", [3], [0, 16])}}`), "wrong number of bytes"],
  [
    "an immense shape",
    safetensors(`{"w":${entry("F32", [2 ** 40, 2 ** 40], [0, 16])}}`),
    "wrong number of bytes",
  ],
  [
    "two tensors on top of each other",
    safetensors(`{"a":${entry("F32", [4], [0, 16])},"b":${entry("F32", [4], [0, 16])}}`),
    "on top",
  ],
  [
    "offsets the wrong way round",
    safetensors(`{"w":${entry("F32", [4], [16, 0])}}`),
    "wrong number of bytes",
  ],
  ["an unknown type", safetensors(`{"w":${entry("F7", [4], [0, 16])}}`), "F7"],
  ["a type that is not read", safetensors(`{"w":${entry("F8_E4M3", [16], [0, 16])}}`), "F8_E4M3 elements"],
  [
    "more tensors than any network",
    safetensors(`{${Array.from({ length: 60_000 }, (_, n) => `"w${n}":${entry("F32", [0], [0, 0])}`)}}`),
    "more tensors",
  ],
  ["a shape of text", safetensors(`{"w":${entry("F32", ["4"], [0, 16])}}`), "described in a way"],
  ["an entry that is a number", safetensors(`{"w":7}`), "described in a way"],
];

describe("safetensors that lie", () => {
  it.each(safetensorsCases)("a file with %s", async (_, bytes, message) => {
    expect((await refusalOf(bytes)).message).toContain(message);
  });
});

const others: readonly (readonly [what: string, bytes: Uint8Array, message: string])[] = [
  ["nothing", new Uint8Array(0), "the file is empty"],
  ["an HTML page", bytesOf("<!DOCTYPE html><html>"), "a web page"],
  ["a Git LFS pointer", bytesOf("version https://git-lfs.github.com/spec/v1\n"), "Git LFS"],
  ["an HDF5 file", bytesOf("\x89HDF\r\n\x1a\n"), "HDF5"],
  ["an .npy file", bytesOf("\x93NUMPY\x01\x00"), ".npy"],
  ["a gzip file", bytesOf("\x1f\x8b\x08"), "gzip"],
  ["text", bytesOf("Hello, this is no checkpoint."), "no checkpoint"],
  ["zeros", new Uint8Array(1000), "no checkpoint"],
];

describe("files of other kinds", () => {
  it.each(others)("%s", async (_, bytes, message) => {
    const error = await refusalOf(bytes);
    expect(error.message).toContain(message);
    expect(error.message.startsWith("net.pth: ")).toBe(true);
  });

  it("names an ONNX model for what it is", async () => {
    const folder = join(import.meta.dirname, "..", "fixtures", "lenet5bn");
    const error = await refusalOf(readFileSync(join(folder, "lenet5bn.torchscript.onnx")));
    expect(error.message).toContain("ONNX");
  });
});

const wholeFiles = [
  "torch1.state.zip.pth",
  "torch1.module.legacy.pth",
  "torch2.arrays4.pickle",
  "torch2.state.safetensors",
];

describe("damage anywhere", () => {
  it.each(wholeFiles)("%s, cut off at any byte, is refused", async (name) => {
    const bytes = fixture(name);
    const step = Math.max(1, Math.floor(bytes.length / 400));
    for (let length = 0; length < bytes.length - 1; length += step) {
      await refusalOf(bytes.subarray(0, length));
    }
  });

  it.each(wholeFiles)("%s, with bytes changed, is read or refused", async (name) => {
    const bytes = fixture(name);
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const changed = Uint8Array.from(bytes);
        for (const [at, value] of changes) changed[at] = value;
        const started = process.cpuUsage();
        const result = await readCheckpoint(changed).catch((error: unknown) => error);
        expect(process.cpuUsage(started).user).toBeLessThan(1e6);
        if (result instanceof Error)
          expect(result).toMatchObject({ name: "AdderNetError", code: "ADN_CHECKPOINT" });
      }),
      { numRuns: 400, seed: 7 },
    );
  });

  it("random bytes behind a pickle's first two are refused", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (bytes) => {
        const result = await readCheckpoint(bytesOf(0x80, 2, bytes)).catch((error: unknown) => error);
        expect(result).toMatchObject({ name: "AdderNetError", code: "ADN_CHECKPOINT" });
      }),
      { numRuns: 2000, seed: 11 },
    );
  });
});
