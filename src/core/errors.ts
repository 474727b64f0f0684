// The one error class of the project, its stable codes and the exit code of each.

/** Exit code of the command line for every error code: 1 run time, 2 usage or bad file, 3 unsupported, 4 verification, 5 threshold. */
export const exitCodes = {
  ADN_USAGE: 2,
  ADN_FILE: 2,
  ADN_NPY: 2,
  ADN_DATA: 2,
  ADN_CLASSES: 2,
  ADN_ONNX_WIRE: 2,
  ADN_ONNX_MODEL: 2,
  ADN_EXTERNAL_DATA: 2,
  ADN_CHECKPOINT: 2,
  ADN_LIMIT: 2,
  ADN_FEED: 2,
  ADN_SHAPE: 3,
  ADN_TYPE: 3,
  ADN_ATTRIBUTE: 3,
  ADN_OPSET: 3,
  ADN_OP_UNSUPPORTED: 3,
  ADN_ADDER_UNRECOGNISED: 3,
  ADN_ADDER_INCOMPLETE: 3,
  ADN_BATCH_NORM_MISSING: 3,
  ADN_VERIFY: 4,
  ADN_THRESHOLD: 5,
  ADN_PEER_MISSING: 1,
  ADN_HOST: 1,
  ADN_WASM: 1,
  ADN_NATIVE: 1,
  ADN_DIVERGED: 1,
  ADN_DISPOSED: 1,
  ADN_INTERRUPTED: 1,
} as const;

export type ErrorCode = keyof typeof exitCodes;

export interface ErrorDetails {
  /** The file, node, flag or tensor concerned. */
  readonly where?: string;
  readonly expected?: string;
  readonly found?: string;
  /** What the user can do about it. */
  readonly fix?: string;
}

function sentence(problem: string, { where, expected, found, fix }: ErrorDetails): string {
  const facts = [expected && `expected ${expected}`, found && `found ${found}`].filter(Boolean).join(", ");
  const head = [where, problem].filter(Boolean).join(": ");
  return [facts ? `${head} (${facts})` : head, fix].filter(Boolean).join("; ");
}

/** A failure with a stable code. The message reads "where: problem (expected …, found …); what to do". */
export class AdderNetError extends Error {
  readonly code: ErrorCode;
  /** The message without its details. */
  readonly problem: string;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, problem: string, details: ErrorDetails & { cause?: unknown } = {}) {
    const { cause, ...rest } = details;
    super(sentence(problem, rest), cause === undefined ? undefined : { cause });
    this.name = "AdderNetError";
    this.code = code;
    this.problem = problem;
    this.details = rest;
  }
}
