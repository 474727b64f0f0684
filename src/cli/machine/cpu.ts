// Which processor this is, by what the system tells: cores by name on ARM, and the extensions that matter to the kernels.

import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";

export interface Cpu {
  readonly model: string;
  readonly cores: number;
  /** Instruction set extensions that matter here. */
  readonly features: readonly string[];
  /** Kinds of cores, when the system names them. */
  readonly kinds: readonly { readonly name: string; readonly count: number }[];
}

/** Names in /proc/cpuinfo that tell something about vectors and dot products. */
const interesting =
  /^(sse4_2|avx|avx2|fma|f16c|avx_vnni|avx512f|avx512bw|avx512_vnni|avx512_bf16|amx_int8|asimd|asimddp|asimdhp|i8mm|bf16|sve|sve2|neon|vfpv3|vfpv4)$/;

/** By "CPU implementer" and "CPU part" of /proc/cpuinfo. */
const armCores: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "0x41": {
    "0xb76": "ARM1176",
    "0xc05": "Cortex-A5",
    "0xc07": "Cortex-A7",
    "0xc08": "Cortex-A8",
    "0xc09": "Cortex-A9",
    "0xc0d": "Cortex-A17",
    "0xc0e": "Cortex-A17",
    "0xc0f": "Cortex-A15",
    "0xd01": "Cortex-A32",
    "0xd02": "Cortex-A34",
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd06": "Cortex-A65",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77",
    "0xd0e": "Cortex-A76AE",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710",
    "0xd48": "Cortex-X2",
    "0xd49": "Neoverse-N2",
    "0xd4b": "Cortex-A78C",
    "0xd4d": "Cortex-A715",
    "0xd4e": "Cortex-X3",
    "0xd4f": "Neoverse-V2",
    "0xd80": "Cortex-A520",
    "0xd81": "Cortex-A720",
    "0xd82": "Cortex-X4",
  },
  "0x42": { "0x516": "ThunderX2" },
  "0x43": { "0x0a1": "ThunderX", "0x0af": "ThunderX2" },
  "0x48": { "0xd01": "Kunpeng-920" },
  "0x4e": { "0x003": "Denver 2", "0x004": "Carmel" },
  "0x51": {
    "0x06f": "Krait",
    "0x800": "Kryo Gold",
    "0x801": "Kryo Silver",
    "0x802": "Kryo 3xx Gold",
    "0x803": "Kryo 3xx Silver",
    "0x804": "Kryo 4xx Gold",
    "0x805": "Kryo 4xx Silver",
  },
  "0xc0": { "0xac3": "Ampere-1", "0xac4": "Ampere-1a" },
};

function fieldsOf(text: string, name: string): string[] {
  return [...text.matchAll(new RegExp(`^${name}\\s*:\\s*(.*)$`, "gim"))].map((match) => match[1]!.trim());
}

/** Kinds of ARM cores with how many there are, in the order of the file; unknown ones by their numbers. */
function armKinds(text: string): { name: string; count: number }[] {
  const implementers = fieldsOf(text, "CPU implementer");
  const counts = new Map<string, number>();
  for (const [index, part] of fieldsOf(text, "CPU part").entries()) {
    const implementer = implementers[index]?.toLowerCase() ?? "";
    const name = armCores[implementer]?.[part.toLowerCase()] ?? `ARM core ${implementer}/${part}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => ({ name, count }));
}

/** What a text of /proc/cpuinfo says, for a machine of this architecture. */
export function parseCpuinfo(
  text: string,
): Pick<Cpu, "features" | "kinds"> & { readonly model: string | null } {
  const line = fieldsOf(text, "flags")[0] ?? fieldsOf(text, "Features")[0] ?? "";
  const kinds = armKinds(text);
  const named = fieldsOf(text, "model name")[0];
  const model = kinds.length > 0 ? kinds.map(({ name, count }) => `${count} x ${name}`).join(" + ") : named;
  return {
    model: model ?? null,
    features: line.split(/\s+/).filter((name) => interesting.test(name)),
    kinds,
  };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

export function examineCpu(): Cpu {
  const { model, features, kinds } = parseCpuinfo(textOf("/proc/cpuinfo"));
  const known = cpus()[0]?.model.trim();
  const isNamed = known !== undefined && known !== "" && known !== "unknown";
  return {
    model: (kinds.length > 0 ? model : undefined) ?? (isNamed ? known : (model ?? "unknown")),
    cores: availableParallelism(),
    features,
    kinds,
  };
}

/** What the board calls itself, as "Raspberry Pi 4 Model B Rev 1.4". */
export function boardName(): string | null {
  const text = textOf("/proc/device-tree/model").replaceAll("\0", "").trim();
  return text === "" ? null : text;
}
