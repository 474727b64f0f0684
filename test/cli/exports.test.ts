// Real PyTorch exports through the whole command line. They are given beside the project (../shared/exports): skipped where absent.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { decodeNpy, encodeNpy } from "../../src/cli/npy.ts";
import { addernet } from "./capture.ts";
import { testFolder } from "./folder.ts";

const exportsFolder = fileURLToPath(new URL("../../../shared/exports", import.meta.url));
const isAbsent = !existsSync(exportsFolder);
const all = isAbsent ? [] : readdirSync(exportsFolder).filter((name) => name.endsWith(".onnx"));
const incomplete = all.filter((name) => name.includes(".b1."));
const folder = testFolder();

const inFolder = (name: string): string => join(folder.path, name);

/** The part of an array that a model with this fixed batch takes. */
function fitted(path: string, rows: number | undefined, name: string): string {
  const { type, data, dims } = decodeNpy(readFileSync(path), path);
  if (rows === undefined) return path;
  const length = data.length / dims[0]!;
  const first = { type, dims: [rows, ...dims.slice(1)], data: data.slice(0, rows * length) as Float32Array };
  return folder.write(name, encodeNpy(first));
}

async function fixedBatch(model: string): Promise<number | undefined> {
  const { stdout } = await addernet(["inspect", model, "--json"]);
  const batch = JSON.parse(stdout).inputs[0].shape[0];
  return typeof batch === "number" ? batch : undefined;
}

/** Largest difference to PyTorch's recorded outputs. */
async function runAgainstPyTorch(model: string, net: string, engine: string): Promise<number> {
  const rows = await fixedBatch(model);
  const input = fitted(join(exportsFolder, `${net}.input.npy`), rows, `${net}.input.npy`);
  const expected = fitted(join(exportsFolder, `${net}.output.npy`), rows, `${net}.output.npy`);
  const output = inFolder(`${net}.${engine}.npy`);
  const { code, stderr } = await addernet(["run", model, "--input", input, "-o", output, "--engine", engine]);
  expect([code, stderr]).toEqual([0, expect.not.stringContaining("error")]);
  const [found, wanted] = [output, expected].map((path) => decodeNpy(readFileSync(path), path));
  expect(found!.dims).toEqual(wanted!.dims);
  const values = wanted!.data as Float32Array;
  const differences = Array.from(found!.data as Float32Array, (value, index) =>
    Math.abs(value - values[index]!),
  );
  return differences.some(Number.isNaN) ? Number.NaN : Math.max(...differences);
}

describe.skipIf(isAbsent)("exports given beside the project", () => {
  it.each(all.filter((name) => !incomplete.includes(name)))(
    "%s converts and matches PyTorch",
    async (name) => {
      const out = inFolder(name);
      const { code, stderr } = await addernet(["convert", join(exportsFolder, name), "-o", out]);
      expect([code, stderr]).toEqual([0, expect.not.stringContaining("error")]);
      const net = name.split(".")[0]!;
      for (const engine of ["addernet", "ort", "ort-web"]) {
        expect(await runAgainstPyTorch(out, net, engine), engine).toBeLessThan(1e-3);
      }
    },
  );

  it.each(incomplete)("%s asks for what it lost, and converts with it", async (name) => {
    const out = inFolder(name);
    const convert = ["convert", join(exportsFolder, name), "-o", out];
    const { code, stderr } = await addernet(convert);
    expect(code).toBe(3);
    const nodes = ["/c1/PythonOp", "/c2/PythonOp", "/c3/PythonOp", "/f1/PythonOp", "/f2/PythonOp"];
    for (const node of nodes) expect(stderr).toContain(`--set ${node}.strides=`);
    expect(existsSync(out)).toBe(false);
    const flags = [...stderr.matchAll(/--set (\S+)/g)].flatMap(([, setting]) => ["--set", setting!]);
    expect(flags.length).toBe(20);
    // LeNet-5 pads its first layer by two; the numbers in the message are an example.
    const settings = flags.map((flag) =>
      flag.replace(/pads=.*/, flag.startsWith("/c1/") ? "pads=2" : "pads=0"),
    );
    const second = await addernet([...convert, ...settings]);
    expect([second.code, second.stderr]).toEqual([0, expect.not.stringContaining("error")]);
    expect(await runAgainstPyTorch(out, name.split(".")[0]!, "addernet")).toBeLessThan(1e-3);
  });

  it("an export that fixed its batch to 1 converts to a model of any batch, unless asked to keep it", async () => {
    const fixed = join(exportsFolder, "lenet5bn_adder.c1.op13.onnx");
    expect(await fixedBatch(fixed)).toBe(1);
    expect(await fixedBatch(inFolder("lenet5bn_adder.c1.op13.onnx"))).toBeUndefined();
    const { code } = await addernet(["convert", fixed, "-o", inFolder("kept.onnx"), "--keep-batch"]);
    expect([code, await fixedBatch(inFolder("kept.onnx"))]).toEqual([0, 1]);
  });

  it("ResNet-20 has the published counts", async () => {
    const { stdout } = await addernet(["inspect", inFolder("resnet20_adder.c1.op13.onnx"), "--json"]);
    expect(JSON.parse(stdout).adder).toMatchObject({
      layers: 20,
      weights: 269_824,
      taps: 40_370_176,
      additions: 80_740_352,
    });
    expect(JSON.parse(stdout).multiplications).toBe(442_368 + 640);
  });
});
