// Continuous drawing on the demo's pad: what it costs the page in memory and in time on its main thread.

const pad = "#pad";

/** Points of an endless scribble over the pad, as shares of its side. */
function* scribble() {
  for (let step = 0; ; step++) {
    yield [0.5 + 0.4 * Math.sin(step * 0.13), 0.5 + 0.4 * Math.sin(step * 0.07 + 1)];
  }
}

/** Longest CPU time, in milliseconds, that one task took of a renderer's main thread. */
export function longestTask(trace) {
  const { traceEvents } = JSON.parse(trace);
  const isMain = new Set(
    traceEvents
      .filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain")
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  const tasks = traceEvents.filter(
    ({ name, tdur, pid, tid }) => /RunTask$/.test(name) && tdur > 0 && isMain.has(`${pid} ${tid}`),
  );
  if (tasks.length === 0) throw new Error("the trace holds no tasks of the page");
  return tasks.reduce((most, { tdur }) => Math.max(most, tdur), 0) / 1000;
}

/** Bytes of the page and its workers after collecting garbage; the page must be cross-origin isolated. */
function usedBytes(page) {
  return page.evaluate(async () => {
    globalThis.gc();
    return (await performance.measureUserAgentSpecificMemory()).bytes;
  });
}

/** Draws for some seconds, and clears the pad from time to time. Answers how many points were drawn. */
async function draw(page, points, seconds) {
  const box = await page.locator(pad).boundingBox();
  const end = performance.now() + 1000 * seconds;
  let drawn = 0;
  await page.mouse.down();
  while (performance.now() < end) {
    const [x, y] = points.next().value;
    await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
    if (++drawn % 200 > 0) continue;
    await page.mouse.up();
    await page.click("#clear");
    await page.mouse.move(box.x + x * box.width, box.y + y * box.height);
    await page.mouse.down();
  }
  await page.mouse.up();
  return drawn;
}

/**
 * Draws in `rounds` of `seconds`, the first `traced` of each under a trace. `onRound` hears after each what is answered in the end:
 * bytes used after every round, the longest task in milliseconds of CPU time, points drawn.
 */
export async function soakDrawing(browser, page, { rounds, seconds, traced = seconds, onRound = () => {} }) {
  const points = scribble();
  const result = { bytes: [], longestTask: 0, points: 0 };
  await page.locator(pad).scrollIntoViewIfNeeded();
  for (let round = 0; round < rounds; round++) {
    await browser.startTracing(page, { categories: ["toplevel", "disabled-by-default-devtools.timeline"] });
    result.points += await draw(page, points, traced);
    const trace = await browser.stopTracing();
    result.longestTask = Math.max(result.longestTask, longestTask(trace.toString()));
    if (traced < seconds) result.points += await draw(page, points, seconds - traced);
    result.bytes.push(await usedBytes(page));
    onRound(result);
  }
  return result;
}
