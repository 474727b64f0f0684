// Custom ops in onnxruntime-node's own library: every strategy agrees, and a session answers as one of onnxruntime-node does.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { attachFunctions } from "../../custom-ops/attach-functions.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { adderNetEp, explain, registerAdderNet, type Strategy } from "../../src/ort.ts";
import { parseModel, randomTensor } from "../passes/parse-model.ts";
import { expectMeaning, type NativeCase, nativeCases } from "./native-models.ts";
import { openProcesses, type Processes, type SessionResult } from "./native-process.ts";
import type { Sabotage } from "./sabotage.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

function canUseKoffi(): boolean {
  try {
    createRequire(import.meta.url)("koffi");
    return true;
  } catch {
    return false;
  }
}
const hasKoffi = canUseKoffi();

let processes: Processes;
let cases: NativeCase[];
let folder: string;
beforeAll(async () => {
  processes = await openProcesses();
  cases = await nativeCases();
  folder = mkdtempSync(join(tmpdir(), "addernet-"));
});
afterAll(() => {
  processes?.close();
  rmSync(folder, { recursive: true, force: true });
});

function outputsOf({ runs, error }: SessionResult): Record<string, Tensor> {
  expect(error).toBeUndefined();
  const outputs = runs[0]!;
  if ("error" in outputs && "message" in outputs.error) throw new Error(String(outputs.error.message));
  return outputs as Record<string, Tensor>;
}

const ways: readonly (Strategy | undefined)[] = ["native", "auto", "partition", undefined];

describe.skipIf(!hasKoffi)(
  `onnxruntime-node with koffi${hasKoffi ? "" : " (skipped: not installed)"}`,
  () => {
    it("agrees in every strategy", async () => {
      const sessions = cases.flatMap(({ bytes, feeds }) =>
        ways.map((strategy) => ({ bytes, runs: [feeds, feeds], ...(strategy && { strategy }) })),
      );
      const job = { ort: "onnxruntime-node", strategy: "auto", sessions } as const;
      const { sessions: results, warnings } = await processes.run(job);
      expect(warnings).toEqual([]);
      for (const [index, result] of results.entries()) {
        const [each, way] = [cases[Math.floor(index / ways.length)]!, ways[index % ways.length]];
        expectMeaning(`${each.name}, ${way ?? "function bodies"}`, outputsOf(result), each.expected);
        expect(result.runs[1]).toEqual(result.runs[0]);
        expect(result.strategy).toBe(way === "auto" ? "native" : way);
      }
    });
  },
);

/** Several outputs of several types, dynamic shapes, an input with a default, strings. */
function manyModel(): Uint8Array {
  const model = parseModel(`input %x: float32[N,2,H,5]
    input %s: string[K]
    input %q: uint8[N,2,H,5]
    %w = float32[3,2,3,3]
    %a = addernet::Adder2d[pads=1,1,1,1](%x, %w)
    %e = Erf(%a)
    %shape = Shape(%e)
    %t = Identity(%s)
    %r = Identity(%q)
    output %e: float32[N,3,H,5]
    output %shape: int64[4]
    output %t: string[K]
    output %r: uint8[N,2,H,5]`);
  attachFunctions(model);
  return encodeModel(model).bytes;
}

const tensor = (name: string, dims: readonly number[]) =>
  new ort.Tensor("float32", randomTensor(name, "float32", dims).data as Float32Array, dims);

const manyFeeds = (n: number, h: number) => ({
  x: tensor("x", [n, 2, h, 5]),
  s: new ort.Tensor("string", ["", "ä", "three"], [3]),
  q: new ort.Tensor(
    "uint8",
    Uint8Array.from({ length: n * 10 * h }, (_, i) => i),
    [n, 2, h, 5],
  ),
});

type Options = ort.InferenceSession.SessionOptions;
const native = (options: Options = {}): Options => ({
  logSeverityLevel: 4,
  ...options,
  executionProviders: [adderNetEp({ strategy: "native" })],
});
const create = (bytes: Uint8Array, options?: Options) => ort.InferenceSession.create(bytes, options);

describe.skipIf(!hasKoffi)("a native session answers as onnxruntime-node does", () => {
  registerAdderNet(ort, { strategy: "native" });

  it("several outputs, types and shapes", async () => {
    const [ours, theirs] = [await create(manyModel(), native()), await create(manyModel())];
    expect(explain(ours)).toMatchObject([{ engine: "native", nodes: 1 }]);
    expect(explain(ours)!.strategy).toBe("native");
    expect(ours.inputNames).toEqual(theirs.inputNames);
    expect(ours.outputNames).toEqual(theirs.outputNames);
    expect(ours.inputMetadata).toEqual(theirs.inputMetadata);
    expect(ours.outputMetadata).toEqual(theirs.outputMetadata);
    for (const [n, h] of [
      [1, 4],
      [3, 7],
      [1, 4],
      [0, 4],
    ] as const) {
      const [found, expected] = [await ours.run(manyFeeds(n, h)), await theirs.run(manyFeeds(n, h))];
      expect(Object.keys(found)).toEqual(Object.keys(expected));
      for (const [name, { dims, type, data }] of Object.entries(expected)) {
        expect(found[name]).toBeInstanceOf(ort.Tensor);
        expect(found[name]).toMatchObject({ dims, type });
        if (name !== "e") expect(found[name]!.data).toEqual(data);
        else expectMeaning(name, { e: found.e! as Tensor }, { e: expected.e! as Tensor });
      }
    }
    await ours.release();
    await theirs.release();
  });
  it("chosen outputs, pre-allocated outputs and run options", async () => {
    const session = await create(manyModel(), native());
    const feeds = manyFeeds(1, 4);
    expect(Object.keys(await session.run(feeds, ["shape"]))).toEqual(["shape"]);
    const target = new ort.Tensor("float32", new Float32Array(60), [1, 3, 4, 5]);
    const { e } = await session.run(feeds, { e: target }, { logSeverityLevel: 4, tag: "one" });
    expect(e!.data).toEqual((await session.run(feeds)).e!.data);
    expect(target.data).toEqual(e!.data);
    const wrong = new ort.Tensor("float32", new Float32Array(4), [4]);
    await expect(session.run(feeds, { e: wrong })).rejects.toMatchObject({ code: "ADN_FEED" });
    await expect(session.run(feeds, ["e"], { terminate: true })).rejects.toThrow(/terminate/i);
    await session.run(feeds);
    await session.release();
  });
  it("feeds that do not fit, and a released session", async () => {
    const session = await create(manyModel(), native());
    const { x, s, q } = manyFeeds(1, 4);
    await expect(session.run({ x: tensor("x", [1, 5, 4, 5]), s, q })).rejects.toThrow(/invalid dimensions/i);
    await expect(session.run({ x: q, s, q })).rejects.toThrow(/data type/);
    await session.run({ x, s, q });
    await session.release();
    await expect(session.run({ x, s, q })).rejects.toMatchObject({ code: "ADN_DISPOSED" });
  });
  it("a model by path, with weights outside it, and external data from memory", async () => {
    const model = parseModel(`input %x: float32[1,16,8,8]
      %w = float32[16,16,3,3]
      %y = addernet::Adder2d(%x, %w)
      output %y: float32[1,16,6,6]`);
    const { bytes, externalData } = encodeModel(model, {
      externalData: { location: "weights.bin", thresholdBytes: 64 },
    });
    const path = join(folder, "outside.onnx");
    writeFileSync(path, bytes);
    writeFileSync(join(folder, "weights.bin"), externalData!);
    const feeds = { x: tensor("x", [1, 16, 8, 8]) };
    const whole = await create(encodeModel(model).bytes, native());
    const { y } = await whole.run(feeds);
    const byPath = await ort.InferenceSession.create(path, native());
    expect((await byPath.run(feeds)).y!.data).toEqual(y!.data);
    const memory = { externalData: [{ path: "weights.bin", data: externalData! }] };
    const byBytes = await create(bytes, native(memory as Options));
    expect((await byBytes.run(feeds)).y!.data).toEqual(y!.data);
    for (const each of [whole, byPath, byBytes]) await each.release();
  });
  it("session options: optimised model, profile, threads, config entries, dimension overrides", async () => {
    const optimizedModelFilePath = join(folder, "optimised.onnx");
    const session = await create(
      manyModel(),
      native({
        optimizedModelFilePath,
        enableProfiling: true,
        profileFilePrefix: join(folder, "profile"),
        intraOpNumThreads: 1,
        graphOptimizationLevel: "basic",
        enableMemPattern: false,
        enableCpuMemArena: false,
        logId: "test",
        extra: { session: { set_denormal_as_zero: "1" } },
        freeDimensionOverrides: { N: 1 },
      }),
    );
    expect(session.inputMetadata[0]).toMatchObject({ shape: [1, 2, "H", 5] });
    await session.run(manyFeeds(1, 4));
    session.endProfiling();
    expect(existsSync(optimizedModelFilePath)).toBe(true);
    await session.release();
  });
  it("errors of kernels with our code, errors of onnxruntime as they are", async () => {
    const { bytes } = encodeModel(
      parseModel(`input %x: float32[N,2,4,4]
        input %w: float32[M,C,3,3]
        %y = addernet::Adder2d[pads=1,1,1,1](%x, %w)
        output %y`),
    );
    const session = await create(bytes, native());
    const run = (channels: number) =>
      session.run({ x: tensor("x", [1, 2, 4, 4]), w: tensor("w", [3, channels, 3, 3]) });
    const before = await run(2);
    await expect(run(5)).rejects.toMatchObject({
      code: "ADN_SHAPE",
      message: expect.stringMatching(/5 channels/),
    });
    expect((await run(2)).y!.data).toEqual(before.y!.data);
    await session.release();
    await expect(create(new Uint8Array(8), native())).rejects.toThrow();
    await expect(create(bytes, native({ executionMode: "parallel" }))).rejects.toMatchObject({
      code: "ADN_NATIVE",
    });
    const elsewhere = { executionProviders: [adderNetEp({ strategy: "native", inner: ["cuda"] })] };
    await expect(create(bytes, elsewhere)).rejects.toMatchObject({ code: "ADN_NATIVE" });
  });
  it("reads profiles as JSON", async () => {
    const prefix = join(folder, "named");
    const session = await create(manyModel(), native({ enableProfiling: true, profileFilePrefix: prefix }));
    await session.run(manyFeeds(1, 4));
    session.endProfiling();
    const { readdirSync } = await import("node:fs");
    const file = readdirSync(folder).find((name) => name.startsWith("named"))!;
    const events = JSON.parse(readFileSync(join(folder, file), "utf8")) as { name: string }[];
    expect(events.some(({ name }) => name.includes("kernel_time"))).toBe(true);
    await session.release();
  });
});

const broken: readonly { sabotage: Sabotage; code: string; reason: RegExp }[] = [
  { sabotage: "no koffi", code: "ADN_PEER_MISSING", reason: /koffi is not installed; npm install koffi@3/ },
  {
    sabotage: "an onnxruntime-node that is not found",
    code: "ADN_NATIVE",
    reason: /library of onnxruntime-node is not found.*no such package/,
  },
  {
    sabotage: "a library that cannot be loaded",
    code: "ADN_NATIVE",
    reason: /cannot open shared object file/,
  },
];

describe.skipIf(!hasKoffi)("an onnxruntime-node that is not as it should be", () => {
  it.each(broken)("$sabotage", async ({ sabotage, code, reason }) => {
    const { bytes, feeds, expected } = cases[0]!;
    const wanted = ["auto", "native", "auto"] as const;
    const sessions = wanted.map((strategy) => ({ strategy, bytes, runs: [feeds] }));
    const result = await processes.run({ ort: "onnxruntime-node", strategy: "auto", sabotage, sessions });
    for (const partitioned of [result.sessions[0]!, result.sessions[2]!]) {
      expect(partitioned).toMatchObject({ strategy: "partition", reason: expect.stringMatching(reason) });
      expectMeaning(sabotage, outputsOf(partitioned), expected);
    }
    expect(result.sessions[1]!.error).toEqual({ code, message: expect.stringMatching(reason) });
    expect(result.warnings).toEqual([expect.stringMatching(reason)]);
  });
});
