// onnxruntime as a custom op sees it, whichever memory it lives in: its functions by name, its bytes by address.

import { AdderNetError } from "../../core/errors.ts";
import type { OrtFunction } from "./ort-api.ts";

/** Addresses are numbers in both: 32 bits inside a page's WebAssembly, at most 53 in a process. */
export interface OrtHost {
  readonly pointerBytes: 4 | 8;
  /** Calls a function of OrtApi. Answers what it answers: an OrtStatus (0: fine), or nothing. */
  call(name: OrtFunction, ...args: readonly number[]): number;
  /** The bytes at an address, as they are now; not to be kept. */
  view(address: number, bytes: number): DataView;
  /** A few hundred bytes that no one else uses, for answers of functions. */
  readonly mailbox: number;
  /** The bytes of the mailbox. */
  readonly answers: DataView;
  /** Text that ends with a zero byte. */
  text(address: number): string;
}

export function writePointer(host: OrtHost, address: number, value: number): void {
  const view = host.view(address, host.pointerBytes);
  if (host.pointerBytes === 4) view.setUint32(0, value, true);
  else view.setBigUint64(0, BigInt(value), true);
}

/** The message of a status, which is released. */
export function takeStatus(host: OrtHost, status: number): string {
  const message = host.text(host.call("GetErrorMessage", status));
  host.call("ReleaseStatus", status);
  return message;
}

/** Calls a function; a status other than "fine" is thrown. */
export function callOrt(host: OrtHost, name: OrtFunction, ...args: readonly number[]): void {
  const status = host.call(name, ...args);
  if (status === 0) return;
  throw new AdderNetError("ADN_NATIVE", `onnxruntime's ${name} failed`, { found: takeStatus(host, status) });
}

/** A pointer or a size that a function has put into the mailbox, `at` bytes from its start. */
export function answeredPointer({ answers, pointerBytes }: OrtHost, at = 0): number {
  const low = answers.getUint32(at, true);
  return pointerBytes === 4 ? low : low + answers.getUint32(at + 4, true) * 2 ** 32;
}

/** Calls a function whose last argument is where it puts a pointer or a size; answers that. */
export function askOrt(host: OrtHost, name: OrtFunction, ...args: readonly number[]): number {
  callOrt(host, name, ...args, host.mailbox);
  return answeredPointer(host);
}
