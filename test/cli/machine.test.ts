// What /proc and /sys of several machines say, as text.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseCpuinfo } from "../../src/cli/machine/cpu.ts";
import { makeObserver, throttlingText } from "../../src/cli/machine/state.ts";
import { testFolder } from "./folder.ts";

const armCore = (part: string, features = "fp asimd evtstrm crc32 cpuid") =>
  `processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: ${features}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: ${part}\nCPU revision\t: 3\n\n`;

describe("cpuinfo", () => {
  // biome-ignore format: a table
  it.each<[string, string, string | null, string[]]>([
    ["Raspberry Pi 4", armCore("0xd08").repeat(4), "4 x Cortex-A72", ["asimd"]],
    ["Raspberry Pi 5", armCore("0xd0b", "fp asimd asimdhp asimddp").repeat(4), "4 x Cortex-A76", ["asimd", "asimdhp", "asimddp"]],
    ["big and little", armCore("0xd03").repeat(4) + armCore("0xd09").repeat(2), "4 x Cortex-A53 + 2 x Cortex-A73", ["asimd"]],
    ["32 bits, model name beside it", `model name\t: ARMv7 Processor rev 4 (v7l)\n${armCore("0xc07", "half thumb neon vfpv4")}`, "1 x Cortex-A7", ["neon", "vfpv4"]],
    ["a core nobody knows", armCore("0xfff"), "1 x ARM core 0x41/0xfff", ["asimd"]],
    ["x86", "model name\t: AMD EPYC\nflags\t\t: fpu sse4_2 avx2 avx_vnni\n", "AMD EPYC", ["sse4_2", "avx2", "avx_vnni"]],
    ["nothing", "", null, []],
  ])("%s", (_name, text, model, features) => {
    const parsed = parseCpuinfo(text);
    expect([parsed.model, parsed.features]).toEqual([model, features]);
  });
});

// biome-ignore format: a table
it.each([
  ["throttled=0x0", "no"], ["throttled=0x50005", "under-voltage now, throttled now"], ["throttled=0x50000", "under-voltage since the start, throttled since the start"],
  ["throttled=0x8", "soft temperature limit now"], ["VCHI initialization failed", null],
])("vcgencmd says %s", (answer, expected) => {
  expect(throttlingText(answer)).toBe(expected);
});

describe("the state of a machine", () => {
  const folder = testFolder();
  const write = (files: Readonly<Record<string, string>>): void => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder.path, path)), { recursive: true });
      writeFileSync(join(folder.path, path), text);
    }
  };

  it("is read from its files", () => {
    write({
      "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
      "sys/class/thermal/thermal_zone0/temp": "61350\n",
      "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
      "sys/class/thermal/thermal_zone1/temp": "81000\n",
      "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
      "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1500000\n",
      "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
      "proc/stat": "cpu  100 0 100 800 0 0 0 0 0 0\n",
    });
    const observe = makeObserver(folder.path);
    expect(observe()).toMatchObject({
      temperatureC: 61.35,
      frequencyMHz: 1500,
      governor: "ondemand",
      stolenShare: 0,
    });
    write({ "proc/stat": "cpu  150 0 100 800 0 0 0 50 0 0\n" });
    expect(observe().stolenShare).toBeCloseTo(0.5, 12);
  });

  it("is null where a machine tells nothing", () => {
    expect(makeObserver(join(folder.path, "nowhere"))()).toMatchObject({
      temperatureC: null,
      frequencyMHz: null,
      governor: null,
      stolenShare: null,
    });
  });
});
