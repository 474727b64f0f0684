// Checkpoints that do not fit: everything that is wrong is told at once, by name and shape.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Checkpoint, readCheckpoint } from "../../converter/checkpoints/index.ts";
import {
  type BuildOptions,
  buildModel,
  guessArchitectures,
  listArchitectures,
} from "../../converter/topologies/index.ts";
import type { AdderNetError, ErrorCode } from "../../src/core/errors.ts";
import { float32Tensor, int64Tensor, type Tensor } from "../../src/core/tensor.ts";

const open = (file: string): Promise<Checkpoint> =>
  readCheckpoint(readFileSync(join(import.meta.dirname, "fixtures", file)), file);

const zeros = (...dims: number[]): Tensor =>
  float32Tensor(new Float32Array(dims.reduce((product, dim) => product * dim, 1)), dims);

/** A checkpoint with some tensors changed, added or (undefined) left out. */
function changed(checkpoint: Checkpoint, changes: Record<string, Tensor | undefined>): Checkpoint {
  const tensors = new Map(checkpoint.tensors);
  for (const [key, tensor] of Object.entries(changes)) {
    if (tensor === undefined) tensors.delete(key);
    else tensors.set(key, tensor);
  }
  return { ...checkpoint, tensors };
}

function refusal(
  code: ErrorCode,
  arch: string,
  checkpoint: Checkpoint,
  options: BuildOptions = {},
): AdderNetError {
  try {
    buildModel(arch, checkpoint, { where: "net.pth", ...options });
  } catch (error) {
    expect(error).toMatchObject({ name: "AdderNetError", code });
    return error as AdderNetError;
  }
  throw new Error("nothing was refused");
}

const changes: readonly {
  readonly what: string;
  readonly changes: Record<string, Tensor | undefined>;
  readonly told: readonly string[];
}[] = [
  {
    what: "missing layers",
    changes: { "layer2.1.conv1.adder": undefined, "layer3.0.downsample.0.adder": undefined },
    told: [
      "missing layer2.1.conv1.adder or .weight [32, 3, 3, 3]",
      "missing layer3.0.downsample.0.adder or .weight [64, 3, 1, 1]",
    ],
  },
  {
    what: "surplus layers",
    changes: { "layer1.3.conv1.adder": zeros(2, 2, 3, 3), "fc.extra": zeros(5) },
    told: ["surplus layer1.3.conv1.adder [2, 2, 3, 3]", "surplus fc.extra [5]"],
  },
  {
    what: "wrong kernels and channels",
    changes: { "conv1.weight": zeros(2, 3, 7, 7), "layer3.2.conv2.adder": zeros(4, 3, 3, 3) },
    told: [
      "conv1.weight is [2, 3, 7, 7], expected [2, 3, 3, 3]",
      "layer3.2.conv2.adder is [4, 3, 3, 3], expected [4, 4, 3, 3]",
    ],
  },
  {
    what: "normalisation of other widths, or without statistics",
    changes: { "layer1.0.bn1.weight": zeros(3), "layer1.0.bn2.running_var": undefined },
    told: ["layer1.0.bn1.weight is [3], expected [2]", "missing layer1.0.bn2.running_var [2]"],
  },
  {
    what: "a normalisation that is not there",
    changes: Object.fromEntries(
      ["weight", "bias", "running_mean", "running_var"].map((name) => [`layer2.0.bn1.${name}`, undefined]),
    ),
    told: ["missing layer2.0.bn1.weight, .bias, .running_mean, .running_var [3]"],
  },
  {
    what: "a body and a shortcut of different widths",
    changes: {
      "layer2.0.downsample.0.adder": zeros(5, 2, 1, 1),
      ...Object.fromEntries(
        ["weight", "bias", "running_mean", "running_var"].map((name) => [
          `layer2.0.downsample.1.${name}`,
          zeros(5),
        ]),
      ),
    },
    told: ["layer2.0: the shortcut gives [5, 16, 16], the body [3, 16, 16]"],
  },
  {
    what: "a bias of another length",
    changes: { "layer1.0.conv1.b": zeros(7) },
    told: ["layer1.0.conv1.bias is [7], expected [2]"],
  },
];

describe("a checkpoint that does not fit", () => {
  it.each(changes)("has $what", async ({ changes: given, told }) => {
    const original = await open("resnet20-adder.pth");
    const { message } = refusal("ADN_CHECKPOINT", "resnet20", changed(original, given));
    expect(message.split("; ").length).toBe(told.length + 1);
    expect(message.startsWith("net.pth: the checkpoint does not fit resnet20: ")).toBe(true);
    for (const text of told) expect(message).toContain(text);
  });

  it("is told with the architecture it fits", async () => {
    const checkpoint = await open("resnet32-adder.pth");
    const { message } = refusal("ADN_CHECKPOINT", "resnet20", checkpoint);
    expect(message).toContain("surplus layer3.4.conv2.adder [4, 4, 3, 3]");
    expect(message).toContain("it fits resnet32");
  });

  it("is told with all architectures when it fits none", async () => {
    const checkpoint: Checkpoint = { format: "pickle", tensors: new Map([["w", zeros(2)]]) };
    const { message } = refusal("ADN_CHECKPOINT", "vgg-small", checkpoint);
    for (const name of listArchitectures()) expect(message).toContain(name);
    expect(guessArchitectures(checkpoint)).toEqual([]);
  });

  it("has parameters of integers", async () => {
    const given = changed(await open("resnet20-adder.pth"), { "bn1.bias": int64Tensor([1, 2]) });
    expect(refusal("ADN_CHECKPOINT", "resnet20", given).message).toContain(
      "tensor bn1.bias: the parameter is not of a float type",
    );
  });

  it("has other classes than asked for", async () => {
    const checkpoint = await open("resnet20-adder.pth");
    const { message } = refusal("ADN_CHECKPOINT", "resnet20", checkpoint, { classes: 100 });
    expect(message).toContain("fc has 10 classes, expected 100");
    expect(buildModel("resnet20", checkpoint, { classes: 10 }).graph.outputs).toHaveLength(1);
  });

  it("is for other channels than asked for", async () => {
    const { message } = refusal("ADN_CHECKPOINT", "resnet20", await open("resnet20-adder.pth"), {
      inputShape: [1, 32, 32],
    });
    expect(message).toContain("conv1.weight is [2, 3, 3, 3], expected [2, 1, 3, 3]");
  });

  it("is for larger images than asked for", async () => {
    const { message } = refusal("ADN_CHECKPOINT", "lenet5-bn", await open("lenet5-adder.pth"), {
      inputShape: [1, 12, 12],
    });
    expect(message).toContain("conv3: a map of 1x1 is smaller than its window");
  });

  it("was saved with modules of another geometry", async () => {
    const checkpoint = await open("lenet5-mixed-module.pth");
    const conv2 = checkpoint.modules!.children.get("conv2")!.attributes as Map<string, unknown>;
    conv2.set("stride", [2, 2]);
    conv2.set("padding", 1);
    const { message } = refusal("ADN_CHECKPOINT", "lenet5-bn", checkpoint);
    expect(message).toContain("conv2: the module has stride 2x2, the topology 1");
    expect(message).toContain("conv2: the module has padding 1x1, the topology 0");
  });

  it("is named once for each of many faults, and their number is told", async () => {
    const checkpoint = await open("resnet56-adder.pth");
    const { message } = refusal("ADN_CHECKPOINT", "lenet5-bn", checkpoint);
    expect(message).toMatch(/and \d+ more/);
  });
});

describe("what only looks like a topology", () => {
  it("adder layers without any normalisation", async () => {
    const { tensors, format } = await open("lenet5-adder.pth");
    const bare = new Map([...tensors].filter(([key]) => !key.startsWith("bn")));
    const { message } = refusal("ADN_CHECKPOINT", "lenet5-bn", { format, tensors: bare });
    expect(message).toContain("missing bn1.weight, .bias, .running_mean, .running_var [3]");
  });

  it("a pool between filters and their normalisation", async () => {
    const { tensors, format } = await open("vgg-small-adder.pth");
    const moved = new Map(
      [...tensors].map(([key, tensor]) => [key.replace("features.4.", "features.5."), tensor]),
    );
    const { message } = refusal("ADN_CHECKPOINT", "vgg-small", { format, tensors: moved });
    expect(message).toContain("missing features.4.weight, .bias, .running_mean, .running_var [5]");
    expect(message).toContain("surplus features.5.weight [5]");
  });
});

describe("options that cannot be", () => {
  it.each([
    ["an unknown architecture", "resnet21", {}, "resnet20"],
    ["a shape of two numbers", "resnet20", { inputShape: [32, 32] }, "channels, height and width"],
    ["a height that is a symbol", "resnet20", { inputShape: [3, "h", 32] }, "channels, height and width"],
    ["a width of 0", "resnet20", { inputShape: [1, 3, 32, 0] }, "channels, height and width"],
    ["kinds for layers that are not there", "resnet20", { layers: new Map([["conv9", "adder"]]) }, "conv9"],
  ] as const)("%s", async (_, arch, options, told) => {
    const checkpoint = await open("resnet20-adder.pth");
    expect(refusal("ADN_USAGE", arch, checkpoint, options as BuildOptions).message).toContain(told);
  });
});
