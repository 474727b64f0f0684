// What Ctrl-C does while a command has something to save first.

let onInterrupt: (() => void) | undefined;

/** The first interruption calls `save` and lets the process go on; the next one ends it. Answers how to withdraw that. */
export function saveOnInterrupt(save: () => void): () => void {
  onInterrupt = save;
  return () => {
    onInterrupt = undefined;
  };
}

/** Whether somebody saves and ends the process later. */
export function interrupt(): boolean {
  const save = onInterrupt;
  onInterrupt = undefined;
  save?.();
  return save !== undefined;
}
