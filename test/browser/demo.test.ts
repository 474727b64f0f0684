// The demo as a person sees it: built and served as `npm run demo` does, used with mouse and keyboard in Chromium.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSession } from "../../runtime/index.ts";
import { decodeNpy } from "../../src/cli/npy.ts";
import { hasChromium, launchChromium, type Opened, openPage, root, serve, skipReason } from "./rig.ts";

const lenet = join(root, "test/fixtures/lenet5bn");
const built = existsSync(join(root, "dist/runtime/index.js"));
const missing = `${skipReason}${built ? "" : " (skipped: npm run build first)"}`;

/** Starts the demo's own server on a free port. */
function startDemo(): Promise<{ process: ChildProcess; origin: string }> {
  const demo = spawn(process.execPath, ["examples/browser/serve.mjs", "--port", "0"], { cwd: root });
  return new Promise((resolve, reject) => {
    let text = "";
    const read = (chunk: Buffer): void => {
      text += chunk;
      const url = /http:\/\/localhost:(\d+)\//.exec(text);
      if (url) resolve({ process: demo, origin: `http://localhost:${url[1]}` });
    };
    demo.stdout.on("data", read);
    demo.stderr.on("data", read);
    demo.on("exit", (code) => reject(new Error(`the demo ended with ${code}: ${text}`)));
  });
}

const file = (name: string) => ({
  name,
  mimeType: "application/octet-stream",
  buffer: readFileSync(join(lenet, name)),
});

/** Lines through points of the 280x280 pad. */
async function drawWithMouse(page: Page, points: readonly (readonly [number, number])[]): Promise<void> {
  await page.locator("#pad").scrollIntoViewIfNeeded();
  const box = (await page.locator("#pad").boundingBox())!;
  const [first, ...others] = points.map(([x, y]) => [box.x + x, box.y + y] as const);
  await page.mouse.move(...first!);
  await page.mouse.down();
  for (const point of others) await page.mouse.move(...point, { steps: 6 });
  await page.mouse.up();
}

interface Soaked {
  readonly bytes: readonly number[];
  readonly longestTask: number;
  readonly points: number;
}

const strokes = {
  1: [
    [140, 40],
    [140, 240],
  ],
  7: [
    [80, 60],
    [200, 60],
    [180, 120],
    [150, 180],
    [130, 240],
  ],
} as const;

describe.skipIf(!hasChromium || !built)(`the demo${missing}`, () => {
  let browser: Browser;
  let demo: { process: ChildProcess; origin: string };
  let opened: Opened;
  beforeAll(async () => {
    [browser, demo] = await Promise.all([launchChromium(), startDemo()]);
    opened = await openPage(browser, demo.origin, "/");
  });
  afterAll(async () => {
    await browser?.close();
    demo?.process.kill();
  });
  const text = (selector: string): Promise<string> => opened.page.locator(selector).innerText();
  const shows = (selector: string, pattern: RegExp, timeout = 30_000) =>
    opened.page.locator(selector).filter({ hasText: pattern, visible: true }).waitFor({ timeout });

  it.each(Object.entries(strokes))("answers %s when a person draws one", async (digit, points) => {
    await opened.page.click("#clear");
    await shows("#digit", /^–$/);
    await drawWithMouse(opened.page, points);
    await shows("#digit", new RegExp(`^${digit}$`));
    expect(await text(`#scores li:nth-child(${Number(digit) + 1})`)).toMatch(/\b([5-9]\d|100) %/);
    await shows("#digit-note", /^in \d+\.\d\d ms$/);
  });

  it("takes the keyboard instead of a mouse", async () => {
    const { keyboard } = opened.page;
    await opened.page.locator("#pad").focus();
    await keyboard.press("Delete");
    await shows("#digit", /^–$/);
    for (let step = 0; step < 12; step++) await keyboard.press("ArrowUp");
    await keyboard.press("Space");
    for (let step = 0; step < 24; step++) await keyboard.press("ArrowDown");
    await keyboard.press("Space");
    await shows("#digit", /^\d$/);
    // The pen starts wherever the last stroke ended: a vertical line is a 1 anywhere on the pad.
    await shows("#digit", /^1$/);
  });

  it("stays free and keeps its memory while a person draws and draws", async () => {
    const { soakDrawing } = (await import(join(root, "bench/drawing.mjs"))) as {
      soakDrawing(browser: Browser, page: Page, options: object): Promise<Soaked>;
    };
    const { bytes, longestTask, points } = await soakDrawing(browser, opened.page, { rounds: 3, seconds: 3 });
    expect(points).toBeGreaterThan(50);
    expect(longestTask, "milliseconds of CPU time").toBeLessThan(50);
    expect(bytes.at(-1)! - bytes[1]!, `bytes in use: ${bytes.join(", ")}`).toBeLessThan(500_000);
  });

  it("classifies digits it shows", async () => {
    await opened.page.click("#sample");
    await shows("#digit", /^\d$/);
  });

  it.each([
    ["A puffin", "bird"],
    ["Photo of a cat", "cat"],
    ["A truck", "truck"],
  ])("classifies the sample %s", async (what, answer) => {
    await opened.page.getByRole("button", { name: what, exact: true }).click();
    await shows("#photo-answer", new RegExp(`^${answer}`));
    await shows("#photo-note", /^in \d+\.\d\d ms$/);
    expect(await text("#photo-scores")).toMatch(new RegExp(`${answer}\\s+([3-9]\\d|100) %`));
    const chosen = opened.page.locator('#samples [aria-pressed="true"]');
    expect(await chosen.getAttribute("aria-label")).toBe(what);
  });

  const photo = (name: string, mimeType: string) => ({
    name,
    mimeType,
    buffer: readFileSync(join(root, "examples/browser/samples", name)),
  });

  it("classifies a person's own photo", async () => {
    await opened.page.setInputFiles("#photo-files", [photo("truck-1.webp", "image/webp")]);
    await shows("#photo-answer", /^truck/);
    expect(await opened.page.locator('#samples [aria-pressed="true"]').count()).toBe(0);
  });

  it.each(["drop", "paste"])("takes a photo by %s", async (way) => {
    await opened.page.getByRole("button", { name: "A truck", exact: true }).click();
    await shows("#photo-answer", /^truck/);
    const bytes = [...photo("ship-1.webp", "").buffer];
    await opened.page.evaluate(
      ([kind, content]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([Uint8Array.from(content as number[])], "mine", { type: "image/webp" }));
        const event =
          kind === "drop"
            ? new DragEvent("drop", { dataTransfer: transfer, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: transfer });
        (kind === "drop" ? document.getElementById("photo-drop")! : document).dispatchEvent(event);
      },
      [way, bytes] as const,
    );
    await shows("#photo-answer", /^ship/);
  });

  it.each([
    [{ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("hello") }, /no picture/],
    [{ name: "a.png", mimeType: "image/png", buffer: Buffer.from("hello") }, /a\.png cannot be decoded/],
  ])("says so where a photo cannot be read", async (given, message) => {
    await opened.page.setInputFiles("#photo-files", [given]);
    await shows("#photo-note", message);
  });

  it("converts an export with its data beside it, verifies it, and gives the result away", async () => {
    const names = ["lenet5bn.inlined.dynamo.onnx", "lenet5bn.inlined.dynamo.onnx.data"];
    await opened.page.setInputFiles("#files", names.map(file));
    await shows("#bring-result", /Recognised adder layers: 5/);
    expect(await text("#facts")).toMatch(/2 inputs, largest difference \d/);
    expect(await text("#facts")).toMatch(/140 → 8[\s\S]*\d\.\d\d ms \(input 1×1×28×28/);
    expect(await text("#layers tbody tr:first-child")).toMatch(/conv1\s+.*6×1×5×5\s+1,1\s+2/);
    const [download] = await Promise.all([
      opened.page.waitForEvent("download"),
      opened.page.click("#download"),
    ]);
    expect(download.suggestedFilename()).toBe("lenet5bn.inlined.dynamo.adder.onnx");
    const session = await createSession(new Uint8Array(readFileSync(await download.path())));
    const input = decodeNpy(new Uint8Array(readFileSync(join(lenet, "input.npy"))), "input.npy");
    const expected = decodeNpy(new Uint8Array(readFileSync(join(lenet, "output.npy"))), "output.npy");
    const { output } = await session.run({ input });
    const wanted = expected.data as Float32Array;
    const off = (output!.data as Float32Array).map((logit, index) => Math.abs(logit - wanted[index]!));
    expect(off.length).toBe(wanted.length);
    expect(Math.max(...off)).toBeLessThan(1e-3);
    await session.dispose();
  });

  it("profiles what it converted, as a page of its own", async () => {
    await opened.page.setInputFiles("#files", [file("lenet5bn.inlined.onnx")]);
    await shows("#bring-result", /Download lenet5bn\.inlined\.adder\.onnx/);
    await opened.page.click("#profile");
    await shows("#profile-status", /^7 layers, [\d.]+ ms$/, 60_000);
    const [profile] = await Promise.all([
      opened.page.context().waitForEvent("page"),
      opened.page.click("#profile-page"),
    ]);
    await profile.waitForLoadState();
    expect(await profile.locator("h1").innerText()).toMatch(/lenet5bn/);
    expect(await profile.locator("#layers tbody tr").count()).toBe(9);
    expect(await profile.locator("#operations").innerText()).toMatch(/435K/);
    await profile.close();
  });

  it("finds out which network a checkpoint is of", async () => {
    await opened.page.setInputFiles("#files", [file("lenet5bn.pth")]);
    await shows("#bring-result", /Download lenet5bn\.adder\.onnx/);
    expect(await text("#layers")).toContain("Recognised adder layers: 5");
  });

  it.each([
    {
      what: "a file that is no model",
      files: [{ name: "bad.onnx", mimeType: "", buffer: Buffer.from("hello there") }],
      error: /^ADN_ONNX_WIRE: .*not an ONNX model/,
    },
    {
      what: "an export whose data is missing",
      files: [file("lenet5bn.inlined.dynamo.onnx")],
      error: /^ADN_EXTERNAL_DATA: .*lenet5bn\.inlined\.dynamo\.onnx\.data/,
    },
    {
      what: "a checkpoint that is none",
      files: [{ name: "bad.pth", mimeType: "", buffer: Buffer.from("hello there") }],
      error: /^ADN_CHECKPOINT: bad\.pth: /,
    },
    {
      what: "no model at all",
      files: [{ name: "photo.png", mimeType: "", buffer: Buffer.from("hello there") }],
      error: /^ADN_USAGE: one model at a time .*found photo\.png/,
    },
  ])("tells clearly about $what", async ({ files, error }) => {
    await opened.page.setInputFiles("#files", files);
    await shows("#bring-error", error);
    expect(await opened.page.locator("#bring-result").isVisible()).toBe(false);
  });

  it("refuses flags it cannot read, naming them", async () => {
    await opened.page.fill("#flags", "--set conv1");
    await opened.page.setInputFiles("#files", [file("lenet5bn.inlined.onnx")]);
    await shows("#bring-error", /^ADN_USAGE: this cannot be read as flags .*found conv1/);
    await opened.page.fill("#flags", "");
  });

  it.each([
    ["lenet", 2, 1],
    ["resnet20", 2, 2],
  ])("races %s and shows who was faster", async (network, ours, theirs) => {
    await opened.page.selectOption("#network", network);
    await opened.page.click("#start");
    await shows(
      "#race-status",
      /^AdderNet, 8 bit: .* times as (fast|slow); .* times as (fast|slow) as /,
      60_000,
    );
    const times = (await opened.page.locator("#lanes output").allInnerTexts()).map(Number.parseFloat);
    expect(times).toHaveLength(ours + theirs);
    expect(Math.min(...times)).toBeGreaterThan(0);
    expect(await opened.page.locator("#race-lines polyline").count()).toBe(ours + theirs);
    const result = await text("#race-text");
    const lines = (pattern: RegExp): number => result.split("\n").filter((line) => pattern.test(line)).length;
    expect(lines(/addernet\/runtime, simd kernels +[\d.]+ ms +\d\.\d{3}$/)).toBe(ours);
    expect(lines(/onnxruntime-web \S+, wasm +[\d.]+ ms +\d\.\d{3}$/)).toBe(theirs);
    expect(result).toMatch(/one thread each, \d{2,} runs in turns after 6 to warm up, medians/);
  });

  it("can be stopped in a race", async () => {
    await opened.page.click("#start");
    await opened.page.click("#start");
    await shows("#race-status", /^stopped$/);
    expect(await text("#start")).toBe("Start");
  });

  it("tells what the browser offers", async () => {
    const features = await text("#features");
    expect(features).toMatch(/SIMD\s+yes/);
    expect(features).toMatch(
      /Shared memory for threads\s+yes\s+\d+ cores; the page is cross-origin isolated/,
    );
    expect(features).toMatch(/Kernels in use\s+(simd|relaxed)/);
  });

  it("says what to set where the page is not isolated, and works there", async () => {
    const { origin, close } = await serve({ folders: { "/": join(root, "examples/browser/dist") } });
    const { page, faults } = await openPage(browser, origin, "/index.html");
    const row = page.locator("#features tr", { hasText: "Shared memory" });
    await row.waitFor();
    expect(await row.innerText()).toMatch(
      /no\s+\d+ cores; send the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp/,
    );
    await drawWithMouse(page, strokes[7]);
    await page.locator("#digit", { hasText: /^7$/ }).waitFor();
    expect(faults).toEqual([]);
    await page.close();
    await close();
  });

  it("fits a phone", async () => {
    await opened.page.setViewportSize({ width: 360, height: 740 });
    await opened.page.setInputFiles("#files", [
      { ...file("lenet5bn.inlined.onnx"), name: `${"a-long-name".repeat(9)}.onnx` },
    ]);
    await shows("#bring-result", /Recognised adder layers: 5/);
    expect(await opened.page.evaluate("document.documentElement.scrollWidth")).toBe(360);
  });

  it("works offline once loaded", async () => {
    const { page } = opened;
    await page.evaluate(async () => (await navigator.serviceWorker.ready).active?.state);
    await page.context().setOffline(true);
    demo.process.kill();
    await page.reload();
    await drawWithMouse(page, strokes[7]);
    await shows("#digit", /^7$/);
    await page.getByRole("button", { name: "A truck", exact: true }).click();
    await shows("#photo-answer", /^truck/);
    await page.click("#try");
    await shows("#bring-result", /Recognised adder layers: 5/);
    await page.click("#start");
    await shows("#race-status", /times as (fast|slow) as CNN, float32$/, 60_000);
  });

  it("did all this without an error in the console and without asking any other server", () => {
    expect(opened.faults).toEqual([]);
  });
});
