// The study on MNIST: which runs it is, what its table says of accuracies made up here, and that Ctrl-C leaves something to go on from.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { cacheFolder, isFetched } from "../../src/cli/data-sets/cache.ts";

const root = join(import.meta.dirname, "..", "..");
const script = join(root, "bench", "study-mnist.mjs");

interface Run {
  readonly name: string;
  readonly scheme: string;
  readonly seed: number;
  readonly flags: readonly string[];
}
interface Pair {
  readonly better: string;
  readonly gap: number;
  readonly noise: number | null;
  readonly holds: boolean;
}
interface Study {
  readonly order: readonly Pair[];
  readonly schemes: readonly { readonly mean: number | null; readonly deviation: number | null }[];
}
interface Parts {
  readonly runsOf: (given: object) => Run[];
  readonly summarise: (looked: readonly object[], given: object) => Study;
}
const parts = (await import(join(root, "bench", "study-mnist-runs.mjs"))) as Parts;

const page = (await import(join(root, "bench", "study-mnist-page.mjs"))) as {
  readonly studyMarkdown: (study: Study) => string;
};

const names = ["full-adaptive", "full-increased", "sign-adaptive", "sign-increased"];
const given = { epochs: 50, features: 10, seeds: [1, 2], names, limit: undefined };

const folder = mkdtempSync(join(tmpdir(), "addernet-study-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the study on MNIST", () => {
  it("is the CNN and four schemes by two seeds, one seed's table before the other's, then two LeNet++", () => {
    const runs = parts.runsOf(given);
    expect(runs.map(({ name }) => name)).toEqual([
      ...["cnn-1", "full-adaptive-1", "full-increased-1", "sign-adaptive-1", "sign-increased-1"],
      ...["cnn-2", "full-adaptive-2", "full-increased-2", "sign-adaptive-2", "sign-increased-2"],
      ...["features-cnn-1", "features-full-adaptive-1"],
    ]);
    const flags = runs[4]!.flags.join(" ");
    expect(flags).toMatch(/--weight-gradient sign --adder-rate increased --rate-factor 100/);
    expect(runs.every((run) => run.flags.join(" ").includes(`--seed ${run.seed}`))).toBe(true);
  });

  it("says of each scheme whether it beats the next by more than the seeds differ", () => {
    const accuracies = [
      [0.994, 0.992],
      [0.99, 0.988],
      [0.98, 0.97],
      [0.974, 0.978],
    ];
    const looked = names.flatMap((scheme, index) =>
      accuracies[index]!.map((accuracy, at) => ({
        ...{ scheme, seed: at + 1, name: `${scheme}-${at + 1}`, isDone: true },
        epochs: [{ epoch: 1, validation: { accuracy } }],
      })),
    );
    const { schemes, order } = parts.summarise(looked, given);
    expect(schemes.map(({ mean }) => mean)).toEqual(
      [99.3, 98.9, 97.5, 97.6].map((value) => expect.closeTo(value, 9)),
    );
    // Of two numbers the deviation is their distance over √2.
    expect(schemes[2]!.deviation).toBeCloseTo(1 / Math.SQRT2, 9);
    expect(order.map(({ holds }) => holds)).toEqual([true, true, false]);
    expect(order.map(({ gap }) => gap)).toEqual([0.4, 1.4, -0.1].map((value) => expect.closeTo(value, 9)));
  });

  it("does not call an order that one seed shows settled", () => {
    const looked = names.map((scheme, index) => ({
      ...{ scheme, seed: 1, name: `${scheme}-1`, isDone: true },
      epochs: [{ epoch: 1, validation: { accuracy: 0.99 - index / 100 } }],
    }));
    const study = parts.summarise(looked, { ...given, seeds: [1] });
    const { order } = study;
    expect(order.map(({ noise, holds }) => ({ noise, holds }))).toEqual(
      order.map(() => ({ noise: null, holds: false })),
    );
    expect(order).toHaveLength(3);
    const table = page.studyMarkdown(study);
    expect(table.match(/: 1\.00 points: as published, as far as one seed tells/g)).toHaveLength(3);
    expect(table).not.toMatch(/null|NaN|undefined/);
  });

  it("refuses what it does not know", () => {
    for (const args of [["--epochs", "0"], ["--schemes", "other"], ["--what"]]) {
      const { status, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
      expect(status).toBe(2);
      expect(stderr).toMatch(/npm run study:mnist -- \[options\]/);
    }
  });
});

const hasData = isFetched("mnist", cacheFolder(process.env));

describe.skipIf(!hasData || process.platform === "win32")("a study (needs MNIST fetched)", () => {
  const args = ["--epochs", "2", "--features", "0", "--limit", "512", "--seeds", "3"];
  const whole = [...args, "--schemes", "full-adaptive", "--threads", "1", "--out", folder];
  const place = join(folder, "2-epochs-of-512");

  it("stopped by Ctrl-C goes on with the same command, to its table and page", async () => {
    const child = spawn(process.execPath, [script, ...whole], {
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
    });
    let told = "";
    const code = await new Promise((done) => {
      child.stderr.on("data", (part) => {
        told += part;
        // As a terminal does: to the whole group.
        if (/epoch 1\/2: /.test(told) && child.pid !== undefined && !child.killed) {
          process.kill(-child.pid, "SIGINT");
        }
      });
      child.on("close", done);
    });
    expect(code).toBe(1);
    expect(told).toMatch(/the same command goes on from there/);
    const { status, stdout } = spawnSync(process.execPath, [script, ...whole], { encoding: "utf8" });
    expect(status).toBe(0);
    expect(stdout).toMatch(/seed 3; complete/);
    const { done } = JSON.parse(readFileSync(join(place, "study.json"), "utf8"));
    expect(done).toEqual(["cnn-3", "full-adaptive-3"]);
    const page = readFileSync(join(place, "study.html"), "utf8");
    expect(page).toMatch(/conv1\.weight: (Laplace|Gauss).*conv1\.adder: (Laplace|Gauss)/s);
    expect(page).not.toMatch(/NaN|undefined|https?:/);
  }, 120_000);
});
