// What this browser offers, and what to set where something is missing.

import { byId, fillTable } from "./elements.js";

const v128 = 0x7b;

/** Whether this engine accepts a function `() -> v128` with these instructions. */
function accepts(instructions) {
  const body = [0, ...instructions, 0x0b];
  const code = [1, body.length, ...body];
  return WebAssembly.validate(
    Uint8Array.from([
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...[1, 5, 1, 0x60, 0, 1, v128],
      ...[3, 2, 1, 0],
      ...[0x0a, code.length, ...code],
    ]),
  );
}

const splat = [0x41, 0, 0xfd, 0x0f];
const relaxedSwizzle = [0xfd, 0x80, 0x02];

const hasSimd = () => accepts(splat);
const hasRelaxedSimd = () => accepts([...splat, ...splat, ...relaxedSwizzle]);

function threadsAdvice() {
  const cores = `${navigator.hardwareConcurrency} cores`;
  if (crossOriginIsolated) return `${cores}; the page is cross-origin isolated`;
  const headers = "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp";
  return `${cores}; send the headers ${headers} to share memory between threads`;
}

function rows({ simd, threads }) {
  return [
    ["WebAssembly", true, "what the kernels are compiled to; they travel inside the script"],
    [
      "SIMD",
      hasSimd(),
      hasSimd() ? "four sums at a time" : "update the browser; until then scalar kernels run",
    ],
    ["Relaxed SIMD", hasRelaxedSimd(), hasRelaxedSimd() ? "available" : "not needed; newer browsers have it"],
    ["Shared memory for threads", crossOriginIsolated, threadsAdvice()],
    [
      "WebGPU interface",
      "gpu" in navigator,
      'for onnxruntime-web beside ours: adderNetEp({ inner: ["webgpu", "wasm"] })',
    ],
    ["Kernels in use", simd.level, simd.reason],
    ["Threads in use", `${threads.count}`, threads.reason],
  ];
}

/** `answer`: a promise of what a session in this browser tells about itself. */
export async function showFeatures(answer) {
  const table = byId("features");
  try {
    const words = { true: "yes", false: "no" };
    const shown = rows(await answer).map(([name, found, note]) => [name, words[found] ?? found, note]);
    fillTable(table, ["feature", "here", "what it means"], shown);
    for (const { cells } of table.tBodies[0].rows)
      cells[1].className = cells[1].textContent === "no" ? "no" : "yes";
  } catch ({ message }) {
    fillTable(table, ["the runtime cannot start here"], [[message]]);
  }
}
