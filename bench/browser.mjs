// npm run bench:browser: in Chromium, the time from loading the runtime's module to the first digit classified, and the demo's own race.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { build } from "esbuild";
import { launchChromium, startDemo } from "./chromium.mjs";
import { median } from "./statistics.mjs";

const root = join(import.meta.dirname, "..");
const loads = 21;

/** A page with nothing on it, the runtime as one module, and the digit network. */
async function serveRuntime() {
  const { outputFiles } = await build({
    stdin: { contents: 'export { createSession } from "./dist/runtime/index.js";', resolveDir: root },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
  });
  const files = {
    "/": ["text/html", "<!doctype html><title>first result</title>"],
    "/runtime.js": ["text/javascript", outputFiles[0].text],
    "/digits.onnx": [
      "application/octet-stream",
      await readFile(join(root, "examples/browser/dist/digits.onnx")),
    ],
  };
  const server = createServer(({ url }, response) => {
    const [type, content] = files[url] ?? [];
    response.writeHead(content ? 200 : 404, { "Content-Type": type ?? "text/plain" }).end(content);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return { origin: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

/** In the page: milliseconds from asking for the module to the first answer, by parts. */
async function firstResult() {
  const marks = [performance.now()];
  const mark = (value) => {
    marks.push(performance.now());
    return value;
  };
  const reading = fetch("/digits.onnx").then((response) => response.arrayBuffer());
  const { createSession } = mark(await import("/runtime.js"));
  const session = mark(await createSession(new Uint8Array(await reading)));
  mark(await session.run({ input: { type: "float32", data: new Float32Array(784), dims: [1, 1, 28, 28] } }));
  const [start, imported, created, answered] = marks;
  return {
    imported: imported - start,
    created: created - imported,
    run: answered - created,
    all: answered - start,
  };
}

async function measureLoads(browser) {
  const { origin, stop } = await serveRuntime();
  const times = [];
  for (let load = 0; load < loads; load++) {
    // A context of its own has no cache.
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(origin);
    times.push(await page.evaluate(firstResult));
    await context.close();
  }
  stop();
  const shown = (part) => {
    const values = times.map((time) => time[part]);
    return `${median(values).toFixed(1)} ms (least ${Math.min(...values).toFixed(1)})`;
  };
  console.log(`module load to first digit, ${loads} times with nothing cached: ${shown("all")}`);
  console.log(`  import ${shown("imported")}, createSession ${shown("created")}, first run ${shown("run")}`);
}

async function race(browser, { origin }) {
  const page = await browser.newPage();
  await page.goto(origin);
  await page.click("#start");
  await page.waitForSelector("#race-text", { state: "visible", timeout: 120_000 });
  console.log(await page.innerText("#race-text"));
  await page.close();
}

const demo = await startDemo();
const browser = await launchChromium();
try {
  await measureLoads(browser);
  await race(browser, demo);
} finally {
  await browser.close();
  demo.stop();
}
