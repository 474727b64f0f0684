// The entries in Chromium: bundled, in a worker, and as plain modules, with and without cross-origin isolation.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as ortNode from "onnxruntime-node";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "../../converter/index.ts";
import { attachFunctions } from "../../custom-ops/attach-functions.ts";
import { simdLevels } from "../../custom-ops/kernels/load.ts";
import { decodeNpy } from "../../src/cli/npy.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import { mixedGraphs } from "../ort/suites.ts";
import { parseModel, randomTensor } from "../passes/parse-model.ts";
import type { Answer } from "./pages/lenet.ts";
import {
  bundlePage,
  hasChromium,
  launchChromium,
  openPage,
  root,
  type Site,
  serve,
  skipReason,
  webgpuFlags,
} from "./rig.ts";

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(join(root, "test/fixtures/lenet5bn", name)));

const expected = decodeNpy(fixture("output.npy"), "output.npy").data as Float32Array;

async function lenetFiles(): Promise<Record<string, string | Uint8Array>> {
  const exported = fixture("lenet5bn.inlined.onnx");
  const data = decodeNpy(fixture("input.npy"), "input.npy").data as Float32Array;
  const { bytes } = await convert(exported, { check: false });
  return {
    "/exported.onnx": exported,
    "/converted.onnx": bytes,
    "/digits.f32": new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

const page = (script: string): string =>
  `<!doctype html><html lang="en"><title>test</title><script type="module">${script}</script></html>`;

function expectLogits({ logits }: Answer): void {
  expect(logits.length).toBe(expected.length);
  const differences = logits.map((logit, index) => Math.abs(logit - expected[index]!));
  expect(Math.max(...differences)).toBeLessThan(1e-3);
}

/** Opens the page, calls one of its functions, and expects that nothing went wrong beside it. */
async function callIn<Result>(browser: Browser, site: Site, expression: string): Promise<Result> {
  const { origin, close } = await serve(site);
  try {
    const opened = await openPage(browser, origin);
    const isolated = await opened.page.evaluate("crossOriginIsolated");
    expect(isolated).toBe(site.isolated ?? false);
    const result = await opened.page.evaluate(expression);
    expect(opened.faults).toEqual([]);
    await opened.page.close();
    return result as Result;
  } finally {
    await close();
  }
}

describe.skipIf(!hasChromium)(`addernet/runtime and addernet/converter in Chromium${skipReason}`, () => {
  let browser: Browser;
  let files: Record<string, string | Uint8Array>;
  beforeAll(async () => {
    browser = await launchChromium();
    files = {
      ...(await lenetFiles()),
      "/page.html": page('import "/window.js"'),
      "/window.js": await bundlePage("window.ts"),
      "/worker.js": await bundlePage("worker.ts"),
    };
  });
  afterAll(() => browser?.close());

  describe.each([
    { headers: "without isolation", isolated: false },
    { headers: "cross-origin isolated", isolated: true },
  ])("$headers", ({ isolated }) => {
    const call = <Result>(expression: string): Promise<Result> =>
      callIn<Result>(browser, { files, isolated }, expression);

    it.each(simdLevels)("classifies digits as PyTorch does with the %s kernels", async (simd) => {
      const answer = await call<Answer>(`tested.classifyConverted({ simd: "${simd}" })`);
      expect(answer.level).toBe(simd);
      expectLogits(answer);
    });
    it("does so in a worker", async () => {
      expectLogits(await call<Answer>('tested.inWorker("classifyConverted", {})'));
    });
    it("converts a PyTorch export in the page", async () => {
      const answer = await call<Answer & { forms: string[]; largestDifference: number }>(
        "tested.convertExported()",
      );
      expect(answer.forms).toHaveLength(5);
      expect(answer.largestDifference).toBeLessThan(1e-3);
      expectLogits(answer);
    });
    it("converts in a worker", async () => {
      expectLogits(await call<Answer>('tested.inWorker("convertExported")'));
    });
  });

  it("keeps memory flat over a thousand sessions", async () => {
    const sizes = await callIn<number[]>(browser, { files, isolated: true }, "tested.makeSessions(1000)");
    const growth = sizes.at(-1)! - sizes[1]!;
    expect(growth, `bytes in use after every hundred: ${sizes.join(", ")}`).toBeLessThan(1_000_000);
  });
});

const built = existsSync(join(root, "dist/runtime/index.js"));
const plain = hasChromium && built;
describe.skipIf(!plain)(`plain modules${skipReason}${built ? "" : " (skipped: npm run build first)"}`, () => {
  it("classifies digits from the package's files as they are, through an import map", async () => {
    const browser = await launchChromium();
    const importMap =
      '<script type="importmap">{"imports":{"addernet/runtime":"/dist/runtime/index.js"}}</script>';
    const script = `
      import { createSession } from "addernet/runtime";
      const bytes = async (url) => (await fetch(url)).arrayBuffer();
      globalThis.classify = async () => {
        const session = await createSession(new Uint8Array(await bytes("/converted.onnx")));
        const data = new Float32Array(await bytes("/digits.f32"));
        const { output } = await session.run({ input: { type: "float32", data, dims: [data.length / 784, 1, 28, 28] } });
        return { level: session.explain().simd.level, logits: [...output.data] };
      };`;
    const site: Site = {
      files: {
        ...(await lenetFiles()),
        "/page.html": page(script).replace("<script", `${importMap}<script`),
      },
      folders: { "/dist/": join(root, "dist") },
    };
    try {
      expectLogits(await callIn<Answer>(browser, site, "classify()"));
    } finally {
      await browser.close();
    }
  });
});

const mixed = mixedGraphs.find(({ name }) => name.startsWith("Resize and LayerNormalization"))!;

interface Ran {
  readonly engines?: readonly string[];
  readonly dims: readonly number[];
  readonly values: readonly number[];
}

describe.skipIf(!hasChromium)(`addernet/ort with onnxruntime-web in Chromium${skipReason}`, () => {
  const model = parseModel(mixed.text);
  attachFunctions(model);
  const { bytes } = encodeModel(model);
  const dims = mixed.feeds.x!;
  const values = [...(randomTensor("x", "float32", dims).data as Float32Array)];
  let oracle: Float32Array;
  let files: Record<string, string | Uint8Array>;
  beforeAll(async () => {
    const session = await ortNode.InferenceSession.create(bytes);
    const { y } = await session.run({ x: new ortNode.Tensor("float32", Float32Array.from(values), dims) });
    oracle = y!.data as Float32Array;
    files = {
      "/page.html": page('import "/registered.js"'),
      "/registered.js": await bundlePage("registered.ts"),
      "/mixed.onnx": bytes,
      "/converted.onnx": (await lenetFiles())["/converted.onnx"]!,
    };
  });

  const site = (isolated: boolean): Site => ({
    files,
    isolated,
    folders: { "/": join(root, "node_modules/onnxruntime-web/dist") },
  });

  async function runIn(flags: readonly string[], isolated: boolean, run: object): Promise<Ran> {
    const browser = await launchChromium(flags);
    try {
      return await callIn<Ran>(browser, site(isolated), `runModel(${JSON.stringify(run)})`);
    } finally {
      await browser.close();
    }
  }

  function expectOracle(found: readonly number[]): void {
    expect(found.length).toBe(oracle.length);
    const differences = found.map(
      (value, index) => Math.abs(value - oracle[index]!) / (1 + Math.abs(oracle[index]!)),
    );
    expect(Math.max(...differences)).toBeLessThan(1e-4);
  }

  it.each([
    { headers: "without isolation", isolated: false },
    { headers: "cross-origin isolated", isolated: true },
  ])("runs what we do not cover on wasm, $headers", async ({ isolated }) => {
    const ran = await runIn([], isolated, { model: "/mixed.onnx", dims, values, inner: ["wasm"] });
    expect(ran.engines).toEqual(mixed.engines);
    expectOracle(ran.values);
  });
  it("runs what we do not cover on webgpu", async () => {
    const ran = await runIn(webgpuFlags, false, { model: "/mixed.onnx", dims, values, inner: ["webgpu"] });
    expect(ran.engines).toEqual(mixed.engines);
    expectOracle(ran.values);
  });
  it("runs a converted net wholly on our kernels", async () => {
    const digits = decodeNpy(fixture("input.npy"), "input.npy");
    const ran = await runIn([], false, {
      model: "/converted.onnx",
      dims: digits.dims,
      values: [...(digits.data as Float32Array)],
      inner: ["wasm"],
    });
    expect(ran.engines).toEqual(["addernet"]);
    expectLogits({ level: "", logits: ran.values });
  });
});
