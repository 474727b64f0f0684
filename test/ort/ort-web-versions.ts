// The releases of onnxruntime-web that tests run with: the installed one, and older ones where scripts/fetch-ort-web.mjs has put them.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const folder = resolve(import.meta.dirname, "../../.cache/onnxruntime-web");

const older = ["1.19.2", "1.22.0", "1.25.1"].map((version) => {
  const ort = join(folder, version, "node_modules/onnxruntime-web/dist/ort.node.min.mjs");
  const isThere = existsSync(ort);
  return {
    version,
    ort,
    isThere,
    threadCounts: [2],
    note: isThere ? "" : " (skipped: npm run fetch:ort-web gets it)",
  };
});

export const ortWebVersions = [
  { version: "as installed", ort: "onnxruntime-web", isThere: true, threadCounts: [1, 2], note: "" },
  ...older,
];
