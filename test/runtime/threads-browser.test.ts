// Threads in Chromium: where a page may share memory, and where it may not.

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createExecutor } from "../../runtime/index.ts";
import { encodeModel } from "../../src/core/onnx/index.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { bundlePage, hasChromium, launchChromium, openPage, serve, skipReason } from "../browser/rig.ts";
import { network } from "./threads-network.ts";

interface Told {
  readonly threads: { readonly count: number; readonly reason: string };
  readonly y: number[];
}

describe.skipIf(!hasChromium)(`threads in Chromium${skipReason}`, () => {
  let browser: Browser;
  let script: string;
  let expected: number[];
  const { bytes } = encodeModel(network(64));
  beforeAll(async () => {
    browser = await launchChromium();
    script = await bundlePage("../../runtime/threads-page.ts");
    const data = Float32Array.from({ length: 16 * 64 * 64 }, (_, index) => Math.sin(index));
    const x: Tensor = { type: "float32", data, dims: [1, 16, 64, 64] };
    const session = await createExecutor(network(64));
    expected = [...((await session.run({ x })).y!.data as Float32Array)];
  });
  afterAll(() => browser?.close());

  async function callPage<T>(
    expression: string,
    site: { readonly isolated: boolean; readonly policy?: string },
  ): Promise<{ result: T; faults: readonly string[] }> {
    const { isolated, policy } = site;
    const meta = policy ? `<meta http-equiv="Content-Security-Policy" content="${policy}">` : "";
    const html = `<!doctype html><html lang="en">${meta}<title>test</title><script type="module" src="/page.js"></script></html>`;
    const { origin, close } = await serve({
      files: { "/page.html": html, "/page.js": script, "/net.onnx": bytes },
      isolated,
    });
    try {
      const { page, faults } = await openPage(browser, origin);
      const result = (await page.evaluate(expression)) as T;
      await page.close();
      return { result, faults };
    } finally {
      await close();
    }
  }

  it.each([1, 2, 3])("%i of them give the bits that Node gives", async (count) => {
    const { result, faults } = await callPage<Told>(`tested.runNet(${count})`, { isolated: true });
    expect(result).toEqual({ threads: { count, reason: "asked for" }, y: expected });
    expect(faults).toEqual([]);
  });
  it("work inside a worker", async () => {
    const { result, faults } = await callPage<Told>("tested.inWorker(2)", { isolated: true });
    expect(result).toEqual({ threads: { count: 2, reason: "asked for" }, y: expected });
    expect(faults).toEqual([]);
  });
  it("are as many as cores by themselves", async () => {
    const { result } = await callPage<Told>('tested.runNet("auto")', { isolated: true });
    const { result: cores } = await callPage<number>("navigator.hardwareConcurrency", { isolated: true });
    expect(result.threads.count).toBe(Math.min(4, cores));
    expect(result.y).toEqual(expected);
  });
  it.each(["2", '"auto"'])("are one in a page that is not isolated, asked for %s", async (threads) => {
    const { result, faults } = await callPage<Told>(`tested.runNet(${threads})`, { isolated: false });
    expect(result).toEqual({
      threads: { count: 1, reason: expect.stringMatching(/not cross-origin isolated/) },
      y: expected,
    });
    expect(faults).toEqual([]);
  });
  it("are one where the content security policy has no worker-src blob:", async () => {
    const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";
    const { result } = await callPage<Told>("tested.runNet(2)", { isolated: true, policy });
    expect(result).toEqual({
      threads: { count: 1, reason: expect.stringMatching(/no worker could be started: .*worker-src blob:/) },
      y: expected,
    });
  });
  it("work where it has", async () => {
    const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src blob:";
    const { result, faults } = await callPage<Told>("tested.runNet(2)", { isolated: true, policy });
    expect(result).toEqual({ threads: { count: 2, reason: "asked for" }, y: expected });
    expect(faults).toEqual([]);
  });
  it("end with their sessions, a hundred times over", async () => {
    const { result, faults } = await callPage<number>("tested.makeSessions(100)", { isolated: true });
    expect(result).toBe(100);
    expect(faults).toEqual([]);
  }, 60_000);
});
