// Which versions of the standard ops the project understands.

import { AdderNetError } from "../errors.ts";
import type { Model } from "../ir/model.ts";

/** Opsets of the standard domain that are accepted; 11 to 23 are tested. */
export const opsetRange = { first: 7, last: 26 } as const;

/** Throws ADN_OPSET unless the model and its functions import the standard ops in a version of `opsetRange`, or not at all. */
export function checkOpset(model: Model): void {
  const places = [
    { where: "model", imports: model.opsetImports },
    ...model.functions.map(({ domain, name, opsetImports }) => ({
      where: `function ${domain}::${name}`,
      imports: opsetImports,
    })),
  ];
  for (const { where, imports } of places) {
    const version = imports.get("");
    if (version === undefined || (version >= opsetRange.first && version <= opsetRange.last)) continue;
    throw new AdderNetError("ADN_OPSET", "this opset is not supported", {
      where,
      expected: `${opsetRange.first} to ${opsetRange.last}`,
      found: `${version}`,
      fix: "export again with opset_version=17",
    });
  }
}
