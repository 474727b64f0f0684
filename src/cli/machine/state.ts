// The state of this machine now: heat, clock, governor, throttling, load, time stolen by a hypervisor; as far as it tells.

import { type ExecFileSyncOptionsWithStringEncoding, execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { loadavg } from "node:os";
import type { MachineState } from "../../../runtime/profile/index.ts";

function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
}

function numberOf(path: string): number | null {
  const text = textOf(path);
  const value = text === null || text === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

function filesIn(folder: string, name: RegExp): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => name.test(file))
      .map((file) => `${folder}/${file}`);
  } catch {
    return [];
  }
}

function hottest(paths: readonly string[]): number | null {
  const degrees = paths.flatMap((path) => numberOf(path) ?? []).map((value) => value / 1000);
  const sound = degrees.filter((value) => value > 0 && value < 150);
  return sound.length === 0 ? null : Math.max(...sound);
}

/** Zones of the processor where they have a name, else all. */
function temperature(root: string): number | null {
  const zones = filesIn(`${root}/sys/class/thermal`, /^thermal_zone\d+$/);
  const isProcessor = (zone: string) => /cpu|soc|pkg|core|big|little/i.test(textOf(`${zone}/type`) ?? "");
  const own = zones.filter(isProcessor);
  const zoned = hottest((own.length > 0 ? own : zones).map((zone) => `${zone}/temp`));
  if (zoned !== null) return zoned;
  const chips = filesIn(`${root}/sys/class/hwmon`, /^hwmon\d+$/);
  const cores = chips.filter((chip) =>
    /^(coretemp|k10temp|zenpower|cpu_thermal)$/.test(textOf(`${chip}/name`) ?? ""),
  );
  return hottest(cores.flatMap((chip) => filesIn(chip, /^temp\d+_input$/)));
}

/** The fastest core's clock. */
function frequency(root: string): number | null {
  const cores = filesIn(`${root}/sys/devices/system/cpu`, /^cpu\d+$/);
  const clocks = cores.flatMap((core) => numberOf(`${core}/cpufreq/scaling_cur_freq`) ?? []);
  if (clocks.length > 0) return Math.max(...clocks) / 1000;
  const lines = [...(textOf(`${root}/proc/cpuinfo`) ?? "").matchAll(/^cpu MHz\s*:\s*([\d.]+)$/gm)];
  return lines.length === 0 ? null : Math.max(...lines.map((match) => Number(match[1])));
}

/** Bits of `vcgencmd get_throttled`: now, and since the start. */
const throttleBits = ["under-voltage", "clock capped", "throttled", "soft temperature limit"];

/** "throttled=0x50005" in words; null for anything else. */
export function throttlingText(answer: string): string | null {
  const match = /throttled=(0x[\da-f]+)/i.exec(answer);
  if (match === null) return null;
  const bits = Number(match[1]);
  const told = throttleBits.flatMap((name, bit) => {
    if (bits & (1 << bit)) return [`${name} now`];
    return bits & (1 << (bit + 16)) ? [`${name} since the start`] : [];
  });
  return told.length === 0 ? "no" : told.join(", ");
}

let hasFirmwareTool = process.platform === "linux";

/** What a Raspberry Pi's firmware says. */
function throttling(): string | null {
  if (!hasFirmwareTool) return null;
  try {
    const options: ExecFileSyncOptionsWithStringEncoding = {
      encoding: "utf8",
      timeout: 2000,
      stdio: ["ignore", "pipe", "ignore"],
    };
    return throttlingText(execFileSync("vcgencmd", ["get_throttled"], options));
  } catch {
    hasFirmwareTool = false;
    return null;
  }
}

/** Ticks of all processors, and those a hypervisor gave to others. */
function ticks(root: string): readonly [number, number] | null {
  const line = /^cpu\s+(.*)$/m.exec(textOf(`${root}/proc/stat`) ?? "");
  if (line === null) return null;
  const counts = line[1]!.trim().split(/\s+/).map(Number);
  const total = counts.slice(0, 8).reduce((sum, count) => sum + count, 0);
  return [total, counts[7] ?? 0];
}

/** Looks at the machine; what is stolen counts from the look before. `root` is where /proc and /sys are. */
export function makeObserver(root = ""): () => MachineState {
  let before: readonly [number, number] | null = null;
  return () => {
    const now = ticks(root);
    const [total, stolen] = [(now?.[0] ?? 0) - (before?.[0] ?? 0), (now?.[1] ?? 0) - (before?.[1] ?? 0)];
    before = now;
    return {
      temperatureC: temperature(root),
      frequencyMHz: frequency(root),
      governor: textOf(`${root}/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor`),
      throttled: throttling(),
      load: process.platform === "win32" ? null : loadavg()[0]!,
      stolenShare: now === null || total <= 0 ? null : stolen / total,
    };
  };
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until the processor has stopped cooling, at most so long; all of that where there is no thermometer. */
export async function coolDown(
  seconds: number,
  onWait: (left: number, temperatureC: number | null) => void = () => {},
  root = "",
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  const recent: number[] = [];
  for (let left = seconds * 1000; left > 0; left = end - performance.now()) {
    const now = temperature(root);
    onWait(Math.ceil(left / 1000), now);
    if (now !== null) recent.push(now);
    const tenBefore = recent.at(-11);
    if (now !== null && tenBefore !== undefined && tenBefore - now < 0.5) return;
    await sleep(Math.min(1000, left));
  }
}

/** Most memory this process ever held, in bytes. */
export function peakBytes(): number | null {
  const line = /^VmHWM:\s+(\d+)/m.exec(textOf("/proc/self/status") ?? "");
  if (line !== null) return Number(line[1]) * 1024;
  const { maxRSS } = process.resourceUsage();
  return maxRSS > 0 ? maxRSS * 1024 : null;
}
