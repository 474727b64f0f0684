// A temporary folder per test file.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";

export interface TestFolder {
  readonly path: string;
  /** Writes a file below the folder and answers its path. */
  readonly write: (name: string, content: Uint8Array | string) => string;
}

export function testFolder(): TestFolder {
  const path = mkdtempSync(join(tmpdir(), "addernet-test-"));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  const write = (name: string, content: Uint8Array | string): string => {
    const file = join(path, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  };
  return { path, write };
}
