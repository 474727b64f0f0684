// onnxruntime-web as a host of custom ops: functions are table entries, addresses lie in its WebAssembly memory.

import { AdderNetError } from "../../../core/errors.ts";
import { type OrtFunction, ortApi } from "../ort-api.ts";
import { answeredPointer, type OrtHost, takeStatus } from "../ort-host.ts";

/** Below its static data a module keeps nothing: room for the first answers, before its allocator is known. */
const lowAddress = 64;
const mailboxBytes = 1024;

type TableFunction = (...args: readonly number[]) => number | undefined;

/** The functions that `api` points to. */
function functionsAt(memory: WebAssembly.Memory, table: WebAssembly.Table, api: number) {
  const words = new Uint32Array(memory.buffer, api, 1 + Math.max(...Object.values(ortApi).map(([at]) => at)));
  const entries = Object.entries(ortApi) as [OrtFunction, readonly [number, number]][];
  return Object.fromEntries(
    entries.map(([name, [place]]) => [name, table.get(words[place]!) as TableFunction]),
  ) as Record<OrtFunction, TableFunction>;
}

function decodeText(memory: WebAssembly.Memory, address: number): string {
  const bytes = new Uint8Array(memory.buffer);
  let end = address;
  while (bytes[end] !== 0) end++;
  // A copy: text is not decoded out of shared memory everywhere.
  return new TextDecoder().decode(bytes.slice(address, end));
}

/** A status made, read and released again: the functions are what they seem to be. */
function requireRoundTrip(host: OrtHost): void {
  const message = "addernet asks";
  for (let i = 0; i < message.length; i++) host.answers.setUint8(i, message.charCodeAt(i));
  host.answers.setUint8(message.length, 0);
  const code = 2;
  const status = host.call("CreateStatus", code, host.mailbox);
  const answered = status === 0 ? -1 : host.call("GetErrorCode", status);
  const text = status === 0 ? "nothing" : takeStatus(host, status);
  if (answered === code && text === message) return;
  throw new AdderNetError("ADN_NATIVE", "onnxruntime's functions are not what they should be", {
    expected: `status ${code} "${message}"`,
    found: `status ${answered} "${text}"`,
  });
}

/**
 * The host behind `api`. Throws ADN_NATIVE where its functions do not answer as OrtApi does.
 */
export function makeWebHost(memory: WebAssembly.Memory, table: WebAssembly.Table, api: number): OrtHost {
  const functions = functionsAt(memory, table, api);
  const hostWith = (mailbox: number): OrtHost => ({
    pointerBytes: 4,
    mailbox,
    // Shared memory grows in place: what lies in it can be kept in sight.
    answers: new DataView(memory.buffer, mailbox, mailboxBytes - 2 * lowAddress),
    call: (name, ...args) => (functions[name](...args) ?? 0) >>> 0,
    view: (address, bytes) => new DataView(memory.buffer, address, bytes),
    text: (address) => decodeText(memory, address),
  });
  const low = new Uint8Array(memory.buffer, lowAddress, mailboxBytes - 2 * lowAddress);
  const before = low.slice();
  try {
    const host = hostWith(lowAddress);
    requireRoundTrip(host);
    const answer = (name: OrtFunction, ...args: number[]): number => {
      const status = host.call(name, ...args, lowAddress);
      if (status !== 0) throw new AdderNetError("ADN_NATIVE", takeStatus(host, status));
      return answeredPointer(host);
    };
    const allocator = answer("GetAllocatorWithDefaultOptions");
    return hostWith(answer("AllocatorAlloc", allocator, mailboxBytes));
  } finally {
    low.set(before);
  }
}
