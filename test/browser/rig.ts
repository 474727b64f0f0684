// A real browser over a small server of its own: pages bundled as an application would, and everything that went wrong in them.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";

export const root = join(import.meta.dirname, "../..");

export const chromiumPath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";
export const hasChromium = existsSync(chromiumPath);
export const skipReason = hasChromium ? "" : ` (skipped: no Chromium at ${chromiumPath}, set CHROMIUM_PATH)`;

/** WebGPU on machines without a graphics card. */
export const webgpuFlags = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

const quietFlags = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--enable-blink-features=ForceEagerMeasureMemory",
  "--js-flags=--expose-gc",
];

export function launchChromium(flags: readonly string[] = []): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumPath, args: [...quietFlags, ...flags] });
}

/** The sources under the names a user imports. */
const entries = {
  "addernet/runtime": join(root, "runtime/index.ts"),
  "addernet/converter": join(root, "converter/index.ts"),
  "addernet/profile": join(root, "runtime/profile/index.ts"),
  "addernet/ort": join(root, "src/ort.ts"),
};

/** One script of `test/browser/pages`, bundled from the sources. */
export async function bundlePage(name: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "pages", name)],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    alias: entries,
    absWorkingDir: root,
    logLevel: "error",
  });
  return outputFiles[0]!.text;
}

export interface Site {
  /** Answers by path, for what is not in the folders. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Folders looked into for every other path, with the path they are seen under. */
  readonly folders?: Readonly<Record<string, string>>;
  /** Sends the headers that make a page cross-origin isolated. */
  readonly isolated?: boolean;
}

const mediaTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
};

const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

async function contentOf(
  path: string,
  { files = {}, folders = {} }: Site,
): Promise<string | Uint8Array | undefined> {
  const given = files[path];
  if (given !== undefined) return given;
  for (const [prefix, folder] of Object.entries(folders)) {
    if (!path.startsWith(prefix)) continue;
    const found = await readFile(join(folder, normalize(`/${path.slice(prefix.length)}`))).catch(
      () => undefined,
    );
    if (found !== undefined) return found;
  }
  return path === "/favicon.ico" ? "" : undefined;
}

async function answer(path: string, site: Site, response: ServerResponse): Promise<void> {
  const content = await contentOf(path, site);
  const type = mediaTypes[extname(path)] ?? "application/octet-stream";
  response.writeHead(content === undefined ? 404 : 200, {
    "Content-Type": type,
    ...(site.isolated && isolation),
  });
  response.end(content);
}

export interface Served {
  readonly origin: string;
  close(): Promise<void>;
}

export async function serve(site: Site): Promise<Served> {
  const server = createServer((request, response) => {
    void answer(new URL(request.url ?? "/", "http://page").pathname, site, response);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((closed) => {
      server.close(() => closed());
      server.closeAllConnections();
    });
  return { origin: `http://127.0.0.1:${port}`, close };
}

export interface Opened {
  readonly page: Page;
  /** Errors and warnings of the page, and requests that left its server: a good page has none. */
  readonly faults: readonly string[];
}

export async function openPage(browser: Browser, origin: string, path = "/page.html"): Promise<Opened> {
  const page = await browser.newPage();
  const faults: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`uncaught: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !/^(blob|data):/.test(url)) faults.push(`request: ${url}`);
  });
  await page.goto(`${origin}${path}`, { waitUntil: "load" });
  return { page, faults };
}
