// What a command may touch besides files: the two streams, the environment, and how to tell what it is doing.

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface Streams {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Context extends Streams {
  /** Shows how far a phase has come. `total` 0 means unknown. */
  readonly progress: (phase: string, done: number, total: number) => void;
  readonly warn: (message: string) => void;
  /** Says something on stderr before a command's answer is there. */
  readonly note: (message: string) => void;
}
