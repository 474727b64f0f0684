// The way of the data is the way of the folders: who may import whom.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");

const mayImport: Record<string, readonly string[]> = {
  "src/core": [],
  "custom-ops": ["src/core"],
  converter: ["src/core", "custom-ops"],
  runtime: ["src/core", "custom-ops"],
  "src/train": ["src/core", "custom-ops"],
  src: ["src/core", "src/train", "custom-ops", "converter", "runtime"],
};

/** Only these may use Node's own modules: everything else also runs in browsers. */
const nodeOnly = ["src/cli/"];

const typescriptFiles = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.includes("generated/") && !file.includes("assembly/"))
    .map((file) => join(folder, file));

const unitOf = (file: string): string =>
  ["src/core", "src/train", "custom-ops", "converter", "runtime", "src"].find((unit) =>
    file.startsWith(`${unit}/`),
  )!;

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/(?:from|import\()\s*"([^"]+)"/g)].map((match) => match[1]!);
}

const files = ["src", "custom-ops", "converter", "runtime"].flatMap(typescriptFiles);

function forbidden(file: string): string[] {
  const own = unitOf(file);
  return importsOf(file)
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => unitOf(relative(root, resolve(root, dirname(file), specifier))))
    .filter((unit) => unit !== own && !mayImport[own]!.includes(unit))
    .map((unit) => `${file} imports ${unit}`);
}

function cycles(): string[] {
  const graph = new Map(
    files.map((file) => [
      file,
      importsOf(file)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => relative(root, resolve(root, dirname(file), specifier)))
        .filter((target) => files.includes(target)),
    ]),
  );
  const found: string[] = [];
  const state = new Map<string, "open" | "done">();
  const visit = (file: string, path: string[]): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open") {
      found.push([...path.slice(path.indexOf(file)), file].join(" -> "));
      return;
    }
    state.set(file, "open");
    for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
    state.set(file, "done");
  };
  for (const file of files) visit(file, []);
  return found;
}

describe("architecture", () => {
  it("finds the source files", () => {
    expect(files.length).toBeGreaterThan(20);
  });
  it("keeps the import borders", () => {
    expect(files.flatMap(forbidden)).toEqual([]);
  });
  it("has no import cycles", () => {
    expect(cycles()).toEqual([]);
  });
  it("keeps Node's modules out of what runs in browsers", () => {
    const offenders = files
      .filter((file) => !nodeOnly.some((folder) => file.startsWith(folder)))
      .flatMap((file) =>
        importsOf(file)
          .filter((specifier) => specifier.startsWith("node:"))
          .map((specifier) => `${file} imports ${specifier}`),
      );
    expect(offenders).toEqual([]);
  });
  it("keeps protobuf inside the codec", () => {
    const offenders = files.filter(
      (file) =>
        !file.startsWith("src/core/onnx/") &&
        importsOf(file).some((name) => name.includes("onnx/generated/")),
    );
    expect(offenders).toEqual([]);
  });
});
