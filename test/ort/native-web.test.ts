// Custom ops inside onnxruntime-web against the ops' own meaning, the partition and the function bodies.

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { encodeModel } from "../../src/core/onnx/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import type { Strategy } from "../../src/ort.ts";
import { parseModel, randomTensor } from "../passes/parse-model.ts";
import { expectMeaning, type NativeCase, nativeCases } from "./native-models.ts";
import { type JobResult, openProcesses, type Processes, type SessionResult } from "./native-process.ts";
import { ortWebVersions } from "./ort-web-versions.ts";
import type { Sabotage } from "./sabotage.ts";

// Each starts an onnxruntime of its own, and the networks run on function bodies too.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

let processes: Processes;
let cases: NativeCase[];
beforeAll(async () => {
  processes = await openProcesses();
  cases = await nativeCases();
});
afterAll(() => processes?.close());

function outputsOf({ runs, error }: SessionResult, run = 0): Record<string, Tensor> {
  expect(error).toBeUndefined();
  const outputs = runs[run]!;
  if ("error" in outputs && "message" in outputs.error) throw new Error(String(outputs.error.message));
  return outputs as Record<string, Tensor>;
}

const ways: readonly (Strategy | undefined)[] = ["native", "partition", undefined];

describe.each(ortWebVersions)("onnxruntime-web $version$note", ({ ort, isThere, threadCounts }) => {
  it.skipIf(!isThere).each(threadCounts)("agrees in every strategy, with %i threads", async (threads) => {
    const sessions = cases.flatMap(({ bytes, feeds }) =>
      ways.map((strategy) => ({ bytes, runs: [feeds], ...(strategy && { strategy }) })),
    );
    const { sessions: results, warnings } = await processes.run({
      ort,
      threads,
      strategy: "native",
      sessions,
    });
    expect(warnings).toEqual([]);
    for (const [index, result] of results.entries()) {
      const [each, way] = [cases[Math.floor(index / ways.length)]!, ways[index % ways.length]];
      expectMeaning(`${each.name}, ${way ?? "function bodies"}`, outputsOf(result), each.expected);
      expect(result.strategy).toBe(way);
      if (way === "native") expect(result.engines).toEqual(["native"]);
    }
  });
});

const current = ortWebVersions[0]!.ort;
const oneLayer = (): NativeCase => cases[0]!;

const wrongShape = parseModel(`input %x: float32[N,2,4,4]
  input %w: float32[M,C,3,3]
  %a = addernet::Adder2d[pads=1,1,1,1](%x, %w)
  %y = Erf(%a)
  output %y`);

describe("what goes wrong inside a session", () => {
  it("comes as an error of ours from a kernel, and the session works afterwards", async () => {
    const { bytes } = encodeModel(wrongShape);
    const feeds = (channels: number) => ({
      x: randomTensor("x", "float32", [1, 2, 4, 4]),
      w: randomTensor("w", "float32", [3, channels, 3, 3]),
    });
    const runs = [feeds(2), feeds(5), feeds(2)];
    const job = {
      ort: current,
      strategy: "native",
      sessions: [{ strategy: "native", bytes, runs }],
    } as const;
    const { sessions } = await processes.run(job);
    const [before, wrong, after] = sessions[0]!.runs;
    expect(wrong).toEqual({
      error: {
        code: "ADN_SHAPE",
        message: expect.stringMatching(/Adder2d "a".*X with 5 channels, found 2/),
      },
    });
    expect(before).not.toHaveProperty("error");
    expect(after).toEqual(before);
  });
  it("comes as an error of ours where a kernel cannot be made", async () => {
    const { bytes } = encodeModel(
      parseModel(`input %x: float32[N,3,4,4]
        %w = float32[4,2,3,3]
        %y = addernet::Adder2d[group=5](%x, %w)
        output %y`),
    );
    const job = {
      ort: current,
      strategy: "native",
      sessions: [{ strategy: "native", bytes, runs: [{ x: randomTensor("x", "float32", [1, 3, 4, 4]) }] }],
    } as const;
    const [result] = (await processes.run(job)).sessions;
    const failure = result!.error ?? (result!.runs[0] as unknown as { error: object }).error;
    expect(failure).toMatchObject({ code: expect.stringMatching(/^ADN_/) });
  });
  it("leaves sessions alone that do not name adderNetEp()", async () => {
    const { feeds } = oneLayer();
    const bare = encodeModel(
      parseModel(`input %x: float32[N,3,6,6]
        %w = float32[4,3,3,3]
        %y = addernet::Adder2d(%x, %w)
        output %y`),
    ).bytes;
    const sessions = [
      { strategy: "native", bytes: bare, runs: [feeds] },
      { bytes: bare, runs: [feeds] },
    ] as const;
    const { sessions: results } = await processes.run({ ort: current, strategy: "native", sessions });
    expect(results[0]!.error).toBeUndefined();
    expect(results[1]!.error?.message).toMatch(/not a registered function/);
  });
});

const broken: readonly { sabotage: Sabotage; reason: RegExp }[] = [
  {
    sabotage: "a session before",
    reason: /had started before registerAdderNet was called.*before the first session/,
  },
  { sabotage: "another table", reason: /another kind of function table/ },
  { sabotage: "no OrtApi", reason: /expected one place, found none/ },
  { sabotage: "two of OrtApi", reason: /expected one place, found 2 places/ },
  { sabotage: "a future order of functions", reason: /expected one place, found none/ },
  { sabotage: "functions of the same kind, swapped", reason: /functions are not what they should be/ },
  { sabotage: "kernels that do nothing", reason: /other numbers than it should/ },
  { sabotage: "a proxy", reason: /env\.wasm\.proxy/ },
];

describe("an onnxruntime-web that is not as it should be", () => {
  it.each(broken)("$sabotage", async ({ sabotage, reason }) => {
    const { bytes, feeds, expected } = oneLayer();
    const wanted = ["auto", "native", "auto"] as const;
    const sessions = wanted.map((strategy) => ({ strategy, bytes, runs: [feeds] }));
    const result: JobResult = await processes.run({ ort: current, strategy: "auto", sabotage, sessions });
    const [first, refused, second] = result.sessions;
    for (const partitioned of [first!, second!]) {
      expect(partitioned).toMatchObject({ strategy: "partition", reason: expect.stringMatching(reason) });
      expectMeaning(sabotage, outputsOf(partitioned), expected);
    }
    expect(refused!.error).toEqual({ code: "ADN_NATIVE", message: expect.stringMatching(reason) });
    expect(result.warnings.filter((text) => text.startsWith("addernet:"))).toEqual([
      expect.stringMatching(reason),
    ]);
  });
  it("threads that only a partition can use", async () => {
    const { bytes, feeds, expected } = oneLayer();
    const sessions = [{ strategy: "auto", provider: { threads: 2 }, bytes, runs: [feeds] }] as const;
    const { sessions: results } = await processes.run({ ort: current, strategy: "auto", sessions });
    expect(results[0]).toMatchObject({ strategy: "partition", reason: expect.stringMatching(/one thread/) });
    expectMeaning("threads", outputsOf(results[0]!), expected);
  });
  it("executionMode parallel", async () => {
    const { bytes, feeds, expected } = oneLayer();
    const options = { executionMode: "parallel" };
    const sessions = (["auto", "native"] as const).map((strategy) => ({
      strategy,
      bytes,
      options,
      runs: [feeds],
    }));
    const { sessions: results } = await processes.run({ ort: current, strategy: "auto", sessions });
    expect(results[0]).toMatchObject({ strategy: "partition", reason: expect.stringMatching(/sequential/) });
    expectMeaning("parallel", outputsOf(results[0]!), expected);
    expect(results[1]!.error).toMatchObject({ code: "ADN_NATIVE" });
  });
});
