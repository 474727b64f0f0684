// A page, and a worker of it, that runs /net.onnx with threads and tells what came out.

import { createSession } from "addernet/runtime";

interface Told {
  readonly threads: { readonly count: number; readonly reason: string };
  readonly y: number[];
}

async function runNet(threads: number | "auto", runs = 5): Promise<Told> {
  const session = await createSession(new Uint8Array(await (await fetch("/net.onnx")).arrayBuffer()), {
    threads,
  });
  const data = Float32Array.from({ length: 16 * 64 * 64 }, (_, index) => Math.sin(index));
  let y: number[] = [];
  for (let run = 0; run < runs; run++) {
    const outputs = await session.run({ x: { type: "float32", data, dims: [1, 16, 64, 64] } });
    y = [...(outputs.y!.data as Float32Array)];
  }
  const told = { threads: session.explain().threads, y };
  await session.dispose();
  return told;
}

/** Sessions that are made, run and disposed of one after the other. */
async function makeSessions(count: number): Promise<number> {
  for (let index = 0; index < count; index++) await runNet(2, 1);
  return count;
}

function inWorker(threads: number | "auto"): Promise<Told> {
  const worker = new Worker("/page.js", { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.failed ? reject(new Error(data.failed)) : resolve(data));
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(threads);
  });
}

if (typeof document === "undefined") {
  globalThis.onmessage = ({ data }) =>
    runNet(data).then(postMessage, (error: Error) => postMessage({ failed: error.message }));
} else {
  Object.assign(globalThis, { tested: { runNet, makeSessions, inWorker } });
}
