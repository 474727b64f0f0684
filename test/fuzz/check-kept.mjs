// Checks every case of kept.json. Says which fail, and why.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { kinds } from "./kinds.mjs";

const kept = JSON.parse(readFileSync(join(import.meta.dirname, "kept.json"), "utf8"));
/** Files are kept as base64 of their bytes. */
const readCase = (one) => ({ ...one, bytes: Buffer.from(one.base64, "base64") });

let failed = 0;
for (const { why, kind, case: one } of kept) {
  const { check } = await kinds[kind].load();
  try {
    await check(one.base64 === undefined ? one : { kind, seed: 0, ...readCase(one) });
  } catch (error) {
    failed++;
    process.stdout.write(`${kind}: ${why}: ${error.message}\n`);
  }
}
process.exit(failed === 0 ? 0 : 1);
