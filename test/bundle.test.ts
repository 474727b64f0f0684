// What a page loads: size of the entries as a bundler makes them, and nothing inside that a page may not have.

import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");

/** What a page names of an entry, and the kilobytes of a thousand bytes that it may cost gzipped. */
const limits = [
  { entry: "runtime", what: "whole", names: "*", kilobytes: 80 },
  {
    entry: "converter",
    what: "as the demo's page that converts files takes it",
    names: "{ buildModel, convert, guessArchitectures, listArchitectures, readCheckpoint, runReference }",
    kilobytes: 110,
  },
  { entry: "converter", what: "whole, with what quantizes and adderizes", names: "*", kilobytes: 123 },
  { entry: "runtime/profile", what: "whole", names: "*", kilobytes: 110 },
] as const;

interface Bundle {
  readonly code: string;
  /** What the bundle still asks for: with nothing marked as external, only what a browser cannot find. */
  readonly imports: readonly string[];
  readonly sources: readonly string[];
}

async function bundleOf(entry: string, names = "*"): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    stdin: { contents: `export ${names} from "./${entry}/index.ts";`, resolveDir: root },
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    outfile: "page.js",
    format: "esm",
    platform: "browser",
    legalComments: "none",
    external: ["node:*"],
  });
  const { imports, inputs } = metafile.outputs["page.js"]!;
  return {
    code: outputFiles[0]!.text,
    imports: imports.map(({ path }) => path),
    sources: Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
  };
}

it.each(limits)(
  "addernet/$entry, $what, is at most $kilobytes KB gzipped",
  async ({ entry, names, kilobytes }) => {
    const { code } = await bundleOf(entry, names);
    expect(gzipSync(code, { level: 9 }).length / 1000).toBeLessThanOrEqual(kilobytes);
  },
);

describe.each(["runtime", "converter", "runtime/profile"])("addernet/%s bundled for a page", (entry) => {
  const bundle = bundleOf(entry);
  it("imports nothing, of Node least of all", async () => {
    expect((await bundle).imports).toEqual([]);
  });
  it("evaluates no code, so that a strict content security policy can stay", async () => {
    const evaluation =
      /.{0,20}((?<![\w.$])(eval|Function)\s*\(|\b(globalThis|window|self)\.(eval|Function)\b).{0,20}/;
    const found = evaluation.exec((await bundle).code)?.[0];
    expect(found).toBeUndefined();
  });
});

describe("addernet/runtime bundled for a page", () => {
  it("carries the reader of ONNX bytes without the writer", async () => {
    const [runtime, converter] = [await bundleOf("runtime"), await bundleOf("converter")];
    const wire = (sources: readonly string[]) =>
      sources
        .map((path) => path.replace("src/core/onnx/", ""))
        .filter((path) => /read-wire|write-wire/.test(path));
    expect(wire(runtime.sources)).toEqual(["read-wire.ts"]);
    expect(wire(converter.sources).sort()).toEqual(["read-wire.ts", "write-wire.ts"]);
  });
});
