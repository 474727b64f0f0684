// The model argument of onnxruntime's `InferenceSession.create`: bytes, a path or a URL, with external data beside it.

import { AdderNetError } from "../core/errors.ts";

/** onnxruntime's `externalData` session option. */
export type ExternalDataOption = readonly (
  | string
  | { readonly path: string; readonly data: string | Uint8Array | ArrayBuffer | Blob }
)[];

const isNode = typeof process !== "undefined" && Boolean(process.versions?.node);

interface FileSystem {
  readFile(path: string | URL): Promise<Uint8Array>;
}

async function readNodeFile(path: string): Promise<Uint8Array> {
  // Put together at run time so that bundlers for the browser leave the import alone.
  const builtin = ["node", "fs/promises"].join(":");
  const { readFile }: FileSystem = await import(/* @vite-ignore */ /* webpackIgnore: true */ builtin);
  return readFile(path.startsWith("file:") ? new URL(path) : path);
}

async function fetchBytes(url: string): Promise<Uint8Array> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

export async function readModelBytes(location: string): Promise<Uint8Array> {
  const isUrl = /^(https?|blob|data):/.test(location);
  try {
    return isNode && !isUrl ? await readNodeFile(location) : await fetchBytes(location);
  } catch (cause) {
    throw new AdderNetError("ADN_FILE", "the model cannot be read", { where: location, cause });
  }
}

/** Folder of a path or URL, with its last slash. */
function folderOf(location: string): string {
  return location.slice(0, location.lastIndexOf("/") + 1);
}

async function bytesOf(data: string | Uint8Array | ArrayBuffer | Blob): Promise<Uint8Array> {
  if (typeof data === "string") return readModelBytes(data);
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(await data.arrayBuffer());
}

/** The files of the `externalData` option by the location the model names. */
export async function readExternalData(option: ExternalDataOption = []): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const entry of option) {
    const path = typeof entry === "string" ? entry : entry.path;
    const bytes = typeof entry === "string" ? await readModelBytes(entry) : await bytesOf(entry.data);
    files.set(path.slice(path.lastIndexOf("/") + 1), bytes);
    files.set(path.replace(/^\.\//, ""), bytes);
  }
  return files;
}

/** Reads the external files a model names from the folder the model came from. */
export async function readBeside(
  modelLocation: string,
  locations: readonly string[],
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const location of locations)
    files.set(location, await readModelBytes(folderOf(modelLocation) + location));
  return files;
}
