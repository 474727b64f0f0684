// The demo in Chromium, for what is measured there.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { chromium } from "playwright-core";

const root = join(import.meta.dirname, "..");

const flags = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--enable-blink-features=ForceEagerMeasureMemory",
  "--js-flags=--expose-gc",
];

export function launchChromium() {
  return chromium.launch({ executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium", args: flags });
}

/** Builds and serves the demo as `npm run demo` does. */
export function startDemo() {
  const demo = spawn(process.execPath, ["examples/browser/serve.mjs", "--port", "0"], { cwd: root });
  return new Promise((resolve, reject) => {
    let text = "";
    const read = (chunk) => {
      text += chunk;
      const url = /http:\/\/localhost:\d+/.exec(text)?.[0];
      if (url) resolve({ origin: url, stop: () => demo.kill() });
    };
    demo.stdout.on("data", read);
    demo.stderr.on("data", read);
    demo.on("exit", (code) => reject(new Error(`the demo ended with ${code}: ${text}`)));
  });
}
