// What runs on another machine with Node alone: bundled with everything it needs into one text (scripts/build-board.mjs). The task and
// the model are in a global when it starts.

import { writeFileSync } from "node:fs";
import { sectionsOf } from "../../../runtime/profile/index.ts";
import { AdderNetError, exitCodes } from "../../core/errors.ts";
import { printableText } from "../printable.ts";
import { textTable } from "../text-table.ts";
import { profileHere } from "./here.ts";
import { reportMarker } from "./markers.ts";
import type { ProfileTask, Tell } from "./task.ts";

interface Carried {
  readonly task: ProfileTask;
  /** Bytes, or the same in base64. */
  readonly model: Uint8Array | string;
  /** Whether another machine reads along. */
  readonly isRemote: boolean;
}

const { task, model, isRemote } = (globalThis as unknown as { addernetProfile: Carried }).addernetProfile;

let [toldPhase, toldAt] = ["", 0];

/** A line per phase, and now and then within one. */
const tell: Tell = (phase, done, total) => {
  const now = performance.now();
  if (phase === toldPhase && now - toldAt < (isRemote ? 500 : 5000)) return;
  [toldPhase, toldAt] = [phase, now];
  process.stderr.write(total > 1 ? `${phase} ${done}/${total}\n` : `${phase}\n`);
};

async function profileCarried(): Promise<void> {
  const bytes = typeof model === "string" ? new Uint8Array(Buffer.from(model, "base64")) : model;
  const report = await profileHere(bytes, task, {}, tell);
  const json = JSON.stringify(report, null, 2);
  const file = process.argv[2];
  if (isRemote) process.stdout.write(`\n${reportMarker}\n${JSON.stringify(report)}\n`);
  else if (file === undefined) process.stdout.write(`${json}\n`);
  else {
    writeFileSync(file, `${json}\n`);
    const tables = sectionsOf(report).map(({ title, head, rows }) =>
      [title, textTable(head === null ? rows : [head, ...rows], { head: head !== null })].join("\n"),
    );
    process.stdout.write(`${printableText(tables.join("\n\n"))}\n\nreport: ${file}\n`);
  }
}

try {
  await profileCarried();
} catch (error) {
  const isKnown = error instanceof AdderNetError;
  process.stderr.write(
    isKnown ? `error ${error.code}: ${error.message}\n` : `error: ${(error as Error).stack}\n`,
  );
  process.exitCode = isKnown ? exitCodes[error.code] : 1;
}
if (isRemote) process.stdin.destroy();
