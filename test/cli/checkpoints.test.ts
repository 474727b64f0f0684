// Checkpoints through the whole command line. Those given beside the project and CIFAR-10 are skipped where absent.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { cacheFolder, isFetched } from "../../src/cli/data-sets/cache.ts";
import { namedSamples } from "../../src/cli/data-sets/named.ts";
import { decodeNpy, encodeNpy } from "../../src/cli/npy.ts";
import { bytesOf, global, pickle, reduce, text, torchZip, tuple } from "../checkpoints/pickle-assembler.ts";
import { addernet } from "./capture.ts";
import { testFolder } from "./folder.ts";

const folder = testFolder();
const inFolder = (name: string): string => join(folder.path, name);
const fixture = (...names: string[]): string => join(import.meta.dirname, "..", ...names);
const shared = (...names: string[]): string =>
  fileURLToPath(new URL(`../../../shared/${names.join("/")}`, import.meta.url));

async function convert(checkpoint: string, out: string, ...flags: string[]): Promise<void> {
  const { code, stderr } = await addernet(["convert", checkpoint, "-o", out, ...flags]);
  expect([code, stderr]).toEqual([0, expect.not.stringContaining("error")]);
}

async function largestDifference(model: string, input: string, expected: string): Promise<number> {
  const output = inFolder("found.npy");
  const { code, stderr } = await addernet(["run", model, "--input", input, "-o", output]);
  expect([code, stderr]).toEqual([0, expect.not.stringContaining("error")]);
  const [found, wanted] = [output, expected].map((path) => decodeNpy(readFileSync(path), path));
  expect(found!.dims).toEqual(wanted!.dims);
  const values = wanted!.data as ArrayLike<number>;
  return Math.max(...Array.from(found!.data as Float32Array, (value, at) => Math.abs(value - values[at]!)));
}

describe("convert of a checkpoint", () => {
  it("makes a model that computes what PyTorch does", async () => {
    const out = inFolder("lenet.onnx");
    await convert(
      fixture("fixtures", "lenet5bn", "lenet5bn.pth"),
      out,
      "--arch",
      "lenet5-bn",
      "--classes",
      "10",
    );
    const [input, output] = ["input.npy", "output.npy"].map((name) => fixture("fixtures", "lenet5bn", name));
    expect(await largestDifference(out, input!, output!)).toBeLessThan(1e-3);
  });

  it("takes an input shape", async () => {
    const out = inFolder("resnet.onnx");
    const checkpoint = fixture("topologies", "fixtures", "resnet20-adder.pth");
    await convert(checkpoint, out, "--arch", "resnet20", "--input-shape", "input:2,3,20,16");
    const stem = fixture("topologies", "fixtures", "resnet20-adder");
    expect(await largestDifference(out, `${stem}.input.npy`, `${stem}.output.npy`)).toBeLessThan(1e-3);
  });

  it("is told what adds", async () => {
    const out = inFolder("adders.onnx");
    const checkpoint = fixture("topologies", "fixtures", "resnet20-conv-linear.safetensors");
    await convert(checkpoint, out, "--arch", "resnet20", "--layers", "adder");
    const { stdout } = await addernet(["inspect", out, "--json"]);
    expect(stdout).toContain("Adder2d");
  });
});

const lenet = fixture("fixtures", "lenet5bn", "lenet5bn.pth");
const attack = pickle(reduce(global("os", "system"), tuple(text("touch was-run"))));

describe("checkpoints that are refused", () => {
  it.each([
    [
      "a pickle that runs a command",
      torchZip(attack),
      ["--arch", "resnet20"],
      /ADN_CHECKPOINT: .*"os\.system".*nothing was run/,
    ],
    [
      "a text",
      bytesOf("# weights to follow"),
      ["--arch", "resnet20"],
      /ADN_CHECKPOINT: .*this is no checkpoint/,
    ],
    [
      "half a file",
      new Uint8Array(readFileSync(lenet).subarray(0, 9999)),
      ["--arch", "lenet5-bn"],
      /ADN_CHECKPOINT: .*cut off/,
    ],
    [
      "a wrong architecture",
      new Uint8Array(readFileSync(lenet)),
      ["--arch", "resnet20"],
      /ADN_CHECKPOINT: .*missing layer1.*it fits lenet5-bn/,
    ],
    [
      "an unknown architecture",
      new Uint8Array(readFileSync(lenet)),
      ["--arch", "lenet"],
      /ADN_USAGE: .*"lenet".*lenet5-bn/,
    ],
    [
      "other classes",
      new Uint8Array(readFileSync(lenet)),
      ["--arch", "lenet5-bn", "--classes", "9"],
      /ADN_CHECKPOINT: .*10 classes, expected 9/,
    ],
  ] as const)("%s", async (_, bytes, flags, message) => {
    const path = folder.write("refused.pth", bytes);
    const out = inFolder("refused.onnx");
    const { code, stderr, stdout } = await addernet(["convert", path, "-o", out, ...flags]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(existsSync(out)).toBe(false);
  });

  it("--arch for an ONNX file", async () => {
    const model = fixture("fixtures", "lenet5bn", "lenet5bn.torchscript.onnx");
    const { code, stderr } = await addernet([
      "convert",
      model,
      "-o",
      inFolder("x.onnx"),
      "--arch",
      "lenet5-bn",
    ]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/ADN_USAGE: .*--arch is for checkpoints/)]);
  });
});

const isAbsent = !existsSync(shared("exports"));
const given = isAbsent ? [] : readdirSync(shared("exports")).filter((name) => name.endsWith(".pth"));

describe.skipIf(isAbsent)("checkpoints given beside the project", () => {
  it.each(given)("%s matches PyTorch", async (name) => {
    const net = name.split(".")[0]!;
    const out = inFolder(`${name}.onnx`);
    await convert(shared("exports", name), out, "--arch", net.startsWith("lenet") ? "lenet5-bn" : "resnet20");
    const [input, output] = ["input", "output"].map((end) => shared("exports", `${net}.${end}.npy`));
    expect(await largestDifference(out, input!, output!)).toBeLessThan(1e-3);
  });
});

const official = shared("models", "huawei-resnet20-cifar10.pth");
const cache = cacheFolder(process.env);

describe.skipIf(!existsSync(official) || !isFetched("cifar10", cache))(
  "the official ResNet-20, given beside the project, on CIFAR-10",
  () => {
    it("gives the recorded float64 logits of the first 1,000 test images within 2e-3", async () => {
      const count = 1000;
      const samples = namedSamples("cifar10", "test", cache);
      const data = new Float32Array(count * 3072);
      for (let image = 0; image < count; image++) samples.read(image, data, image * 3072);
      const { mean, std } = samples;
      const normalised = data.map((pixel, at) => {
        const channel = Math.floor(at / 1024) % 3;
        return (pixel / 255 - mean![channel]!) / std![channel]!;
      });
      const input = folder.write(
        "cifar.npy",
        encodeNpy({ type: "float32", data: normalised, dims: [count, 3, 32, 32] }),
      );
      const out = inFolder("official.onnx");
      await convert(official, out, "--arch", "resnet20");
      const recorded = shared("models", "huawei-resnet20-cifar10.logits-first-1000.npy");
      expect(await largestDifference(out, input, recorded)).toBeLessThan(2e-3);
    });
  },
);
