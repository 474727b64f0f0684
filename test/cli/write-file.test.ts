// Output files: what is refused before work starts, and that nothing half written is ever left.

import { chmodSync, linkSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  checkOutput,
  discardPending,
  pendingPath,
  removePendingFiles,
  writeFiles,
} from "../../src/cli/write-file.ts";
import type { AdderNetError } from "../../src/core/errors.ts";
import { testFolder } from "./folder.ts";

const folder = testFolder();

function refusal(path: string, inputs: readonly string[] = []): string {
  try {
    checkOutput(path, inputs);
  } catch (error) {
    expect((error as AdderNetError).code).toBe("ADN_FILE");
    return (error as AdderNetError).message;
  }
  throw new Error("nothing was refused");
}

describe("checked before the work", () => {
  const input = folder.write("in.onnx", "model");
  symlinkSync(input, join(folder.path, "link.onnx"));
  linkSync(input, join(folder.path, "same.onnx"));

  // biome-ignore format: a table
  it.each([
    ["a folder that is not there", join(folder.path, "none", "out.onnx"), /folder .*none does not exist/],
    ["a folder", folder.path, /it is a folder/],
    ["a device", "/dev/null", /not a regular file/],
    ["the input", input, /would overwrite the input/],
    ["the input behind a link", join(folder.path, "link.onnx"), /would overwrite the input/],
    ["the input under its other name", join(folder.path, "same.onnx"), /would overwrite the input/],
  ])("%s", (_name, path, message) => {
    expect(refusal(path, [input])).toMatch(message);
  });

  it.skipIf(process.getuid?.() === 0)("a folder that cannot be written to (not as root)", () => {
    const closed = join(folder.write("closed/x", ""), "..");
    chmodSync(closed, 0o555);
    expect(refusal(join(closed, "out.onnx"))).toMatch(/cannot be written/);
    chmodSync(closed, 0o755);
  });

  it("a new file and an old one are accepted", () => {
    checkOutput(join(folder.path, "new.onnx"), [input]);
    checkOutput(folder.write("old.onnx", "old"), [input]);
  });
});

describe("writing", () => {
  it("writes several files and leaves nothing else", () => {
    const { path } = folder;
    const names = () => readdirSync(path).filter((name) => name.includes("tmp"));
    writeFiles([
      { path: join(path, "a.data"), bytes: Uint8Array.of(1, 2) },
      { path: join(path, "a.onnx"), bytes: "text" },
    ]);
    expect(readFileSync(join(path, "a.data"))).toEqual(Buffer.from([1, 2]));
    expect(readFileSync(join(path, "a.onnx"), "utf8")).toBe("text");
    expect(names()).toEqual([]);
  });

  it("writes through a link and keeps the link", () => {
    const target = folder.write("target.bin", "old");
    const link = join(folder.path, "link.bin");
    symlinkSync(target, link);
    writeFiles([{ path: link, bytes: "new" }]);
    expect(readFileSync(target, "utf8")).toBe("new");
  });

  it("writes none when one cannot be written", () => {
    const kept = folder.write("kept.bin", "old");
    const missing = join(folder.path, "nowhere", "b.bin");
    expect(() =>
      writeFiles([
        { path: kept, bytes: "new" },
        { path: missing, bytes: "new" },
      ]),
    ).toThrow();
    expect(readFileSync(kept, "utf8")).toBe("old");
    expect(readdirSync(folder.path).filter((name) => name.includes("tmp"))).toEqual([]);
  });

  it("an interruption removes what was not finished", () => {
    const half = pendingPath(folder.path, "half.bin");
    folder.write(half.slice(folder.path.length + 1), "half");
    removePendingFiles();
    expect(statSync(half, { throwIfNoEntry: false })).toBeUndefined();
    discardPending(half);
  });
});
