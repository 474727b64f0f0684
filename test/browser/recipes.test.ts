// The small pages of examples/, served as any static server would.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeNpy } from "../../src/cli/npy.ts";
import { hasChromium, launchChromium, openPage, root, type Served, serve, skipReason } from "./rig.ts";

const built = existsSync(join(root, "dist/runtime/index.js"));
const missing = `${skipReason}${built ? "" : " (skipped: npm run build first)"}`;

describe.skipIf(!hasChromium || !built)(`pages of examples/${missing}`, () => {
  let browser: Browser;
  let served: Served;
  beforeAll(async () => {
    [browser, served] = await Promise.all([launchChromium(), serve({ folders: { "/": root } })]);
  });
  afterAll(async () => {
    await browser?.close();
    await served?.close();
  });

  /** What the page shows when it is done; it must have had no trouble on the way. */
  async function outputOf(folder: string): Promise<string> {
    const { page, faults } = await openPage(browser, served.origin, `/examples/${folder}/index.html`);
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
});
