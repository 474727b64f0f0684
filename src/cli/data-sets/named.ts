// The fetched data sets as samples.

import { gunzipSync } from "node:zlib";
import { AdderNetError } from "../../core/errors.ts";
import { readDataFile } from "./cache.ts";
import { type DataSet, type DataSetName, dataSets, type Split } from "./catalogue.ts";
import { decodeIdx } from "./idx.ts";
import { decodePng } from "./png.ts";
import { copyInterleaved, type Samples } from "./samples.ts";

/** Reads one file of the set, its hash checked. */
type ReadFile = (file: string) => Uint8Array;

type Images = Pick<Samples, "count" | "shape" | "read"> & { readonly labels: ArrayLike<number> };

function idxImages({ splits }: DataSet, split: Split, read: ReadFile): Images {
  const [imageFile, labelFile] = [splits[split].images[0]!, splits[split].labels];
  const { dims, data } = decodeIdx(read(imageFile), imageFile);
  const labels = decodeIdx(read(labelFile), labelFile).data;
  const [count, height, width] = dims as [number, number, number];
  const length = height * width;
  return {
    count,
    shape: [1, height, width],
    labels,
    read: (index, target, offset) => target.set(data.subarray(index * length, (index + 1) * length), offset),
  };
}

/** Every row of a PNG is one image, its pixels in reading order. */
function pngRowImages({ splits }: DataSet, split: Split, read: ReadFile): Images {
  const side = 32;
  const pictures = splits[split].images.map((file) => decodePng(read(file), file));
  const labelFile = splits[split].labels;
  const labels = JSON.parse(new TextDecoder().decode(read(labelFile))) as number[];
  const perPicture = pictures[0]!.height;
  const wrong = pictures.find(
    ({ width, height, channels }) => width !== side * side || channels !== 3 || height !== perPicture,
  );
  if (wrong)
    throw new AdderNetError("ADN_DATA", "the picture is not one image per row", { where: labelFile });
  return {
    count: perPicture * pictures.length,
    shape: [3, side, side],
    labels,
    read: (index, target, offset) => {
      const { data } = pictures[Math.floor(index / perPicture)]!;
      copyInterleaved(data, (index % perPicture) * side * side * 3, [3, side, side], target, offset);
    },
  };
}

const readers: Readonly<Record<DataSet["format"], (set: DataSet, split: Split, read: ReadFile) => Images>> = {
  idx: idxImages,
  "idx.gz": (set, split, read) => idxImages(set, split, (file) => gunzipSync(read(file))),
  "png-rows": pngRowImages,
};

/** One split of a fetched data set. Errors: ADN_DATA. */
export function namedSamples(name: DataSetName, split: Split, cache: string): Samples {
  const set = dataSets[name];
  const images = readers[set.format](set, split, (file) => readDataFile(name, file, cache));
  if (images.labels.length !== images.count) {
    throw new AdderNetError("ADN_DATA", "images and labels differ in number", {
      where: name,
      expected: `${images.count}`,
      found: `${images.labels.length}`,
    });
  }
  const { count, shape, read, labels } = images;
  return {
    name: `${name}:${split}`,
    count,
    shape,
    kind: "pixels",
    label: (index) => labels[index]!,
    read,
    classes: set.classes,
    mean: set.mean,
    std: set.std,
  };
}
