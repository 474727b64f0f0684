// What this host offers for threads: how many cores, whether memory can be shared, and how to start a worker. Node's modules are
// looked up when they are needed, so that a page can load this file.

/** What Node's worker threads and a page's Web Workers have in common. */
export interface HostWorker {
  post(message: unknown): void;
  /** Lets go of what only its start needed; a process does not wait for it any more when it has nothing else to do. */
  release(): void;
  stop(): Promise<void>;
}

export interface WorkerEvents {
  message(message: unknown): void;
  /** The worker cannot start, has failed or has ended. */
  failure(reason: string): void;
}

interface NodeWorker {
  postMessage(message: unknown): void;
  on(event: "message", hear: (message: unknown) => void): void;
  on(event: "error", hear: (error: Error) => void): void;
  on(event: "exit", hear: () => void): void;
  unref(): void;
  terminate(): Promise<unknown>;
}

/** What is used of node:worker_threads. */
interface NodeThreads {
  readonly Worker: new (source: string, options: object) => NodeWorker;
}

function nodeModule<T>(name: string): T | undefined {
  if (typeof process !== "object" || typeof process.versions?.node !== "string") return undefined;
  return (process.getBuiltinModule as ((name: string) => T | undefined) | undefined)?.(name);
}

/** Cores that this process may use. */
export function coreCount(): number {
  const system = nodeModule<{ availableParallelism(): number }>("node:os");
  if (system !== undefined) return system.availableParallelism();
  return globalThis.navigator?.hardwareConcurrency ?? 1;
}

/** Why no thread can be started here, as far as can be told without trying; undefined when nothing stands against it. */
export function threadsRefusal(): string | undefined {
  if (globalThis.crossOriginIsolated === false) {
    return "the page is not cross-origin isolated (COOP and COEP headers)";
  }
  if (typeof SharedArrayBuffer !== "function") {
    return "this engine has no SharedArrayBuffer";
  }
  if (nodeModule<NodeThreads>("node:worker_threads") !== undefined) return undefined;
  if (typeof Worker === "function") return undefined;
  return typeof process === "object" ? "threads need Node 20.16 or newer" : "this host has no workers";
}

function startNodeWorker({ Worker: Thread }: NodeThreads, source: string, events: WorkerEvents): HostWorker {
  // Nothing of the process's own flags and loaders is needed there.
  const worker = new Thread(source, { eval: true, execArgv: [], env: {}, name: "addernet" });
  worker.on("message", (message) => events.message(message));
  worker.on("error", (error) => events.failure(error.message));
  worker.on("exit", () => events.failure("it ended"));
  return {
    post: (message) => worker.postMessage(message),
    release: () => worker.unref(),
    stop: async () => {
      await worker.terminate();
    },
  };
}

function startWebWorker(source: string, events: WorkerEvents): HostWorker {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url, { name: "addernet" });
  const release = (): void => URL.revokeObjectURL(url);
  worker.onmessage = ({ data }) => events.message(data);
  worker.onmessageerror = () => events.failure("memory cannot be shared with it");
  worker.onerror = (event) => {
    event.preventDefault();
    events.failure(event.message || "the content security policy may lack worker-src blob:");
  };
  return {
    post: (message) => worker.postMessage(message),
    release,
    stop: async () => {
      release();
      worker.terminate();
    },
  };
}

/** Starts a worker that runs `source`. Throws where the host refuses at once. */
export function startWorker(source: string, events: WorkerEvents): HostWorker {
  const threads = nodeModule<NodeThreads>("node:worker_threads");
  return threads === undefined ? startWebWorker(source, events) : startNodeWorker(threads, source, events);
}

/** Whether this thread may sleep until another one wakes it: a page's own thread may not. */
export function canSleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
    return true;
  } catch {
    return false;
  }
}
