// The packed package in an empty project: what is in it, Node, types under both resolutions, a page made by Vite. Runs what was built.

import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";

const root = resolve(import.meta.dirname, "..");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const project = mkdtempSync(join(tmpdir(), "addernet-project-"));
const network = join(root, "test/fixtures/lenet5bn/lenet5bn.inlined.onnx");

function run(program: string, argv: readonly string[], cwd = project): string {
  const { status, stdout, stderr } = spawnSync(program, argv, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${argv.join(" ")}\n${stdout}${stderr}`);
  return stdout;
}

/** A file of a program in our own node_modules: the project itself has only the package. */
const tool = (path: string) => join(root, "node_modules", path);

let packed: readonly string[];

beforeAll(() => {
  const [{ filename, files }] = JSON.parse(
    run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", project], root),
  ) as [{ filename: string; files: { path: string }[] }];
  packed = files.map(({ path }) => path);
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ name: "user", private: true, type: "module" }),
  );
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--omit=peer", `./${filename}`]);
}, 120_000);
afterAll(() => rmSync(project, { recursive: true, force: true }));

describe("the packed package", () => {
  it("holds what was built and the words that go with it", () => {
    const outside = packed.filter((path) => !path.startsWith("dist/"));
    expect(outside.sort()).toEqual(["LICENSE", "README.md", "package.json"]);
    expect(
      packed.filter((path) => /\.test\.|fixtures|generated\/.*\.onnx|\.(pth|npy|tgz|env)$/.test(path)),
    ).toEqual([]);
    expect(packed).toContain("dist/src/cli/main.js");
  });

  it("brings nothing along", () => {
    expect(manifest.dependencies ?? {}).toEqual({});
    const installed = readdirSync(join(project, "node_modules")).filter((name) => !name.startsWith("."));
    expect(installed).toEqual(["addernet"]);
  });

  it("has every file its exports name", () => {
    for (const entry of Object.values(manifest.exports as Record<string, string | Record<string, string>>)) {
      for (const path of typeof entry === "string" ? [entry] : Object.values(entry)) {
        const name = path.replace("./", "");
        expect(packed).toContain(name);
      }
    }
  });
});

const program = `
import { AdderNetError, convert } from "addernet";
import { readCheckpoint } from "addernet/converter";
import { ops } from "addernet/ops";
import { adderNetEp } from "addernet/ort";
import { createSession } from "addernet/runtime";

export async function classify(exported) {
  const { bytes, report } = await convert(exported, { check: false });
  const session = await createSession(bytes);
  const x = { type: "float32", data: new Float32Array(784).fill(0.5), dims: [1, 1, 28, 28] };
  const { output } = await session.run({ [session.inputNames[0]]: x });
  await session.dispose();
  const known = [ops.get("addernet", "Adder2d"), adderNetEp().name, readCheckpoint, AdderNetError];
  return { layers: report.layers.length, classes: output.dims[1], finite: output.data.every(Number.isFinite), known: known.length };
}
`;
const wanted = { layers: 5, classes: 10, finite: true, known: 4 };

it("runs in Node", () => {
  const main = `${program}
import { readFileSync } from "node:fs";
console.log(JSON.stringify(await classify(readFileSync(${JSON.stringify(network)}))));`;
  writeFileSync(join(project, "main.js"), main);
  expect(JSON.parse(run(process.execPath, ["main.js"]))).toEqual(wanted);
  const help = run(process.execPath, [join("node_modules", ".bin", "addernet"), "--version"]);
  expect(help.trim()).toBe(manifest.version);
});

const typed = `
import { type Converted, convert, type Tensor } from "addernet";
import type { ConvertReport } from "addernet/converter";
import { ops } from "addernet/ops";
import { adderNetEp, registerAdderNet } from "addernet/ort";
import { createSession, type Session } from "addernet/runtime";

export async function run(bytes: Uint8Array): Promise<Tensor> {
  const made: Converted = await convert(bytes);
  const report: ConvertReport = made.report;
  const session: Session = await createSession(made.bytes, { threads: "auto", memory: 2 ** 26 });
  const answers = await session.run({ x: { type: "float32", data: new Float32Array(4), dims: [1, 4] } });
  // @ts-expect-error a session has no such option
  await createSession(made.bytes, { thread: 1 });
  return answers[report.layers[0]!.layer]!;
}
export const names = [ops.get("addernet", "Adder2d")?.opType, adderNetEp().name, typeof registerAdderNet];
`;

test.each([
  ["nodenext", "nodenext"],
  ["bundler", "esnext"],
])("its types are found under moduleResolution %s", (moduleResolution, module) => {
  const folder = join(project, moduleResolution);
  mkdirSync(folder);
  writeFileSync(join(folder, "use.ts"), typed);
  const compilerOptions = {
    ...{ module, moduleResolution, target: "es2022", lib: ["es2022", "dom"], types: [] },
    ...{ strict: true, noEmit: true, skipLibCheck: false, exactOptionalPropertyTypes: true },
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.ts"] }));
  expect(run(process.execPath, [tool("typescript/bin/tsc"), "-p", folder])).toBe("");
});

it("is bundled for a page by Vite, whole", async () => {
  const page = join(project, "page");
  mkdirSync(page);
  symlinkSync(join(project, "node_modules"), join(page, "node_modules"));
  writeFileSync(join(page, "index.html"), '<!doctype html><script type="module" src="/main.js"></script>');
  writeFileSync(join(page, "main.js"), `${program}\nglobalThis.classify = classify;\n`);
  writeFileSync(
    join(page, "vite.config.js"),
    'export default { build: { target: "es2022", modulePreload: false, minify: false } };',
  );
  const told = run(process.execPath, [tool("vite/bin/vite.js"), "build", page, "--logLevel", "warn"]);
  expect(told).not.toMatch(/warning|externalized/i);
  const assets = join(page, "dist", "assets");
  const [script] = readdirSync(assets).filter((name) => /^index.*\.js$/.test(name));
  await import(/* @vite-ignore */ pathToFileURL(join(assets, script!)).href);
  const { classify } = globalThis as unknown as { classify: (bytes: Uint8Array) => Promise<unknown> };
  expect(await classify(readFileSync(network))).toEqual(wanted);
});
