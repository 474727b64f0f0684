// The same actions inside a worker.

import { actions } from "./lenet.ts";

globalThis.onmessage = async ({ data: { action, argument } }) => {
  const run = actions[action as keyof typeof actions] as (argument: unknown) => Promise<unknown>;
  const answer = await run(argument).then(
    (result) => ({ result }),
    (error: unknown) => ({ failed: String(error) }),
  );
  globalThis.postMessage(answer);
};
