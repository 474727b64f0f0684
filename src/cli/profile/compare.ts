// AdderNet and CNN on several engines, in turns.

import { cnnTwin } from "../../../converter/cnn-twin.ts";
import type { Feeds } from "../../../runtime/feeds.ts";
import {
  alternate,
  type Candidate,
  type Comparison,
  distribution,
  ratioOf,
} from "../../../runtime/profile/index.ts";
import { createExecutor } from "../../../runtime/session.ts";
import { AdderNetError } from "../../core/errors.ts";
import type { Model } from "../../core/ir/model.ts";
import type { Tell } from "./task.ts";

export interface OpenEngine {
  readonly run: () => Promise<unknown>;
  readonly close: () => Promise<void>;
}

/** An engine that can take part, and how it is opened with a network and its feeds. */
export interface Contender {
  readonly engine: string;
  readonly network: Candidate["network"];
  readonly open: () => Promise<OpenEngine>;
}

export interface CompareSettings {
  readonly threads: number;
  readonly seconds: number;
  readonly simd: "auto" | "simd" | "scalar";
  readonly twinName: string;
}

/** A network on our runtime. */
export function ownContender(
  network: Candidate["network"],
  model: Model,
  feeds: Feeds,
  { threads, simd }: CompareSettings,
): Contender {
  return {
    engine: "addernet",
    network,
    open: async () => {
      const session = await createExecutor(model, { threads, simd });
      return { run: () => session.run(feeds), close: () => session.dispose() };
    },
  };
}

/** Errors: ADN_USAGE for a model without adder layers. */
export function makeTwin(model: Model): Model {
  const hasAdders = model.graph.nodes.some(({ domain }) => domain === "addernet");
  if (hasAdders) return cnnTwin(model);
  throw new AdderNetError("ADN_USAGE", "the model has no adder layers to make a CNN of", {
    where: "--compare",
    fix: "profile the AdderNet, and give the CNN as a file: profile adder.onnx --compare cnn.onnx",
  });
}

const nameOf = ({ network, engine }: Contender): string => `${network}, ${engine}`;

interface Entry {
  readonly name: string;
  readonly contender: Contender;
  readonly opened: OpenEngine;
}

async function openAll(
  contenders: readonly Contender[],
): Promise<{ entries: Entry[]; skipped: Comparison["skipped"] }> {
  const entries: Entry[] = [];
  const skipped: { name: string; reason: string }[] = [];
  for (const contender of contenders) {
    const name = nameOf(contender);
    try {
      const opened = await contender.open();
      await opened.run();
      entries.push({ name, contender, opened });
    } catch (error) {
      skipped.push({ name, reason: (error as Error).message.split("\n")[0]! });
    }
  }
  return { entries, skipped };
}

const rounds = 60;

/** Each contender's runs in turns; those that cannot be opened are named with the reason. */
export async function compareEngines(
  contenders: readonly Contender[],
  { threads, seconds, twinName }: CompareSettings,
  tell: Tell,
): Promise<Comparison> {
  const { entries, skipped } = await openAll(contenders);
  try {
    const times = await alternate(
      entries.map(({ name, opened }) => [name, opened.run] as const),
      {
        rounds,
        seconds: seconds / Math.max(1, entries.length),
        onRound: async (done) => {
          tell("comparing", done, rounds);
          await new Promise((resolve) => setTimeout(resolve, 0));
        },
      },
    );
    const candidates = entries.map(({ name, contender: { engine, network } }): Candidate => {
      const latencyMs = distribution([...times.get(name)!.values()]);
      return { name, engine, network, latencyMs };
    });
    const named = (network: Candidate["network"]) => candidates.filter((one) => one.network === network);
    const ratios = named("AdderNet").flatMap(({ name: ours }) =>
      named("CNN").map(({ name: peer }) => ({ ours, peer, ...ratioOf(times.get(ours)!, times.get(peer)!) })),
    );
    return { twin: twinName, rounds, threads, candidates, ratios, skipped };
  } finally {
    for (const { opened } of entries) await opened.close();
  }
}
