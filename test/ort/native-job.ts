// What a process of native-process.ts does: the sessions of one job, one after the other.

import type { Tensor } from "../../src/core/tensor.ts";
import { adderNetEp, explain, registerAdderNet } from "../../src/ort.ts";
import type { Failure, Job, JobResult, SessionResult } from "./native-process.ts";
import { sabotages } from "./sabotage.ts";

function failureOf(error: unknown): Failure {
  const { code, message } = error as Error & { code?: string };
  return { message, ...(code !== undefined && { code }) };
}

// biome-ignore lint/suspicious/noExplicitAny: any onnxruntime, of any version
type Ort = any;

async function runOnce(ort: Ort, session: Ort, feeds: Readonly<Record<string, Tensor>>) {
  const tensors = Object.entries(feeds).map(([name, { type, data, dims }]) => [
    name,
    new ort.Tensor(type, data, dims),
  ]);
  try {
    const results = Object.entries(await session.run(Object.fromEntries(tensors)));
    return Object.fromEntries(
      results.map(([name, tensor]) => {
        const { type, data, dims } = tensor as Tensor;
        return [name, { type, data: data.slice() as Tensor["data"], dims: [...dims] }];
      }),
    );
  } catch (error) {
    return { error: failureOf(error) };
  }
}

async function doSession(ort: Ort, wanted: Job["sessions"][number]): Promise<SessionResult> {
  const { strategy, provider: more, bytes, options, runs } = wanted;
  const provider = strategy && { executionProviders: [adderNetEp({ strategy, ...more })] };
  try {
    const session = await ort.InferenceSession.create(bytes, {
      logSeverityLevel: 4,
      ...options,
      ...provider,
    });
    const results = [];
    for (const feeds of runs) results.push(await runOnce(ort, session, feeds));
    const explanation = explain(session);
    await session.release();
    return {
      runs: results,
      ...(explanation && {
        strategy: explanation.strategy,
        reason: explanation.reason,
        engines: explanation.map(({ engine }) => engine),
      }),
    };
  } catch (error) {
    return { error: failureOf(error), runs: [] };
  }
}

async function doJob(job: Job): Promise<JobResult> {
  const warnings: string[] = [];
  console.warn = (...parts: unknown[]) => void warnings.push(parts.join(" "));
  const loaded = await import(job.ort);
  const ort = loaded.InferenceSession === undefined ? loaded.default : loaded;
  if (job.threads !== undefined && ort.env.wasm) ort.env.wasm.numThreads = job.threads;
  const sabotage = job.sabotage && sabotages[job.sabotage];
  await sabotage?.beforeRegister?.(ort);
  registerAdderNet(ort, { strategy: job.strategy });
  await sabotage?.afterRegister?.(ort);
  const sessions = [];
  for (const wanted of job.sessions) sessions.push(await doSession(ort, wanted));
  return { sessions, warnings };
}

process.once("message", async (job) => {
  process.send!(await doJob(job as Job));
});
