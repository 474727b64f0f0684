// `--data` as the user writes it: a data set's name, a folder of pictures, or two .npy files.

import { readFileSync, statSync } from "node:fs";
import { AdderNetError } from "../../core/errors.ts";
import { nearest } from "../nearest.ts";
import { decodeNpy } from "../npy.ts";
import { arraySamples } from "./arrays.ts";
import { type DataSetName, dataSets, type Split } from "./catalogue.ts";
import { folderSamples } from "./folder.ts";
import { namedSamples } from "./named.ts";
import type { Samples } from "./samples.ts";

export function isDataSetName(name: string): name is DataSetName {
  return Object.hasOwn(dataSets, name);
}

function openArrays(given: string): Samples {
  const [images, labels, ...more] = given.split(",") as [string, string | undefined];
  if (labels === undefined || more.length > 0) {
    throw new AdderNetError("ADN_DATA", "images without labels", {
      where: given,
      fix: "give both files: --data images.npy,labels.npy",
    });
  }
  const read = (path: string) => decodeNpy(readFileSync(path), path);
  return arraySamples(read(images), read(labels), [images, labels]);
}

/** Images without labels: what `openSamples` takes, one .npy file, or a folder of pictures. Labels, if any, are not to be read. */
export function openUnlabelled(given: string, cache: string): Samples {
  if (/\.npy$/i.test(given) && !given.includes(",")) {
    const images = decodeNpy(readFileSync(given), given);
    const count = images.dims[0] ?? 0;
    return {
      ...arraySamples(images, { type: "uint8", data: new Uint8Array(count), dims: [count] }, [given, given]),
      name: given,
    };
  }
  if (!isDataSetName(given) && statSync(given, { throwIfNoEntry: false })?.isDirectory()) {
    return folderSamples(given, { flat: true });
  }
  return openSamples(given, cache, "train");
}

/** `mnist`, `mnist:train`, `pictures/`, `x.npy,y.npy`. A bare name is the `usual` split. Errors: ADN_DATA, ADN_NPY, ADN_FILE. */
export function openSamples(given: string, cache: string, usual: Split = "test"): Samples {
  const [name, split] = given.split(":") as [string, string | undefined];
  if (isDataSetName(name) && (split === undefined || split === "train" || split === "test")) {
    return namedSamples(name, (split ?? usual) as Split, cache);
  }
  if (statSync(given, { throwIfNoEntry: false })?.isDirectory()) return folderSamples(given);
  if (/\.npy(,|$)/i.test(given)) return openArrays(given);
  const near = nearest(name, Object.keys(dataSets));
  throw new AdderNetError("ADN_DATA", `there is no data set "${given}"`, {
    expected: `${Object.keys(dataSets).join(", ")} (with :train or :test), a folder of pictures, or images.npy,labels.npy`,
    ...(near && { fix: `did you mean ${near}?` }),
  });
}
