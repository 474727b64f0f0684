// Checkpoints that PyTorch and NumPy wrote, of every container, against the values they say were in them.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readCheckpoint } from "../../converter/checkpoints/index.ts";
import { widenFloat16 } from "../../src/core/float16.ts";
import type { Tensor } from "../../src/core/tensor.ts";

const folder = join(import.meta.dirname, "fixtures");

interface Described {
  readonly type: string;
  readonly dims: readonly number[];
  /** Python's shortest digits of each value. */
  readonly values: readonly string[];
}

interface Descriptions {
  readonly files: Readonly<Record<string, number>>;
  readonly contents: readonly Readonly<Record<string, Described>>[];
}

const descriptions = ["torch1", "torch2"].map(
  (tag): Descriptions => JSON.parse(readFileSync(join(folder, `${tag}.json`), "utf8")),
);
const files = descriptions.flatMap((made) =>
  Object.entries(made.files).map(([name, index]) => [name, made.contents[index]!] as const),
);

const read = (name: string) => readCheckpoint(readFileSync(join(folder, name)), name);

function numbersOf(tensor: Tensor): number[] {
  const wide = /float16/.test(tensor.type) ? widenFloat16(tensor) : tensor;
  return Array.from(wide.data as ArrayLike<number | bigint>, Number);
}

const formatOf = (name: string): string => {
  if (name.endsWith(".pickle")) return "pickle";
  if (name.endsWith(".safetensors")) return "safetensors";
  return name.includes(".legacy.") ? "torch legacy" : "torch zip";
};

describe("checkpoints of either PyTorch", () => {
  it("are all described", () => {
    const found = readdirSync(folder).filter((name) => /\.(pth|pt|pickle|safetensors)$/.test(name));
    expect(files.map(([name]) => name).sort()).toEqual(found.sort());
    expect(found.length).toBeGreaterThan(35);
  });

  it.each(files)("%s", async (name, content) => {
    const { tensors, format } = await read(name);
    expect(format).toBe(formatOf(name));
    expect([...tensors.keys()].sort()).toEqual(Object.keys(content).sort());
    for (const [key, { type, dims, values }] of Object.entries(content)) {
      const tensor = tensors.get(key)!;
      expect([key, tensor.type, tensor.dims]).toEqual([key, type, dims]);
      expect(numbersOf(tensor)).toEqual(values.map(Number));
    }
  });
});

describe("what else a checkpoint holds", () => {
  it("keeps the order of a state_dict", async () => {
    const { tensors } = await read("torch1.state.zip.pth");
    expect([...tensors.keys()].slice(0, 3)).toEqual(["conv1.weight", "bn1.weight", "bn1.bias"]);
  });

  it("reads the modules of a network that was saved whole", async () => {
    for (const name of ["torch1.module.zip.pth", "torch2.module.legacy.pth", "torch2.wrapped-module.pth"]) {
      const { modules } = await read(name);
      expect(modules?.className).toMatch(/\.Net$/);
      const adder = modules!.children.get("block")!.children.get("0")!;
      expect(adder.className).toMatch(/\.adder2d$/);
      expect(Object.fromEntries(adder.attributes)).toEqual({ stride: 2, padding: 1, kernel_size: 3 });
      expect(modules!.children.get("conv1")!.attributes.get("padding")).toEqual([1, 2]);
      expect(modules!.children.get("bn1")!.attributes.get("eps")).toBe(1e-3);
    }
  });

  it("reads the module that DataParallel wraps", async () => {
    const { modules } = await read("torch2.data-parallel.zip.pth");
    expect(modules?.className).toBe("torch.nn.parallel.data_parallel.DataParallel");
    expect([...modules!.children.get("module")!.children.keys()]).toEqual(["conv1", "bn1", "block", "fc"]);
  });

  it("gives every tensor an array of its own, and tied names the same one", async () => {
    const { tensors } = await read("torch1.odd.zip.pth");
    const arrays = new Set([...tensors.values()].map(({ data }) => (data as Float32Array).buffer));
    expect(arrays.size).toBe(tensors.size);
    expect((tensors.get("part")!.data as Float32Array).buffer.byteLength).toBe(24);
  });

  it("reads bytes that lie anywhere in a larger buffer", async () => {
    const bytes = readFileSync(join(folder, "torch1.odd.legacy.pth"));
    const shifted = new Uint8Array(bytes.length + 10).subarray(3, 3 + bytes.length);
    shifted.set(bytes);
    expect((await readCheckpoint(shifted)).tensors).toEqual((await readCheckpoint(bytes)).tensors);
  });
});
