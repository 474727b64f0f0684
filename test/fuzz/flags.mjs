// Random command lines: whatever is asked, an exit code of the documented ones, one line on stderr when it is not 0, no half files.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../../dist/src/cli/command-line.js";
import { commands } from "../../dist/src/cli/commands.js";
import { encodeNpy } from "../../dist/src/cli/npy.js";
import { encodeModel } from "../../dist/src/core/onnx/index.js";
import { float32Tensor } from "../../dist/src/core/tensor.js";
import { buildModel } from "./build.mjs";
import { Finding } from "./outcome.mjs";
import { makeRandom } from "./random.mjs";
import { makeRecipe } from "./recipe.mjs";

const recipe = {
  ...makeRecipe(3),
  batch: 1,
  channels: 2,
  height: 5,
  width: 5,
  freeSize: false,
  steps: makeRecipe(3).steps.slice(0, 2),
};

/** Files every case finds in its folder. */
function makeFiles(folder) {
  writeFileSync(join(folder, "net.onnx"), encodeModel(buildModel(recipe)).bytes);
  const count = 2 * 5 * 5;
  const x = float32Tensor(
    Array.from({ length: count }, (_, at) => at / count),
    [1, 2, 5, 5],
  );
  writeFileSync(join(folder, "x.npy"), encodeNpy(x));
  writeFileSync(join(folder, "notes.txt"), "TypeError: iteration over a 0-d tensor\n");
  writeFileSync(join(folder, "empty.onnx"), "");
}

const loaded = await Promise.all(
  Object.entries(commands).map(async ([name, entry]) => ({ name, ...(await entry.load()) })),
);
const flagNames = [...new Set(loaded.flatMap(({ flags }) => Object.keys(flags ?? {})))].map(
  (name) => `--${name}`,
);
const words = [
  ...[
    "",
    "-",
    "--",
    "0",
    "-1",
    "1",
    "2",
    "8",
    "9",
    "1e9",
    "NaN",
    "1,3,32,32",
    "x:1,2,5,5",
    "x:N,2,5,5",
    "x:0,0",
    "x=x.npy",
  ],
  ...[
    "custom",
    "standard",
    "auto",
    "minmax",
    "none",
    "float",
    "lenet5-bn",
    "resnet20",
    "mnist",
    "cifar10:train",
    "list",
    "adder2d",
  ],
  ...[
    "a::b",
    "addernet::Adder2d",
    "adder2d1.node.strides=2,2",
    "=",
    "x=",
    "\\u0000",
    "\\x1b[31m",
    "--json",
    "--quiet",
    "-o",
    "-h",
    "-x",
  ],
];

/** Words that would reach for the network or work for minutes. */
const isCostly = (argv) => argv.includes("fetch") || argv.includes("1e9") || argv.includes("eval");

const files = [
  "net.onnx",
  "x.npy",
  "notes.txt",
  "empty.onnx",
  "missing.onnx",
  ".",
  "out.onnx",
  "out.npy",
  "../net.onnx",
  "no/such/out.onnx",
];

/** Mostly a value that the flag takes. */
function valueFor(random, { type }) {
  const known = [...words, ...files].filter((word) => type.parse(word) !== undefined);
  return random.pick(known.length > 0 && random.chance(0.9) ? known : [...words, ...files]);
}

function flagOf(random, { flags }) {
  const names = Object.keys(flags);
  if (names.length === 0 || random.chance(0.08)) return [random.pick(flagNames)];
  const name = random.pick(names);
  return flags[name].type === undefined ? [`--${name}`] : [`--${name}`, valueFor(random, flags[name])];
}

export function makeCommand(seed) {
  const random = makeRandom(seed);
  const command = random.pick(loaded);
  const argv = [random.chance(0.97) ? command.name : random.pick(words)];
  if (random.chance(0.93)) argv.push(random.chance(0.9) ? "net.onnx" : random.pick(files));
  if (command.flags.input !== undefined && random.chance(0.6)) argv.push("--input", "x.npy");
  if (command.flags.output !== undefined && random.chance(0.8))
    argv.push("-o", random.chance(0.8) ? "out.onnx" : random.pick(files));
  if (random.chance(0.3)) argv.push("--json");
  for (let left = random.below(4); left > 0; left--) argv.push(...flagOf(random, command));
  if (random.chance(0.1)) argv.push(random.pick([...words, ...files]));
  return isCostly(argv) ? makeCommand(seed + 0x10000000) : argv;
}

async function runHere(argv) {
  const told = { stdout: "", stderr: "" };
  const sink = (name) => ({
    write: (text) => {
      told[name] += text;
    },
  });
  const code = await main(argv, {
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    env: { ADDERNET_DATA: "data" },
  });
  return { code, ...told };
}

function requireSound({ code, stderr }, folder, before) {
  if (![0, 1, 2, 3, 4, 5].includes(code)) throw new Finding("crash", `exit code ${code}`);
  if (/fault of addernet|ADN_INTERNAL/.test(stderr)) throw new Finding("crash", stderr.slice(0, 600));
  if (code !== 0 && code !== 2 && stderr === "")
    throw new Finding("silence", `exit code ${code} and no word`);
  const half = readdirSync(folder).filter((name) => name.includes(".tmp-"));
  if (half.length > 0) throw new Finding("half file", half.join(", "));
  if (!readFileSync(join(folder, "net.onnx")).equals(before))
    throw new Finding("overwritten", "the input changed");
}

export async function checkCommand(argv) {
  const folder = mkdtempSync(join(tmpdir(), "addernet-fuzz-"));
  const outside = process.cwd();
  try {
    makeFiles(folder);
    const before = readFileSync(join(folder, "net.onnx"));
    process.chdir(folder);
    const ran = await runHere(argv);
    requireSound(ran, folder, before);
    return `exit ${ran.code}`;
  } finally {
    process.chdir(outside);
    rmSync(folder, { recursive: true, force: true });
  }
}
