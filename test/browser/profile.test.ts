// A profile made by a page in Chromium: the same report as in Node, whatever its clock.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { convert } from "../../converter/index.ts";
import type { ProfileReport } from "../../runtime/profile/report.ts";
import { readSchema, schemaProblems } from "../cli/json-schema.ts";
import { bundlePage, hasChromium, launchChromium, openPage, serve, skipReason } from "./rig.ts";

const lenet = fileURLToPath(new URL("../fixtures/lenet5bn/lenet5bn.inlined.onnx", import.meta.url));

interface Told {
  readonly report: ProfileReport;
  readonly phases: readonly string[];
  readonly page: number;
}

describe.skipIf(!hasChromium)(`a profile in Chromium${skipReason}`, () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());

  it("is the report its schema describes, with the clock's steps told", async () => {
    const { bytes } = await convert(new Uint8Array(readFileSync(lenet)), { check: false });
    const script = await bundlePage("profile.ts");
    const html =
      '<!doctype html><html lang="en"><title>test</title><script type="module" src="/page.js"></script></html>';
    const { origin, close } = await serve({
      files: { "/page.html": html, "/page.js": script, "/net.onnx": bytes },
      isolated: false,
    });
    try {
      const { page, faults } = await openPage(browser, origin);
      const { report, phases, page: length } = (await page.evaluate("tested.profileNet()")) as Told;
      expect(faults).toEqual([]);
      expect(schemaProblems(report, readSchema("profile"))).toEqual([]);
      expect(phases).toEqual(expect.arrayContaining(["opening", "first run", "roofline"]));
      expect(length).toBeGreaterThan(10_000);
      expect(report.environment.engine).toMatch(/Chrome/);
      expect(report.costs.adder.additions).toBe(833_040);
      // Pages that are not isolated get a clock of 100 µs, longer than this network takes.
      expect(report.timer.resolutionMs).toBeGreaterThan(0.01);
      expect(report.timer.repeats).toBeGreaterThan(1);
      expect(report.warnings.join()).toMatch(/timed together/);
    } finally {
      await close();
    }
  });
});
