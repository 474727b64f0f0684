// npm run check:webpack: installs webpack in a folder of its own, bundles the three entries and a worker with no configuration but the
// entry's name, and uses the result in Chromium. Not part of the tests: webpack is a hundred packages.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { launchChromium } from "../bench/chromium.mjs";

const root = join(import.meta.dirname, "..");
const packages = ["webpack@5.112.2", "webpack-cli@7.3.1"];

const worker = `
import { convert } from "addernet/converter";
globalThis.onmessage = async ({ data }) => globalThis.postMessage((await convert(data)).bytes);
`;
const page = `
import { adderNetEp, registerAdderNet } from "addernet/ort";
import { createSession } from "addernet/runtime";
import * as ort from "onnxruntime-web/wasm";

const bytesOf = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
const convert = (bytes) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./worker.js", import.meta.url));
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(bytes);
  });

async function main() {
  const model = await convert(await bytesOf("net.onnx"));
  const data = new Float32Array((await bytesOf("input.npy")).slice(128).buffer).slice(0, 784);
  const session = await createSession(model);
  const ours = await session.run({ input: { type: "float32", data, dims: [1, 1, 28, 28] } });
  registerAdderNet(ort);
  ort.env.wasm.numThreads = 1;
  const registered = await ort.InferenceSession.create(model, { executionProviders: [adderNetEp({ inner: ["wasm"] })] });
  const theirs = await registered.run({ input: new ort.Tensor("float32", data, [1, 1, 28, 28]) });
  return { ours: [...ours.output.data], theirs: [...theirs.output.data] };
}
globalThis.result = main();
`;

function makeProject(folder) {
  const modules = join(folder, "node_modules");
  mkdirSync(join(folder, "src"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "name": "page", "private": true, "sideEffects": true }\n');
  execFileSync("npm", ["install", "--no-audit", "--no-fund", ...packages], { cwd: folder, stdio: "inherit" });
  mkdirSync(join(modules, "addernet"), { recursive: true });
  cpSync(join(root, "package.json"), join(modules, "addernet/package.json"));
  cpSync(join(root, "dist"), join(modules, "addernet/dist"), { recursive: true });
  for (const name of ["onnxruntime-web", "onnxruntime-common"])
    cpSync(join(root, "node_modules", name), join(modules, name), { recursive: true });
  writeFileSync(join(folder, "src/index.js"), page);
  writeFileSync(join(folder, "src/worker.js"), worker);
  execFileSync("npx", ["webpack", "--mode", "production", "--entry", "./src/index.js"], {
    cwd: folder,
    stdio: "inherit",
  });
}

function serve(folder) {
  const lenet = join(root, "test/fixtures/lenet5bn");
  const given = { "/net.onnx": "lenet5bn.inlined.onnx", "/input.npy": "input.npy" };
  const types = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
  const server = createServer(({ url }, response) => {
    if (url === "/") {
      response.writeHead(200, { "Content-Type": "text/html" });
      return response.end('<!doctype html><title>webpack</title><script src="main.js"></script>');
    }
    try {
      const content = readFileSync(given[url] ? join(lenet, given[url]) : join(folder, "dist", url));
      response.writeHead(200, { "Content-Type": types[extname(url)] ?? "application/octet-stream" });
      return response.end(content);
    } catch {
      return response.writeHead(404).end();
    }
  });
  return new Promise((listening) => server.listen(0, "127.0.0.1", () => listening(server)));
}

const folder = mkdtempSync(join(tmpdir(), "webpack-"));
try {
  makeProject(folder);
  const server = await serve(folder);
  const browser = await launchChromium();
  const tab = await browser.newPage();
  tab.on("pageerror", ({ message }) => console.error(message));
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  const { ours, theirs } = await tab.evaluate("result");
  await browser.close();
  server.close();
  const file = readFileSync(join(root, "test/fixtures/lenet5bn/output.npy"));
  const expected = new Float32Array(new Uint8Array(file.subarray(128)).buffer).slice(0, 10);
  const off = [ours, theirs].map((logits) =>
    Math.max(...expected.map((value, index) => Math.abs(value - logits[index]))),
  );
  console.log(`largest difference from PyTorch: addernet/runtime ${off[0]}, addernet/ort ${off[1]}`);
  if (!off.every((difference) => difference < 1e-3)) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
