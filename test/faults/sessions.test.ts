// Sessions under load and misfortune: hundreds of runs at once, disposal in mid-run, a cap on memory, numbers that are none.

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeAll, describe, expect, it, test, vi } from "vitest";
import { convert } from "../../converter/index.ts";
import { createExecutor, createSession, type Session, type SessionOptions } from "../../runtime/index.ts";
import { decodeModel, encodeModel } from "../../src/core/onnx/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { randomTensor } from "../core/suites/op-case.ts";
import { network, networkFeeds } from "../runtime/threads-network.ts";

const root = resolve(import.meta.dirname, "../..");
const fixture = join(import.meta.dirname, "../fixtures/lenet5bn/lenet5bn.inlined.onnx");
let bytes: Uint8Array;

beforeAll(async () => {
  bytes = (await convert(readFileSync(fixture), { check: false })).bytes;
});

const input = (seed: number, batch = 1): Tensor => randomTensor([batch, 1, 28, 28], seed);

async function withSession<T>(options: SessionOptions, act: (session: Session) => Promise<T>): Promise<T> {
  const session = await createSession(bytes, options);
  try {
    return await act(session);
  } finally {
    await session.dispose();
  }
}

async function answer(session: Session, x: Tensor): Promise<Float32Array> {
  const name = session.inputNames[0]!;
  return Object.values(await session.run({ [name]: x }))[0]!.data as Float32Array;
}

describe("runs at once", () => {
  test.each([1, 2])("300 of one session with %i threads, each its own answer", async (threads) => {
    const seeds = Array.from({ length: 300 }, (_, at) => at % 50);
    const alone = await withSession({}, async (session) => {
      const answers: Float32Array[] = [];
      for (let seed = 0; seed < 50; seed++) answers.push(await answer(session, input(seed)));
      return answers;
    });
    await withSession({ threads }, async (session) => {
      const together = await Promise.all(seeds.map((seed) => answer(session, input(seed))));
      expect(together).toEqual(seeds.map((seed) => alone[seed]));
    });
  });

  it("30 sessions with runs of several sizes", async () => {
    const sizes = [1, 2, 3];
    const wanted = await withSession({}, async (session) => {
      const answers: Float32Array[] = [];
      for (const size of sizes) answers.push(await answer(session, input(size, size)));
      return answers;
    });
    const all = await Promise.all(
      Array.from({ length: 30 }, () =>
        withSession({}, (session) => Promise.all(sizes.map((size) => answer(session, input(size, size))))),
      ),
    );
    for (const found of all) expect(found).toEqual(wanted);
  });

  it("one that is refused among many", async () => {
    await withSession({}, async (session) => {
      const wanted = await answer(session, input(1));
      const wrong = { ...input(1), dims: [1, 1, 1, 784] };
      const runs = Array.from({ length: 60 }, (_, at) => answer(session, at % 3 === 1 ? wrong : input(1)));
      const settled = await Promise.allSettled(runs);
      for (const [at, result] of settled.entries()) {
        if (at % 3 === 1) expect(result).toMatchObject({ status: "rejected", reason: { code: "ADN_FEED" } });
        else expect(result).toMatchObject({ status: "fulfilled", value: wanted });
      }
    });
  });
});

describe("a session disposed of while it runs", () => {
  test.each([1, 2])("with %i threads: what began ends, what comes later is refused", async (threads) => {
    const session = await createSession(bytes, { threads });
    const wanted = await answer(session, input(7));
    const begun = Array.from({ length: 20 }, () => answer(session, input(7)));
    const disposed = session.dispose();
    await expect(answer(session, input(7))).rejects.toMatchObject({ code: "ADN_DISPOSED" });
    for (const found of await Promise.all(begun)) expect(found).toEqual(wanted);
    await disposed;
    expect(() => session.explain()).toThrow(/disposed/);
    await expect(session.dispose()).resolves.toBeUndefined();
    await withSession({ threads }, async (next) => expect(await answer(next, input(7))).toEqual(wanted));
  });
});

describe("a cap on memory", () => {
  const cap = 4 * 2 ** 20;

  test.each([1, 2])(
    "with %i threads refuses in mid-plan what would pass it, and runs what fits",
    async (threads) => {
      await withSession({ memory: cap, threads }, async (session) => {
        const wanted = await answer(session, input(5));
        for (const batch of [1500, 3000]) {
          await expect(answer(session, input(5, batch))).rejects.toMatchObject({ code: "ADN_LIMIT" });
          expect(session.explain().memoryBytes).toBeLessThanOrEqual(cap);
          expect(await answer(session, input(5))).toEqual(wanted);
        }
        expect(await answer(session, input(6, 2))).toHaveLength(20);
      });
    },
  );

  it("too low for the model itself is one error, and not the end of the next session", async () => {
    await expect(
      withSession({ memory: 65_536 }, (session) => answer(session, input(1))),
    ).rejects.toMatchObject({
      code: "ADN_LIMIT",
    });
    await expect(withSession({}, (session) => answer(session, input(1)))).resolves.toHaveLength(10);
  });

  test.each([0, -1, Number.NaN, 65_535])("of %d bytes is refused", async (memory) => {
    await expect(createSession(bytes, { memory })).rejects.toMatchObject({ code: "ADN_USAGE" });
  });
});

describe.skipIf(!existsSync(join(root, "dist/runtime/index.js")))("a machine with no memory left", () => {
  const folder = mkdtempSync(join(tmpdir(), "addernet-memory-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** In a process whose WebAssembly memories cannot grow beyond 25 MB, whatever they were promised. */
  function runWithout(threads: number): { status: number | null; told: unknown; stderr: string } {
    const files = ["network.onnx", "job.mjs"].map((name) => join(folder, name)) as [string, string];
    writeFileSync(files[0], encodeModel(network("side")).bytes);
    writeFileSync(
      files[1],
      `import { readFileSync } from "node:fs";
      import { createSession } from ${JSON.stringify(`file://${root}/dist/runtime/index.js`)};
      const session = await createSession(readFileSync(process.argv[2]), { threads: ${threads} });
      const answer = async (side) => {
        const x = { type: "float32", data: new Float32Array(16 * side * side).fill(0.5), dims: [1, 16, side, side] };
        try {
          return [...Object.values(await session.run({ x }))[0].data];
        } catch ({ code, message }) {
          return { code, message };
        }
      };
      const answers = [];
      for (const side of [32, 700, 32, 2000, 32]) answers.push(await answer(side));
      console.log(JSON.stringify(answers));
      await session.dispose();`,
    );
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--wasm-max-mem-pages=400", files[1], files[0]],
      { encoding: "utf8" },
    );
    return { status, told: JSON.parse(stdout || "null"), stderr };
  }

  test.each([1, 2])("with %i threads: one clear error in mid-plan, and what fits goes on", (threads) => {
    const { status, told, stderr } = runWithout(threads);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const [first, ...others] = told as [number[], ...unknown[]];
    expect(first).toHaveLength(16);
    const refused = { code: "ADN_LIMIT", message: expect.stringMatching(/no memory for \d+ more bytes/) };
    expect(others).toEqual([refused, first, refused, first]);
  });
});

describe("a worker killed while it computes", () => {
  const threadsModule = process.getBuiltinModule("node:worker_threads");
  afterEach(() => void vi.restoreAllMocks());

  function watchWorkers(): Worker[] {
    const started: Worker[] = [];
    const Original = threadsModule.Worker;
    class Watched extends Original {
      constructor(...given: ConstructorParameters<typeof Original>) {
        super(...given);
        started.push(this);
      }
    }
    vi.spyOn(threadsModule, "Worker", "get").mockReturnValue(Watched as never);
    return started;
  }

  it("costs at most the run it was in, in words, ten times over", async () => {
    const started = watchWorkers();
    const session = await createExecutor(network(200), { threads: 3 });
    try {
      const feeds = networkFeeds(200);
      const wanted = await session.run(feeds);
      for (let turn = 0; turn < 10; turn++) {
        const victim = started.at(-1)!;
        const ended = once(victim, "exit");
        const run = session.run(feeds);
        void victim.terminate();
        const [result] = await Promise.allSettled([run]);
        if (result.status === "fulfilled") expect(result.value).toEqual(wanted);
        else expect(result.reason).toMatchObject({ code: "ADN_WASM" });
        await ended;
        expect(await session.run(feeds)).toEqual(wanted);
        expect(session.explain().threads.count).toBe(3);
      }
      expect(started.length).toBeGreaterThanOrEqual(2 + 10);
    } finally {
      await session.dispose();
    }
  });
});

describe("what is no number", () => {
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3.4e38];

  function spoiled(value: number): Tensor {
    const x = input(3);
    const data = Float32Array.from(x.data as Float32Array);
    data[500] = value;
    return { ...x, data };
  }

  test.each(odd)("%d in an input does not outlive its run", async (value) => {
    for (const threads of [1, 2]) {
      await withSession({ threads }, async (session) => {
        const wanted = await answer(session, input(3));
        await answer(session, spoiled(value));
        expect(await answer(session, input(3))).toEqual(wanted);
      });
    }
  });

  it("NaN in an input reaches the answer: nothing hides it", async () => {
    await withSession({}, async (session) => {
      expect((await answer(session, spoiled(Number.NaN))).some(Number.isNaN)).toBe(true);
    });
  });

  it("NaN in an image of a batch stays with that image", async () => {
    await withSession({}, async (session) => {
      const [first, second] = [input(1), spoiled(Number.NaN)];
      const both = new Float32Array(1568);
      both.set(first.data as Float32Array);
      both.set(second.data as Float32Array, 784);
      const alone = await answer(session, first);
      const found = await answer(session, { type: "float32", data: both, dims: [2, 1, 28, 28] });
      expect(found.subarray(0, 10)).toEqual(alone);
    });
  });

  it("NaN in a weight reaches the answer", async () => {
    const model = decodeModel(bytes);
    const weight = [...model.graph.initializers.values()].find(({ dims }) => dims.length === 4)!;
    (weight.data as Float32Array)[0] = Number.NaN;
    const session = await createSession(encodeModel(model).bytes);
    expect((await answer(session, input(1))).some(Number.isNaN)).toBe(true);
    await session.dispose();
  });
});
