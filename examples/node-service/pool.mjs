// Workers that take jobs in turn. A worker that dies or takes too long is replaced; its job fails.

import { Worker } from "node:worker_threads";

export class JobError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** `file` is the worker's script; it says `ready` once, then answers every message with `result` or `failure`. */
export function startPool({ file, workerData, workers, jobMilliseconds, onLost = () => {} }) {
  const waiting = [];
  const members = new Set();
  let isOpen = true;

  function settle(member, act) {
    const { job } = member;
    member.job = undefined;
    clearTimeout(member.timer);
    if (job) act(job);
  }

  function dispatch() {
    for (const member of members) {
      if (!member.isReady || member.job) continue;
      let job = waiting.shift();
      while (job?.isCancelled()) job = waiting.shift();
      if (job === undefined) return;
      member.job = job;
      member.timer = setTimeout(() => lose(member, "it took too long", 503), jobMilliseconds);
      member.worker.postMessage(job.message);
    }
  }

  function lose(member, reason, status = 500) {
    if (!members.delete(member)) return;
    settle(member, ({ reject }) => reject(new JobError(`the image was given up: ${reason}`, status)));
    member.worker.terminate();
    onLost(reason);
    // One that cannot even start would fail again at once: it is tried again a little later.
    if (isOpen) setTimeout(() => isOpen && addMember(), member.isReady ? 0 : 1000).unref();
  }

  function addMember(onReady = () => {}, onFailed = () => {}) {
    const member = {
      worker: new Worker(file, { workerData }),
      isReady: false,
      job: undefined,
      timer: undefined,
    };
    members.add(member);
    member.worker.on("message", ({ ready, result, failure }) => {
      if (ready) {
        member.isReady = true;
        onReady(ready);
      } else if (failure)
        settle(member, ({ reject }) => reject(new JobError(failure.message, failure.status)));
      else settle(member, ({ resolve }) => resolve(result));
      dispatch();
    });
    const end = (reason) => {
      onFailed(new Error(reason));
      lose(member, reason);
    };
    member.worker.on("error", ({ message }) => end(message));
    member.worker.on("exit", () => end("its worker ended"));
  }

  const starting = Array.from({ length: workers }, () => new Promise(addMember));
  return {
    /** What the workers say of themselves once all have started. */
    ready: Promise.all(starting).then(([first]) => first),
    /** `isCancelled` is asked before the job starts. */
    run(message, isCancelled = () => false) {
      return new Promise((resolve, reject) => {
        waiting.push({ message, isCancelled, resolve, reject });
        dispatch();
      });
    },
    async close() {
      isOpen = false;
      const ending = [...members].map((member) => member.worker.terminate());
      for (const member of [...members]) lose(member, "the service stops", 503);
      for (const { reject } of waiting.splice(0)) reject(new JobError("the service stops", 503));
      await Promise.all(ending);
    },
  };
}
