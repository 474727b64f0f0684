// npm run demo: builds the demo and serves it on this machine. --port N (default 8080), --no-isolation leaves the headers for threads out.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { parseArgs } from "node:util";
import { buildDemo } from "./build.mjs";

function readOptions() {
  const options = {
    port: { type: "string", default: "8080" },
    "no-isolation": { type: "boolean", default: false },
  };
  try {
    const { values } = parseArgs({ options });
    if (/^\d+$/.test(values.port) && Number(values.port) < 65536) return values;
    throw new Error(`--port takes a number from 0 to 65535, not ${values.port}`);
  } catch ({ message }) {
    console.error(message);
    process.exit(2);
  }
}

const values = readOptions();
const folder = join(import.meta.dirname, "dist");

const mediaTypes = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
};

const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

async function answer(request, response) {
  const { pathname } = new URL(request.url, "http://page");
  const name = pathname === "/" ? "/index.html" : pathname;
  try {
    const content = await readFile(join(folder, name));
    const headers = { "Cache-Control": "no-cache", ...(!values["no-isolation"] && isolation) };
    response.writeHead(200, {
      "Content-Type": mediaTypes[extname(name)] ?? "application/octet-stream",
      ...headers,
    });
    response.end(content);
  } catch {
    response.writeHead(404).end("not found");
  }
}

await buildDemo(folder);
const server = createServer(answer);
server.on("error", ({ code, message }) => {
  console.error(code === "EADDRINUSE" ? `port ${values.port} is taken: pass --port N` : message);
  process.exitCode = 1;
});
server.listen(Number(values.port), "127.0.0.1", () => {
  console.log(`the demo is at http://localhost:${server.address().port}/ (Ctrl+C ends it)`);
});
