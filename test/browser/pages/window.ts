// The page: its actions for the test to call, on this thread or in a worker.

import { actions } from "./lenet.ts";

type Action = keyof typeof actions;

function inWorker(action: Action, argument: unknown): Promise<unknown> {
  const worker = new Worker("/worker.js", { type: "module" });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.failed ? reject(new Error(data.failed)) : resolve(data.result));
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage({ action, argument });
  });
}

Object.assign(globalThis, { tested: { ...actions, inWorker } });
