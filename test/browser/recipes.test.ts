// The small pages of examples/, served as any static server would.

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { build, createServer } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeNpy } from "../../src/cli/npy.ts";
import { hasChromium, launchChromium, openPage, root, type Served, serve, skipReason } from "./rig.ts";

const built = existsSync(join(root, "dist/runtime/index.js"));
const missing = `${skipReason}${built ? "" : " (skipped: npm run build first)"}`;

describe.skipIf(!hasChromium || !built)(`pages of examples/${missing}`, () => {
  let browser: Browser;
  let served: Served;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "recipes-"));
    [browser, served] = await Promise.all([launchChromium(), serve({ folders: { "/": root } })]);
  });
  afterAll(async () => {
    await browser?.close();
    await served?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What the page shows when it is done; it must have had no trouble on the way. */
  async function outputOf(name: string): Promise<string> {
    return outputAt(served.origin, `/examples/${name}/index.html`);
  }

  async function outputAt(origin: string, path: string): Promise<string> {
    const { page, faults } = await openPage(browser, origin, path);
    const done = page.locator("output").filter({ hasNotText: "loading" });
    await done.waitFor({ timeout: 20_000 }).catch(() => {});
    expect(faults).toEqual([]);
    const text = await done.innerText();
    await page.close();
    return text;
  }

  it("plain-page converts an export and classifies two hundred digits as PyTorch does", async () => {
    expect(await outputOf("plain-page")).toMatch(/^197 of 200 digits right, [\d.]+ ms in all$/);
  });

  it("onnxruntime-web runs an export it refuses alone, with two lines more", async () => {
    const logits = (await outputOf("onnxruntime-web")).split(" ").map(Number);
    const bytes = new Uint8Array(readFileSync(join(root, "test/fixtures/lenet5bn/output64.npy")));
    const expected = decodeNpy(bytes, "output64.npy").data as Float64Array;
    expect(logits).toHaveLength(10);
    logits.forEach((logit, index) => {
      expect(Math.abs(logit - expected[index]!)).toBeLessThan(2e-3);
    });
  });

  it("strategies measures one model in every way, custom ops among them", async () => {
    const { page, faults } = await openPage(browser, served.origin, "/examples/strategies/index.html");
    await page.locator("output").filter({ hasText: "3 strategies measured" }).waitFor({ timeout: 40_000 });
    const rows = await page.locator("tbody tr").allInnerTexts();
    expect(rows.map((row) => row.split("\t")[3])).toEqual([
      "partition: 1 segment(s), asked for",
      "native: 1 segment(s), custom ops in onnxruntime-web's WebAssembly memory",
      "onnxruntime alone",
    ]);
    for (const row of rows) expect(Number(row.split("\t")[2])).toBeLessThan(1e-3);
    expect(faults).toEqual([]);
    await page.close();
  });

  const viteApp = { root: join(root, "examples/vite-app"), logLevel: "error" } as const;
  const converted = /^5 adder layers found; 197 of 200 digits right$/;

  it.each([false, true])(
    "vite-app is built by Vite and works from a static server (isolated: %s)",
    async (isolated) => {
      await build({ ...viteApp, build: { outDir: join(folder, "vite"), emptyOutDir: true } });
      const { origin, close } = await serve({ folders: { "/": join(folder, "vite") }, isolated });
      expect(await outputAt(origin, "/index.html")).toMatch(converted);
      await close();
    },
  );

  it("vite-app works in Vite's development server", async () => {
    const server = await createServer({
      ...viteApp,
      cacheDir: join(folder, "cache"),
      server: { port: 0, host: "127.0.0.1" },
    });
    await server.listen();
    const origin = server.resolvedUrls!.local[0]!.replace(/\/$/, "");
    // Vite says what it does on the console, as debug messages; the page itself must say nothing.
    const { page, faults } = await openPage(browser, origin, "/");
    await page.locator("output").filter({ hasText: "digits right" }).waitFor({ timeout: 30_000 });
    expect(await page.locator("output").innerText()).toMatch(converted);
    expect(faults.filter((fault) => !fault.includes("ws:"))).toEqual([]);
    await page.close();
    await server.close();
  });

  it("web-worker classifies a moving digit while the page stays free", async () => {
    const { buildPage } = (await import(join(root, "examples/web-worker/build.mjs"))) as {
      buildPage(folder: string): Promise<void>;
    };
    await buildPage(join(folder, "worker"));
    const { origin, close } = await serve({ folders: { "/": join(folder, "worker") } });
    const { page, faults } = await openPage(browser, origin, "/index.html");
    await page.locator("#answer").filter({ hasText: /^\d$/ }).waitFor({ timeout: 20_000 });
    const before = await classifiedImages(page);
    await page.waitForTimeout(1500);
    expect(await classifiedImages(page)).toBeGreaterThan(before + 10);
    expect(faults).toEqual([]);
    await page.close();
    await close();
  });
});

async function classifiedImages(page: Page): Promise<number> {
  const text = await page.locator("#totals").innerText();
  return Number(/^(\d+) of \d+ images classified/.exec(text)?.[1] ?? 0);
}
