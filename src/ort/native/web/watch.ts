// Sees onnxruntime-web start: its WebAssembly is instantiated with a table that can grow, and kept in sight until a session asks for it.
// Whatever else a page instantiates goes through as it is.

import { listeningModule, withGrowingTable } from "./wasm-bytes.ts";

/** The key of the session option by which a session asks for our ops. */
export const configKey = "addernet.native";

/** An instance that may be onnxruntime's. */
export interface SeenInstance {
  readonly instance: WebAssembly.Instance;
  readonly memory: WebAssembly.Memory;
  /** Called with session options and the address of a value where such options get an entry of our key; answers a code, 0 for fine. */
  onEntry?: (options: number, value: number) => number;
}

const keyBytes = new TextEncoder().encode(`${configKey}\0`);

function isOurKey({ buffer }: WebAssembly.Memory, address: number): boolean {
  if (address + keyBytes.length > buffer.byteLength) return false;
  const bytes = new Uint8Array(buffer, address, keyBytes.length);
  return keyBytes.every((byte, index) => bytes[index] === byte);
}

const notForUs = -1;

/**
 * The exports of an instance, those of three words and an answer with an ear: one of them, whatever its name is, adds an entry to session
 * options.
 */
function listeningExports(seen: SeenInstance): WebAssembly.Exports {
  const module = new WebAssembly.Module(listeningModule());
  const listen = (options: number, key: number, value: number): number => {
    if (seen.onEntry === undefined || !isOurKey(seen.memory, key >>> 0)) return notForUs;
    return seen.onEntry(options >>> 0, value >>> 0);
  };
  const exports: Record<string, WebAssembly.ExportValue> = { ...seen.instance.exports };
  for (const [name, value] of Object.entries(exports)) {
    if (typeof value !== "function" || value.length !== 3) continue;
    try {
      exports[name] = new WebAssembly.Instance(module, { o: { f: value, listen } }).exports.f!;
    } catch {
      // Another kind of parameters or answer.
    }
  }
  return exports;
}

interface Watch {
  readonly seen: SeenInstance[];
  /** Why binaries with onnxruntime's kind of memory were left as they are. */
  readonly refusals: string[];
  /** Those who wait for an onnxruntime. */
  waiting: number;
  readonly restore: () => void;
}

let watch: Watch | undefined;

/** The shared memory among the imports, as all builds of onnxruntime-web have one. */
function sharedMemoryIn(imports: WebAssembly.Imports | undefined): WebAssembly.Memory | undefined {
  if (typeof SharedArrayBuffer !== "function" && typeof WebAssembly.Memory !== "function") return undefined;
  for (const module of Object.values(imports ?? {})) {
    for (const value of Object.values(module)) {
      if (!(value instanceof WebAssembly.Memory)) continue;
      if (Object.prototype.toString.call(value.buffer) === "[object SharedArrayBuffer]") return value;
    }
  }
  return undefined;
}

function bytesOf(source: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (!ArrayBuffer.isView(source) || !(source.buffer instanceof ArrayBuffer)) return undefined;
  return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
}

type Instantiate = (source: unknown, imports?: WebAssembly.Imports) => Promise<unknown>;

/** Instantiates bytes with a growing table where they are onnxruntime's; undefined where they are something else. */
async function instantiateGrowing(
  { seen, refusals }: Watch,
  original: Instantiate,
  bytes: Uint8Array<ArrayBuffer>,
  imports: WebAssembly.Imports,
  memory: WebAssembly.Memory,
): Promise<WebAssembly.WebAssemblyInstantiatedSource | undefined> {
  const patched = withGrowingTable(bytes);
  if (patched === undefined) {
    refusals.push("its WebAssembly has another kind of function table");
    return undefined;
  }
  try {
    const { instance, module } = (await original(
      patched,
      imports,
    )) as WebAssembly.WebAssemblyInstantiatedSource;
    const found: SeenInstance = { instance, memory };
    const exports = listeningExports(found);
    seen.push(found);
    return { module, instance: { exports } };
  } catch (error) {
    refusals.push(`its WebAssembly does not start with a growing table: ${String(error)}`);
    return undefined;
  }
}

function startWatch(): Watch {
  const { instantiate, instantiateStreaming } = WebAssembly;
  const original: Instantiate = (source, imports) =>
    (instantiate as unknown as Instantiate).call(WebAssembly, source, imports);

  async function seeingInstantiate(source: unknown, imports?: WebAssembly.Imports): Promise<unknown> {
    const [memory, bytes] = [sharedMemoryIn(imports), bytesOf(source)];
    if (started.waiting > 0 && memory !== undefined && bytes !== undefined) {
      const result = await instantiateGrowing(started, original, bytes, imports!, memory);
      if (result !== undefined) return result;
    }
    return original(source, imports);
  }
  async function seeingStreaming(source: unknown, imports?: WebAssembly.Imports): Promise<unknown> {
    const response = (await source) as Response;
    const memory = sharedMemoryIn(imports);
    if (started.waiting > 0 && memory !== undefined && response.ok) {
      // Behind this all is done on the bytes: a body can be read once.
      return seeingInstantiate(await response.arrayBuffer(), imports);
    }
    return (instantiateStreaming as Instantiate).call(WebAssembly, response, imports);
  }
  const started: Watch = {
    seen: [],
    refusals: [],
    waiting: 0,
    restore() {
      // Someone may have put a function of theirs around ours: that then goes through it, to no effect.
      if (WebAssembly.instantiate === seeing.instantiate) WebAssembly.instantiate = instantiate;
      if (WebAssembly.instantiateStreaming === seeing.streaming) {
        WebAssembly.instantiateStreaming = instantiateStreaming;
      }
    },
  };
  const seeing = {
    instantiate: seeingInstantiate as unknown as typeof WebAssembly.instantiate,
    streaming: seeingStreaming as unknown as typeof WebAssembly.instantiateStreaming,
  };
  WebAssembly.instantiate = seeing.instantiate;
  if (typeof instantiateStreaming === "function") WebAssembly.instantiateStreaming = seeing.streaming;
  return started;
}

/** From now on an onnxruntime-web that starts is seen, until as many as ask here have called `endWatch`. */
export function beginWatch(): void {
  if (typeof WebAssembly !== "object") return;
  watch ??= startWatch();
  watch.waiting++;
}

export function endWatch(): void {
  if (watch === undefined || --watch.waiting > 0) return;
  watch.restore();
  watch = undefined;
}

/** Instances seen so far, and why others were not taken. */
export function seenInstances(): Pick<Watch, "seen" | "refusals"> {
  return watch ?? { seen: [], refusals: [] };
}
