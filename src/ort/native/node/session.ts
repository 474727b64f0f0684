// A session of libonnxruntime with our ops, behind the same face as one of onnxruntime-node.

import { dataTypeOfOnnx } from "../../../core/dtype.ts";
import { AdderNetError } from "../../../core/errors.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { readModelBytes } from "../../load-model.ts";
import type { OrtValueMetadata } from "../../ort-module.ts";
import type { NativeSession } from "../engine.ts";
import { answeredPointer, askOrt, callOrt } from "../ort-host.ts";
import type { NodeHost } from "./node-host.ts";
import {
  type Kept,
  keep,
  makeRunOptions,
  makeSessionOptions,
  type NodeSessionOptions,
} from "./session-options.ts";
import { ortValueOf, tensorOf } from "./values.ts";

/** What sessions of a process have in common. */
export interface Process {
  readonly host: NodeHost;
  readonly domain: number;
  /** OrtEnv and OrtMemoryInfo. */
  readonly env: number;
  readonly memory: number;
}

const warnings = 2;
const [deviceAllocator, defaultMemory] = [0, 0];

export function openProcess(host: NodeHost, domain: number): Process {
  const kept = keep(host);
  const env = askOrt(host, "CreateEnv", warnings, kept.text("addernet"));
  return { host, domain, env, memory: askOrt(host, "CreateCpuMemoryInfo", deviceAllocator, defaultMemory) };
}

/** The session for bytes, or for a path whose external data lies beside it. */
async function createSession(
  { host, env, domain }: Process,
  model: string | Uint8Array,
  given: NodeSessionOptions,
): Promise<number> {
  const kept = keep(host);
  const isUrl = typeof model === "string" && /^[a-z]{2,}:/i.test(model);
  const source = isUrl ? await readModelBytes(model) : model;
  const options = await makeSessionOptions(host, domain, given, kept);
  try {
    if (typeof source === "string") return askOrt(host, "CreateSession", env, kept.path(source), options);
    const bytes = kept.bytes(source);
    return askOrt(host, "CreateSessionFromArray", env, bytes, source.length, options);
  } finally {
    host.call("ReleaseSessionOptions", options);
  }
}

interface Direction {
  readonly count: "SessionGetInputCount" | "SessionGetOutputCount";
  readonly name: "SessionGetInputName" | "SessionGetOutputName";
  readonly type: "SessionGetInputTypeInfo" | "SessionGetOutputTypeInfo";
}
const inputs: Direction = {
  count: "SessionGetInputCount",
  name: "SessionGetInputName",
  type: "SessionGetInputTypeInfo",
};
const outputs: Direction = {
  count: "SessionGetOutputCount",
  name: "SessionGetOutputName",
  type: "SessionGetOutputTypeInfo",
};

const tensorKind = 1;

/** Lengths as numbers, unknown ones as their symbol. */
function shapeOf(host: NodeHost, info: number): (number | string)[] {
  const rank = askOrt(host, "GetDimensionsCount", info);
  const lengths = new BigInt64Array(new ArrayBuffer(Math.max(64, 8 * rank)));
  const symbols = new BigUint64Array(new ArrayBuffer(Math.max(64, 8 * rank)));
  const [lengthsAt, symbolsAt] = [lengths, symbols].map((list) =>
    host.addressOf(new Uint8Array(list.buffer)),
  );
  callOrt(host, "GetDimensions", info, lengthsAt!, rank);
  callOrt(host, "GetSymbolicDimensions", info, symbolsAt!, rank);
  return Array.from({ length: rank }, (_, axis) => {
    const length = Number(lengths[axis]);
    return length >= 0 ? length : host.text(Number(symbols[axis]));
  });
}

function metadataOf(host: NodeHost, session: number, direction: Direction, index: number): OrtValueMetadata {
  const allocator = askOrt(host, "GetAllocatorWithDefaultOptions");
  const text = askOrt(host, direction.name, session, index, allocator);
  const name = host.text(text);
  callOrt(host, "AllocatorFree", allocator, text);
  const type = askOrt(host, direction.type, session, index);
  try {
    callOrt(host, "GetOnnxTypeFromTypeInfo", type, host.mailbox);
    if (host.answers.getInt32(0, true) !== tensorKind) return { name, isTensor: false };
    const info = askOrt(host, "CastTypeInfoToTensorInfo", type);
    callOrt(host, "GetTensorElementType", info, host.mailbox);
    const elementType = dataTypeOfOnnx(host.answers.getInt32(0, true));
    return { name, isTensor: true, shape: shapeOf(host, info), ...(elementType && { type: elementType }) };
  } finally {
    host.call("ReleaseTypeInfo", type);
  }
}

function allMetadata(host: NodeHost, session: number, direction: Direction): OrtValueMetadata[] {
  const count = askOrt(host, direction.count, session);
  return Array.from({ length: count }, (_, index) => metadataOf(host, session, direction, index));
}

/** Runs once; the values that go in and come out are released whatever happens. */
function runOnce(
  { host, memory }: Process,
  session: number,
  feeds: Readonly<Record<string, Tensor>>,
  wanted: readonly string[],
  options: object,
): Record<string, Tensor> {
  const kept: Kept = keep(host);
  const [given, made]: [number[], number[]] = [[], []];
  let runOptions = 0;
  const results = new BigUint64Array(new ArrayBuffer(Math.max(64, 8 * wanted.length)));
  try {
    runOptions = makeRunOptions(host, options, kept);
    for (const [name, tensor] of Object.entries(feeds)) {
      given.push(ortValueOf(host, memory, tensor, `input "${name}"`, kept));
    }
    const [inputNames, outputNames] = [Object.keys(feeds), wanted].map((names) =>
      kept.words(names.map((name) => kept.text(name))),
    );
    const outputs = host.addressOf(new Uint8Array(results.buffer));
    callOrt(
      host,
      "Run",
      ...[
        session,
        runOptions,
        inputNames!,
        kept.words(given),
        given.length,
        outputNames!,
        wanted.length,
        outputs,
      ],
    );
    for (let index = 0; index < wanted.length; index++) made.push(Number(results[index]));
    return Object.fromEntries(
      wanted.map((name, index) => [name, tensorOf(host, made[index]!, `output "${name}"`)]),
    );
  } finally {
    for (const value of [...given, ...made]) host.call("ReleaseValue", value);
    if (runOptions !== 0) host.call("ReleaseRunOptions", runOptions);
  }
}

/** Inputs with defaults may be left out; the rest is onnxruntime's to check. */
function chosenFeeds(
  feeds: Readonly<Record<string, object>>,
  names: readonly string[],
): Record<string, Tensor> {
  const entries = Object.entries(feeds) as [string, Tensor][];
  const unknown = entries.find(([name]) => !names.includes(name));
  if (unknown === undefined) return Object.fromEntries(entries);
  throw new AdderNetError("ADN_FEED", `the model has no input ${unknown[0]}`, { expected: names.join(", ") });
}

/** A turn of the event loop, as onnxruntime-node waits for before its work. */
const nextTurn = (): Promise<void> => new Promise((fulfil) => setImmediate(fulfil));

/** A session without the description of its layers. */
export async function openSession(
  shared: Process,
  model: string | Uint8Array,
  given: NodeSessionOptions,
): Promise<Omit<NativeSession, "layers">> {
  const { host } = shared;
  let session: number | undefined = await createSession(shared, model, given);
  const use = (): number => {
    if (session !== undefined) return session;
    throw new AdderNetError("ADN_DISPOSED", "the session was released", { fix: "create a new one" });
  };
  const [inputMetadata, outputMetadata] = [inputs, outputs].map((each) => allMetadata(host, use(), each));
  const inputNames = inputMetadata!.map(({ name }) => name);
  return {
    inputNames,
    outputNames: outputMetadata!.map(({ name }) => name),
    inputMetadata: inputMetadata!,
    outputMetadata: outputMetadata!,
    async run(feeds, fetches, options) {
      await nextTurn();
      const chosen = chosenFeeds(feeds, inputNames);
      return runOnce(shared, use(), chosen, Object.keys(fetches), options ?? {});
    },
    startProfiling() {},
    endProfiling() {
      const allocator = askOrt(host, "GetAllocatorWithDefaultOptions");
      callOrt(host, "SessionEndProfiling", use(), allocator, host.mailbox);
      const text = answeredPointer(host);
      const file = host.text(text);
      callOrt(host, "AllocatorFree", allocator, text);
      return file;
    },
    async dispose() {
      if (session === undefined) return;
      host.call("ReleaseSession", session);
      session = undefined;
    },
  };
}
