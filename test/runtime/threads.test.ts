// Threads of a session: the same answers, how they start and stop, and what happens where they cannot.

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { afterEach, describe, expect, it, test, vi } from "vitest";
import { createExecutor, type Session } from "../../runtime/index.ts";
import { chooseThreads } from "../../runtime/threads/choice.ts";
import { controlWords, type WorkerStart } from "../../runtime/threads/control.ts";
import type { Model } from "../../src/core/ir/model.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import { float64Outputs, largestError, levels } from "./compare.ts";
import { network, networkFeeds } from "./threads-network.ts";

const threadsModule = process.getBuiltinModule("node:worker_threads");
const system = process.getBuiltinModule("node:os");

const sessions: Session[] = [];
async function start(model: Model, options: Parameters<typeof createExecutor>[1]): Promise<Session> {
  const session = await createExecutor(model, options);
  sessions.push(session);
  return session;
}
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.useRealTimers();
  await Promise.all(sessions.splice(0).map((session) => session.dispose()));
});

/** Every worker started from now on, with the message it was started with. */
function watchWorkers(): { worker: Worker; start: () => WorkerStart }[] {
  const started: { worker: Worker; start: () => WorkerStart }[] = [];
  const Original = threadsModule.Worker;
  class Watched extends Original {
    constructor(...given: ConstructorParameters<typeof Original>) {
      super(...given);
      let message: WorkerStart | undefined;
      started.push({ worker: this, start: () => message! });
      const post = this.postMessage.bind(this);
      this.postMessage = (value: WorkerStart) => {
        message = value;
        post(value);
      };
    }
  }
  vi.spyOn(threadsModule, "Worker", "get").mockReturnValue(Watched);
  return started;
}

describe("answers", () => {
  test.each(levels)("are the same bits with 1, 2, 3 and 4 threads, %s", async (simd) => {
    const alone = await (await start(network(64), { simd })).run(networkFeeds());
    expect(largestError(alone.y!, float64Outputs(network(64), networkFeeds()).get("y")!)).toBeLessThan(1e-5);
    for (const threads of [2, 3, 4]) {
      const session = await start(network(64), { simd, threads });
      expect(session.explain().threads).toEqual({ count: threads, reason: "asked for" });
      expect(session.explain().plans[0]!.threads).toBe(threads);
      for (let run = 0; run < 20; run++) expect(await session.run(networkFeeds())).toEqual(alone);
    }
  });

  it("are right for every shape in turn, memory growing meanwhile", async () => {
    const session = await start(network("S"), { threads: 2 });
    const alone = await start(network("S"), {});
    for (const side of [40, 64, 33, 90, 8, 64, 120, 41, 42, 43, 44, 45, 46, 40, 64]) {
      expect(await session.run(networkFeeds(side)), `side ${side}`).toEqual(
        await alone.run(networkFeeds(side)),
      );
    }
  });

  it("do not mix when runs are asked for at once", async () => {
    const session = await start(network("S"), { threads: 3 });
    const sides = [64, 40, 64, 50, 40, 64];
    const found = await Promise.all(sides.map((side) => session.run(networkFeeds(side))));
    const alone = await start(network("S"), {});
    for (const [index, side] of sides.entries())
      expect(found[index]).toEqual(await alone.run(networkFeeds(side)));
  });

  it("go on after a run that is refused", async () => {
    const session = await start(network(64), { threads: 2 });
    const [refused, answered] = [session.run({}), session.run(networkFeeds())];
    await expect(refused).rejects.toMatchObject({ code: "ADN_FEED" });
    expect(await answered).toEqual(await (await start(network(64), {})).run(networkFeeds()));
  });
});

it("profiles threads as it does one: every step, within the time of the whole", async () => {
  const session = await start(network(64), { threads: 2 });
  const begin = performance.now();
  const steps = await session.profile(networkFeeds());
  const elapsed = performance.now() - begin;
  expect(steps.map(({ milliseconds: _, ...step }) => step)).toEqual(session.explain().plans[0]!.steps);
  for (const { milliseconds } of steps) expect(milliseconds).toBeGreaterThan(0);
  expect(steps.reduce((sum, { milliseconds }) => sum + milliseconds, 0)).toBeLessThanOrEqual(elapsed);
});

it("64 threads are the most", () => {
  expect(chooseThreads(10_000)).toMatchObject({ most: 64, reason: "at most 64" });
});

describe('"auto"', () => {
  const withCores = (count: number) => vi.spyOn(system, "availableParallelism").mockReturnValue(count);

  it.each([
    { cores: 2, count: 2 },
    { cores: 3, count: 3 },
    { cores: 16, count: 4 },
  ])("takes $count of $cores cores", async ({ cores, count }) => {
    withCores(cores);
    const session = await start(network(64), { threads: "auto" });
    expect(session.explain().threads).toEqual({ count, reason: `auto, ${cores} cores` });
  });
  it("takes one where there is one core", async () => {
    withCores(1);
    const session = await start(network(64), { threads: "auto" });
    expect(session.explain().threads).toEqual({ count: 1, reason: "there is one core" });
  });
  it("starts nothing for a model that would gain little", async () => {
    withCores(4);
    const started = watchWorkers();
    const session = await start(network(3), { threads: "auto" });
    await session.run(networkFeeds(3));
    expect(session.explain().threads).toEqual({ count: 1, reason: expect.stringMatching(/gain little/) });
    expect(session.explain().plans[0]!.threads).toBe(1);
    expect(started).toHaveLength(0);
  });
  it("decides when the shapes are known", async () => {
    withCores(2);
    const session = await start(network("S"), { threads: "auto" });
    expect(session.explain().threads).toEqual({ count: 1, reason: expect.stringMatching(/up to 2 once/) });
    await session.run(networkFeeds(3));
    expect(session.explain().threads.count).toBe(1);
    await session.run(networkFeeds(64));
    expect(session.explain().threads.count).toBe(2);
    expect(session.explain().plans.map(({ threads }) => threads)).toEqual([1, 2]);
  });
});

describe("one thread is used, and explain says why,", () => {
  const refusals: readonly { name: string; arrange: () => void; reason: RegExp }[] = [
    {
      name: "in a page that is not isolated",
      arrange: () => vi.stubGlobal("crossOriginIsolated", false),
      reason: /not cross-origin isolated \(COOP and COEP headers\)/,
    },
    {
      name: "without SharedArrayBuffer",
      arrange: () => vi.stubGlobal("SharedArrayBuffer", undefined),
      reason: /no SharedArrayBuffer/,
    },
    {
      name: "in a Node that cannot be asked for its modules",
      arrange: () => vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined as never),
      reason: /Node 20\.16/,
    },
    {
      name: "where workers are forbidden",
      arrange: () =>
        vi.spyOn(threadsModule, "Worker", "get").mockReturnValue(
          class {
            constructor() {
              throw new Error("Access to this API has been restricted");
            }
          } as unknown as typeof Worker,
        ),
      reason: /no worker could be started: Access to this API has been restricted/,
    },
    {
      name: "where a worker cannot run the kernels",
      arrange: () => {
        vi.spyOn(threadsModule.Worker.prototype, "postMessage").mockImplementation(function (
          this: Worker,
          message: WorkerStart,
        ) {
          vi.restoreAllMocks();
          this.postMessage({ ...message, memory: undefined });
        });
      },
      reason: /no worker could be started: .*memory/i,
    },
  ];
  test.each(refusals)("$name", async ({ arrange, reason }) => {
    const alone = await (await start(network(64), {})).run(networkFeeds());
    arrange();
    const session = await start(network(64), { threads: 4 });
    expect(session.explain().threads).toEqual({ count: 1, reason: expect.stringMatching(reason) });
    expect(session.explain().plans[0]!.threads).toBe(1);
    expect(await session.run(networkFeeds())).toEqual(alone);
  });

  it("when a worker does not answer in 5 seconds", async () => {
    vi.spyOn(threadsModule.Worker.prototype, "postMessage").mockImplementation(() => {});
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const pending = start(network(64), { threads: 2 });
    while (vi.getTimerCount() === 0) await new Promise(setImmediate);
    await vi.advanceTimersByTimeAsync(5_000);
    vi.useRealTimers();
    const session = await pending;
    expect(session.explain().threads).toEqual({
      count: 1,
      reason: expect.stringMatching(/not start in 5 s/),
    });
    expect(Object.keys(await session.run(networkFeeds()))).toEqual(["y"]);
  });
});

describe("a lost worker", () => {
  it("that was idle is replaced", async () => {
    const started = watchWorkers();
    const session = await start(network(64), { threads: 2 });
    const before = await session.run(networkFeeds());
    await started[0]!.worker.terminate();
    expect(await session.run(networkFeeds())).toEqual(before);
    expect(started).toHaveLength(2);
    expect(session.explain().threads.count).toBe(2);
  });

  it("that had taken nothing does not hurt the run", async () => {
    const started = watchWorkers();
    const session = await start(network(64), { threads: 2 });
    const before = await session.run(networkFeeds());
    void started[0]!.worker.terminate();
    expect(await session.run(networkFeeds())).toEqual(before);
  });

  it("that had taken work fails the run in words, and the next one works", async () => {
    const started = watchWorkers();
    const session = await start(network(64), { threads: 2 });
    const before = await session.run(networkFeeds());
    // As if the worker had taken the next task and were never to end it.
    const { memory, control } = started[0]!.start();
    const words = new Int32Array(memory.buffer, control);
    Atomics.add(words, controlWords.taken, 1);
    const run = session.run(networkFeeds());
    const next = session.run(networkFeeds());
    setTimeout(() => started[0]!.worker.terminate(), 100);
    await expect(run).rejects.toMatchObject({
      code: "ADN_WASM",
      message: expect.stringMatching(/a worker was lost during a run: it ended.*run again/s),
    });
    expect(await next).toEqual(before);
    expect(started).toHaveLength(2);
  });

  it("with no successor to be had leaves one thread", async () => {
    const started = watchWorkers();
    const session = await start(network(64), { threads: 2 });
    const before = await session.run(networkFeeds());
    vi.restoreAllMocks();
    vi.spyOn(threadsModule, "Worker", "get").mockReturnValue(undefined as never);
    await started[0]!.worker.terminate();
    expect(await session.run(networkFeeds())).toEqual(before);
    expect(session.explain().threads).toEqual({
      count: 1,
      reason: expect.stringMatching(/no worker could be started/),
    });
  });
});

describe("dispose", () => {
  it("stops the workers", async () => {
    const started = watchWorkers();
    const session = await createExecutor(network(64), { threads: 3 });
    const ends = started.map(({ worker }) => new Promise((ended) => worker.once("exit", ended)));
    expect(ends).toHaveLength(2);
    await session.dispose();
    await Promise.all(ends);
    await session.dispose();
    await expect(session.run(networkFeeds())).rejects.toMatchObject({ code: "ADN_DISPOSED" });
  });

  it("lets the runs before it end", async () => {
    const session = await createExecutor(network(64), { threads: 2 });
    const runs = [session.run(networkFeeds()), session.run(networkFeeds())];
    const disposed = session.dispose();
    const [first, second] = await Promise.all(runs);
    expect(first).toEqual(second);
    await disposed;
    await expect(session.run(networkFeeds())).rejects.toMatchObject({ code: "ADN_DISPOSED" });
  });

  it("leaves nothing behind, fifty times over", async () => {
    const grow = async (count: number): Promise<number> => {
      for (let index = 0; index < count; index++) {
        const session = await createExecutor(network(16), { threads: 2 });
        await session.run(networkFeeds(16));
        await session.dispose();
      }
      return process.memoryUsage().rss;
    };
    const before = await grow(20);
    const after = await grow(50);
    expect((after - before) / 2 ** 20).toBeLessThan(60);
  }, 120_000);
});

it("a process ends though its session was not disposed of", async () => {
  const folder = await mkdtemp(join(tmpdir(), "addernet-threads-"));
  try {
    const { bytes } = encodeModel(network(64));
    await writeFile(join(folder, "net.onnx"), bytes);
    const contents = `
      import { readFileSync } from "node:fs";
      import { createSession } from "./runtime/index.ts";
      const session = await createSession(readFileSync(process.argv[2]), { threads: 2 });
      const data = new Float32Array(16 * 64 * 64).fill(1);
      const { y } = await session.run({ x: { type: "float32", data, dims: [1, 16, 64, 64] } });
      console.log(session.explain().threads.count, y.dims.join());`;
    await build({
      stdin: { contents, resolveDir: join(import.meta.dirname, "../.."), loader: "ts" },
      bundle: true,
      platform: "node",
      format: "esm",
      outfile: join(folder, "run.mjs"),
      logLevel: "error",
    });
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [join(folder, "run.mjs"), join(folder, "net.onnx")],
      { timeout: 20_000 },
    );
    expect(stderr).toBe("");
    expect(stdout).toBe("2 1,16,1,1\n");
  } finally {
    await rm(folder, { recursive: true });
  }
}, 30_000);
