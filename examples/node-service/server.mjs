// node server.mjs: serves the classifier until SIGTERM or SIGINT, then ends what is in flight. `--help` lists the settings.

import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { createService } from "./service.mjs";

const cifar10 = {
  labels: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
  mean: [0.4914, 0.4822, 0.4465],
  deviation: [0.2023, 0.1994, 0.201],
};

const help = `node server.mjs [options]
  --model FILE      the network, by default the ResNet-20 of examples/browser
  --labels FILE     one class a line; --mean 0.49,0.48,0.45 --deviation 0.2,0.2,0.2 of pixels / 255
  --host 127.0.0.1  --port 8080
  --workers N       by default one for each core but one
  --queue 32        images that may wait; more are answered 503
  --max-bytes 10000000  --request-seconds 15  --job-seconds 10  --grace-seconds 10
`;

const text = (value) => ({ type: "string", ...(value !== undefined && { default: `${value}` }) });

function readOptions() {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean", short: "h", default: false },
      model: text(fileURLToPath(new URL("../browser/resnet20.int8.onnx", import.meta.url))),
      labels: text(),
      mean: text(cifar10.mean),
      deviation: text(cifar10.deviation),
      host: text("127.0.0.1"),
      port: text(process.env.PORT ?? 8080),
      workers: text(Math.max(1, availableParallelism() - 1)),
      queue: text(32),
      "max-bytes": text(10e6),
      "request-seconds": text(15),
      "job-seconds": text(10),
      "grace-seconds": text(10),
    },
  });
  return values;
}

function numberOf(values, name, least = 0) {
  const value = Number(values[name]);
  if (Number.isFinite(value) && value >= least) return value;
  throw new Error(`--${name} takes a number of at least ${least}, not ${values[name]}`);
}

const numbers = (list) => list.split(",").map(Number);

async function start(values) {
  const labels = values.labels
    ? (await readFile(values.labels, "utf8")).trim().split(/\r?\n/)
    : cifar10.labels;
  const network = {
    model: values.model,
    labels,
    mean: numbers(values.mean),
    deviation: numbers(values.deviation),
  };
  const service = createService(network, {
    workers: numberOf(values, "workers", 1),
    mostWaiting: numberOf(values, "queue"),
    mostBytes: numberOf(values, "max-bytes", 1),
    requestMilliseconds: 1000 * numberOf(values, "request-seconds", 0.1),
    jobMilliseconds: 1000 * numberOf(values, "job-seconds", 0.1),
    graceMilliseconds: 1000 * numberOf(values, "grace-seconds"),
    onLost: (reason) => console.error(`a worker was replaced: ${reason}`),
  });
  const { port, input } = await service.listen(numberOf(values, "port"), values.host);
  console.log(`classifying ${input.join("x")} at http://${values.host}:${port}/classify`);
  return service;
}

async function main() {
  const values = readOptions();
  if (values.help) return console.log(help);
  const service = await start(values);
  for (const signal of ["SIGTERM", "SIGINT"]) {
    process.once(signal, async () => {
      console.log(`${signal}: no new images, ending those in flight`);
      process.exit((await service.stop()) ? 0 : 1);
    });
  }
}

main().catch(({ message }) => {
  console.error(message);
  process.exit(2);
});
