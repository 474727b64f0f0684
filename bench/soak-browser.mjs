// npm run soak:browser: ten minutes (-- --minutes N) of drawing on the demo's pad in Chromium. Memory must stay flat, and no task of the page
// may take its main thread for more than 50 ms.

import { parseArgs } from "node:util";
import { launchChromium, startDemo } from "./chromium.mjs";
import { soakDrawing } from "./drawing.mjs";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" } } });
const longestAllowed = 50;
const growthAllowed = 1e6;

const megabytes = (bytes) => (bytes / 1e6).toFixed(2);

async function main() {
  const demo = await startDemo();
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(demo.origin);
    const { bytes, longestTask, points } = await soakDrawing(browser, page, {
      rounds: Math.max(3, Math.round(2 * Number(values.minutes))),
      seconds: 30,
      traced: 10,
      onRound: (so) =>
        console.log(
          `${so.bytes.length / 2} min: ${so.points} points, ${megabytes(so.bytes.at(-1))} MB, longest task ${so.longestTask.toFixed(1)} ms`,
        ),
    });
    const growth = bytes.at(-1) - bytes[1];
    console.log(
      `${points} points; memory grew by ${megabytes(growth)} MB after the first minute; longest task ${longestTask.toFixed(1)} ms`,
    );
    if (growth > growthAllowed || longestTask > longestAllowed) process.exitCode = 5;
  } finally {
    await browser.close();
    demo.stop();
  }
}

await main();
