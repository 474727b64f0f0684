// The files a report is written to.

import { basename } from "node:path";
import { checkOutput, type OutputFile, writeFiles } from "../write-file.ts";

export type OutputKind = "html" | "md" | "trace" | "json";

/** A path, or true for a name of our own. */
export type AskedOutputs = Readonly<Partial<Record<OutputKind, string | true>>>;

const endings: Readonly<Record<OutputKind, string>> = {
  html: ".html",
  md: ".md",
  trace: ".trace.json",
  json: ".json",
};

/** profile_net_20260102T030405Z.html */
function ownName(kind: OutputKind, model: string, made: Date): string {
  const time = made.toISOString().replace(/[-:]|\.\d+/g, "");
  return `profile_${basename(model).replace(/\.\w+$/, "")}_${time}${endings[kind]}`;
}

/** Where everything goes; every place is checked before the long work. */
export function planOutputs(
  asked: AskedOutputs,
  model: string,
  inputs: readonly string[],
): Map<OutputKind, string> {
  const made = new Date();
  const planned = new Map<OutputKind, string>();
  for (const [kind, given] of Object.entries(asked) as [OutputKind, string | true | undefined][]) {
    if (given === undefined) continue;
    const path = given === true ? ownName(kind, model, made) : given;
    checkOutput(path, inputs);
    planned.set(kind, path);
  }
  return planned;
}

export function writeOutputs(
  planned: ReadonlyMap<OutputKind, string>,
  make: Readonly<Record<OutputKind, () => string>>,
): void {
  writeFiles([...planned].map(([kind, path]): OutputFile => ({ path, bytes: make[kind]() })));
}
