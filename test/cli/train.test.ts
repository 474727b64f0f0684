// addernet train as a process: what it writes, what a kill leaves, what it refuses.

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeNpy } from "../../src/cli/npy.ts";
import { randomStream } from "../../src/train/index.ts";
import { readSchema, schemaProblems } from "./json-schema.ts";

const root = join(import.meta.dirname, "..", "..");
const command = join(root, "dist", "src", "cli", "main.js");
const folder = mkdtempSync(join(tmpdir(), "addernet-train-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const count = 120;

/** 28x28 images with a bright square whose corner tells the class. */
beforeAll(() => {
  const [pixels, labels] = [new Uint8Array(count * 784), new BigInt64Array(count)];
  for (let index = 0; index < count; index++) {
    const random = randomStream(9, index);
    const label = index % 4;
    labels[index] = BigInt(label);
    for (let at = 0; at < 784; at++) {
      const [y, x] = [Math.floor(at / 28), at % 28];
      const isLit = y >= 14 === label > 1 && x >= 14 === (label % 2 === 1);
      pixels[index * 784 + at] = Math.floor((isLit ? 120 : 0) + 100 * random.next());
    }
  }
  writeFileSync(join(folder, "x.npy"), encodeNpy({ type: "uint8", data: pixels, dims: [count, 28, 28] }));
  writeFileSync(join(folder, "y.npy"), encodeNpy({ type: "int64", data: labels, dims: [count] }));
});

const data = "x.npy,y.npy";
const recipe = [
  "--arch",
  "lenet5-bn",
  "--data",
  data,
  "--validation",
  data,
  "--batch",
  "20",
  "--epochs",
  "4",
  "--crop",
  "1",
];

function train(...args: string[]) {
  return spawnSync(process.execPath, [command, "train", ...args], { cwd: folder, encoding: "utf8" });
}

const bytesOf = (name: string): Buffer => readFileSync(join(folder, name));

const until = async (holds: () => boolean): Promise<void> => {
  for (let looks = 0; !holds(); looks++) {
    if (looks > 3000) throw new Error("it does not come");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

function start(...args: string[]): {
  child: ChildProcess;
  ended: Promise<number | null>;
  errors: () => string;
} {
  const child = spawn(process.execPath, [command, "train", ...args], { cwd: folder });
  let text = "";
  child.stderr.on("data", (part) => {
    text += part;
  });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  return { child, ended, errors: () => text };
}

const hasTorch = spawnSync("/usr/bin/python3", ["-c", "import torch"]).status === 0;

/** Strictly into PyTorch's module, then the share of images it gets right. */
const loadInTorch = `
import json, struct, sys
import numpy as np, torch
sys.path.insert(0, sys.argv[1])
from torch import nn
from addernet_torch import Adder2d
from train_lenet import LeNet5
data = open("whole.safetensors", "rb").read()
length, = struct.unpack("<Q", data[:8])
header = json.loads(data[8:8 + length])
header.pop("__metadata__")
def tensor(entry):
    begin, end = entry["data_offsets"]
    return torch.from_numpy(np.frombuffer(data[8 + length + begin:8 + length + end], "<f4").reshape(entry["shape"]).copy())
net = LeNet5()
net.fc2, net.bn5 = Adder2d(84, 4, 1), nn.BatchNorm2d(4)
net.load_state_dict({name: tensor(entry) for name, entry in header.items()}, strict=True)
net.eval()
x, y = np.load("x.npy"), np.load("y.npy")
with torch.no_grad():
    print((net(torch.from_numpy(x).float().div(255).unsqueeze(1)).argmax(1).numpy() == y).mean())
`;

describe("addernet train", () => {
  beforeAll(() => {
    const { status, stdout, stderr } = train(...recipe, "--out", "whole.onnx", "--threads", "2", "--json");
    expect(stderr).toMatch(/epoch 4\/4: loss .*validation loss/);
    expect(status).toBe(0);
    writeFileSync(join(folder, "whole.json"), stdout);
  }, 120_000);

  it("answers as its schema says", () => {
    const answer = JSON.parse(readFileSync(join(folder, "whole.json"), "utf8"));
    expect(schemaProblems(answer, readSchema("train"))).toEqual([]);
    expect(answer.history).toHaveLength(4);
  });

  it("writes a model that eval measures as well as the last epoch did", () => {
    const { history } = JSON.parse(readFileSync(join(folder, "whole.json"), "utf8"));
    const answer = execFileSync(process.execPath, [command, "eval", "whole.onnx", "--data", data, "--json"], {
      cwd: folder,
      encoding: "utf8",
    });
    expect(JSON.parse(answer).top1).toBeCloseTo(history.at(-1).validation.accuracy, 2);
  });

  it.skipIf(!hasTorch)("writes weights that the module of examples/pytorch loads and runs alike", () => {
    const { history } = JSON.parse(readFileSync(join(folder, "whole.json"), "utf8"));
    const found = spawnSync("/usr/bin/python3", ["-c", loadInTorch, join(root, "examples", "pytorch")], {
      cwd: folder,
      encoding: "utf8",
    });
    expect(found.stderr).toBe("");
    expect(Number(found.stdout)).toBeCloseTo(history.at(-1).validation.accuracy, 2);
  });

  it("leaves a page with curves, a histogram for every layer, and the filters of the first", () => {
    const page = bytesOf("whole.html").toString();
    expect(page.match(/<figcaption>(loss|accuracy)</g)).toHaveLength(2);
    for (const name of ["conv1.adder", "conv2.adder", "conv3.adder", "fc1.adder", "fc2.adder"]) {
      expect(page).toMatch(new RegExp(`${name}: (Laplace|Gauss) fits better`));
    }
    expect(page).toMatch(/Filters of conv1\.adder/);
    expect(page).not.toMatch(/NaN|undefined|https?:/);
  });

  it("leaves metrics as JSON lines", () => {
    const lines = bytesOf("whole.metrics.jsonl")
      .toString()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ kind, step }) => [kind, step])).toEqual([
      ["start", 0],
      ["epoch", 6],
      ["epoch", 12],
      ["epoch", 18],
      ["epoch", 24],
    ]);
  });

  it("killed without a warning goes on with the same bits", async () => {
    const args = [...recipe, "--out", "killed.onnx", "--threads", "1", "--resume"];
    for (const epochs of [1, 3]) {
      const { child, ended } = start(...args);
      const metrics = join(folder, "killed.metrics.jsonl");
      const lines = (): number =>
        existsSync(metrics) ? readFileSync(metrics, "utf8").split("\n").length - 1 : 0;
      await until(() => lines() > epochs || child.exitCode !== null);
      child.kill("SIGKILL");
      await ended;
    }
    expect(train(...args).status).toBe(0);
    expect(bytesOf("killed.safetensors").equals(bytesOf("whole.safetensors"))).toBe(true);
    expect(bytesOf("killed.checkpoint").equals(bytesOf("whole.checkpoint"))).toBe(true);
  }, 120_000);

  it("saves on Ctrl-C, says how to go on, and goes on with the same bits", async () => {
    const args = [...recipe, "--out", "stopped.onnx", "--threads", "1", "--resume"];
    const { child, ended, errors } = start(...args);
    await until(() => /epoch 2\/4/.test(errors()) || child.exitCode !== null);
    child.kill("SIGINT");
    expect(await ended).toBe(1);
    expect(errors()).toMatch(/ADN_INTERRUPTED.*--resume/s);
    expect(existsSync(join(folder, "stopped.onnx"))).toBe(false);
    expect(train(...args).status).toBe(0);
    expect(bytesOf("stopped.safetensors").equals(bytesOf("whole.safetensors"))).toBe(true);
  }, 120_000);

  it("tells the other setting when a checkpoint belongs to another run", () => {
    const other = [...recipe, "--seed", "2", "--out", "whole.onnx", "--resume"];
    const { status, stderr } = train(...other);
    expect(status).toBe(2);
    expect(stderr).toMatch(/whole\.checkpoint: .*other settings.*expected --seed 1, found --seed 2/);
  });

  it("fine-tunes what it wrote, telling where it stood before", () => {
    const { status, stdout } = train(
      ...["--model", "whole.onnx", "--data", data, "--validation", data, "--batch", "20", "--epochs", "1"],
      ...["--learning-rate", "0.001", "--out", "tuned.onnx", "--json", "--teacher", "whole.onnx"],
    );
    expect(status).toBe(0);
    const { before, history } = JSON.parse(stdout);
    const whole = JSON.parse(readFileSync(join(folder, "whole.json"), "utf8"));
    expect(before.accuracy).toBeCloseTo(whole.history.at(-1).validation.accuracy, 2);
    expect(history[0].validation.accuracy).toBeGreaterThan(before.accuracy - 0.1);
  });

  it("trains for codes: says what they got right before and after, and eval finds the same in the file", () => {
    const args = ["--model", "whole.onnx", "--bits", "4", "--data", data, "--validation", data];
    const { status, stdout, stderr } = train(
      ...[...args, "--batch", "20", "--epochs", "2", "--out", "coded.onnx", "--json"],
    );
    expect(stderr).toMatch(/4-bit codes before: accuracy .*4-bit codes after: accuracy/s);
    expect(status).toBe(0);
    const { codes, settings } = JSON.parse(stdout);
    expect(settings).toMatchObject({ "input-gradient": "sign", schedule: "smooth-cosine" });
    expect(codes).toMatchObject({ model: "coded.int4.onnx", bits: 4 });
    const answer = execFileSync(
      process.execPath,
      [command, "eval", "coded.int4.onnx", "--data", data, "--json"],
      {
        cwd: folder,
        encoding: "utf8",
      },
    );
    expect(JSON.parse(answer).top1).toBeCloseTo(codes.after, 10);
    expect(JSON.parse(bytesOf("coded.int4.calib.json").toString()).bits).toBe(4);
  }, 60_000);

  it.each([
    { args: ["--arch", "lenet5-bn", "--out", "a.onnx"], status: 2, message: /--data is missing/ },
    { args: ["--data", data, "--out", "a.onnx"], status: 2, message: /--arch or --model is missing/ },
    { args: ["--arch", "lenet5-bn", "--data", data], status: 2, message: /--out is missing/ },
    {
      args: ["--arch", "lenet5-bn", "--model", "whole.onnx", "--data", data, "--out", "a.onnx"],
      status: 2,
      message: /exclude each other/,
    },
    {
      args: ["--model", "whole.onnx", "--width", "0.5", "--data", data, "--out", "a.onnx"],
      status: 2,
      message: /--width is for networks that begin anew/,
    },
    {
      args: ["--arch", "lenet5-bn", "--width", "0", "--data", data, "--out", "a.onnx"],
      status: 2,
      message: /a number above 0, at most 1/,
    },
    {
      args: ["--arch", "lenet5-bn", "--data", data, "--batch", "500", "--out", "a.onnx"],
      status: 2,
      message: /ADN_DATA.*fewer images than in a batch/s,
    },
    {
      args: [...recipe, "--learning-rate", "1e38", "--adder-rate", "increased", "--out", "a.onnx"],
      status: 1,
      message: /ADN_DIVERGED.*the loss is no number/s,
    },
  ])("refuses $args", ({ args, status, message }) => {
    const answer = train(...args, "--quiet");
    expect(answer.stderr).toMatch(message);
    expect(answer.status).toBe(status);
  });
});
