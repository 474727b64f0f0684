// A folder with one sub-folder per class, each holding PNG files, as samples. Classes are numbered in name order.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AdderNetError } from "../../core/errors.ts";
import { decodePng, type Picture } from "./png.ts";
import { copyInterleaved, type Samples } from "./samples.ts";

interface Entry {
  readonly path: string;
  readonly label: number;
}

/** By code unit, as Python sorts the class folders of torchvision's ImageFolder. */
function namesIn(folder: string, kind: "folder" | "file"): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith(".") && (kind === "folder") === entry.isDirectory())
    .map(({ name }) => name)
    .sort((a, b) => (a < b ? -1 : 1));
}

function listImages(folder: string, classes: readonly string[]): Entry[] {
  const entries: Entry[] = [];
  for (const [label, name] of classes.entries()) {
    for (const file of namesIn(join(folder, name), "file")) {
      const path = join(folder, name, file);
      if (!/\.png$/i.test(file)) {
        throw new AdderNetError("ADN_DATA", "only PNG files are read", {
          where: path,
          fix: "convert the pictures to PNG, or give x.npy,y.npy",
        });
      }
      entries.push({ path, label });
    }
  }
  return entries;
}

/** Colour channels, alpha left out. */
function colours({ channels }: Picture): number {
  return channels >= 3 ? 3 : 1;
}

function readPicture(path: string): Picture {
  return decodePng(readFileSync(path), path);
}

/**
 * Errors: ADN_DATA. All pictures have the size and colours of the first one. `flat` also takes pictures that lie in the folder
 * itself, for who needs no labels.
 */
export function folderSamples(folder: string, { flat = false } = {}): Samples {
  const classes = namesIn(folder, "folder");
  const entries = listImages(folder, flat && classes.length === 0 ? ["."] : classes);
  if (entries.length === 0) {
    throw new AdderNetError("ADN_DATA", "no pictures found", {
      where: folder,
      expected: flat ? "PNG files, or sub-folders of them" : "one sub-folder per class, holding PNG files",
    });
  }
  const first = readPicture(entries[0]!.path);
  const shape = [colours(first), first.height, first.width] as const;
  return {
    name: folder,
    count: entries.length,
    shape,
    kind: "pixels",
    classes,
    label: (index) => entries[index]!.label,
    read: (index, target, offset) => {
      const { path } = entries[index]!;
      const picture = readPicture(path);
      const found = [colours(picture), picture.height, picture.width];
      if (found.join() !== shape.join()) {
        throw new AdderNetError("ADN_DATA", "the picture differs from the first one in size or colours", {
          where: path,
          expected: `${shape.join("x")} (channels, height, width)`,
          found: found.join("x"),
        });
      }
      copyInterleaved(picture.data, 0, shape, target, offset, picture.channels);
    },
  };
}
