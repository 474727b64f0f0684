// The study on MNIST as data: the schemes and what was published for them, the runs they amount to, and what came out.

/**
 * In the published order, best first. "increased": adder weights learn 100 times as fast, by one rate for all layers; "adaptive": every
 * layer's gradient gets the same length per weight.
 */
export const schemes = [
  {
    name: "full-adaptive",
    title: "full-precision gradient, adaptive rate",
    published: 99.4,
    flags: ["--weight-gradient", "full", "--adder-rate", "adaptive"],
  },
  {
    name: "full-increased",
    title: "full-precision gradient, increased rate",
    published: 98.99,
    flags: ["--weight-gradient", "full", "--adder-rate", "increased", "--rate-factor", "100"],
  },
  {
    name: "sign-adaptive",
    title: "sign gradient, adaptive rate",
    published: 97.99,
    flags: ["--weight-gradient", "sign", "--adder-rate", "adaptive"],
  },
  {
    name: "sign-increased",
    title: "sign gradient, increased rate",
    published: 97.72,
    flags: ["--weight-gradient", "sign", "--adder-rate", "increased", "--rate-factor", "100"],
  },
];

export const cnn = { name: "cnn", title: "CNN", published: 99.4, flags: ["--layers", "conv"] };

/** The paper's own: pixels as they are, SGD from 0.1 along a cosine, which ends at 0 for any number of epochs. */
const recipe = ["--batch", "256", "--learning-rate", "0.1", "--schedule", "smooth-cosine"];

/**
 * For the picture of LeNet++, which has two hundred times the taps of LeNet-5: a quarter of its filters, and small batches for many steps.
 */
const featuresRecipe = [
  ...["--width", "0.25", "--batch", "64"],
  ...["--learning-rate", "0.1", "--schedule", "smooth-cosine"],
];

/** Runs in an order that gives the whole table for one seed before the next one begins. */
export function runsOf({ epochs, features, seeds, names, limit }) {
  const run = (name, { arch, images, count, seed, flags }) => ({
    name: `${name}-${seed}`,
    kind: `${arch} ${flags.includes("conv") ? "conv" : "adder"}`,
    scheme: name,
    seed,
    images: images ?? 60_000,
    wanted: count,
    flags: [
      ...["--arch", arch, "--data", "mnist", "--crop", "0", "--epochs", `${count}`, "--seed", `${seed}`],
      ...(images === undefined ? [] : ["--limit", `${images}`]),
      ...flags,
    ],
  });
  const chosen = [cnn, ...schemes.filter(({ name }) => names.includes(name))];
  const study = seeds.flatMap((seed) =>
    chosen.map(({ name, flags }) =>
      run(name, { arch: "lenet5-bn", images: limit, count: epochs, seed, flags: [...recipe, ...flags] }),
    ),
  );
  if (features === 0) return study;
  const pictured = [cnn, schemes[0]].map(({ name, flags }) =>
    run(`features-${name}`, {
      ...{ arch: "lenet-plus-plus", images: limit, count: features, seed: seeds[0] },
      flags: [...featuresRecipe, ...flags],
    }),
  );
  return [...study, ...pictured];
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Standard deviation of one run, as far as a few seeds tell. */
function deviation(values) {
  if (values.length < 2) return null;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

function rowOf({ name, title, published }, looked) {
  const own = looked.filter(({ scheme }) => scheme === name);
  const done = own.filter(({ isDone }) => isDone);
  const accuracies = done.map(({ epochs }) => 100 * epochs.at(-1).validation.accuracy);
  return {
    ...{ name, title, published, accuracies },
    mean: accuracies.length === 0 ? null : mean(accuracies),
    deviation: deviation(accuracies),
    curves: own.map(({ seed, epochs }) => ({
      seed,
      points: epochs.map(({ epoch, validation }) => [epoch, 100 * validation.accuracy]),
    })),
  };
}

/** Whether each scheme beats the next one, and whether by more than the seeds differ among themselves. */
function orderOf(rows) {
  return rows.slice(1).map((worse, index) => {
    const better = rows[index];
    if (better.mean === null || worse.mean === null) return null;
    const gap = better.mean - worse.mean;
    const known = better.deviation !== null && worse.deviation !== null;
    const noise = known ? Math.max(better.deviation, worse.deviation) : null;
    return { better: better.name, worse: worse.name, gap, noise, holds: known && gap > noise };
  });
}

/** Everything that tables and pictures are made of. */
export function summarise(looked, { epochs, seeds, limit, names }) {
  const chosen = schemes.filter(({ name }) => names.includes(name));
  const rows = chosen.map((scheme) => rowOf(scheme, looked));
  return {
    ...{ epochs, seeds, images: limit ?? 60_000 },
    isComplete: looked.every(({ isDone }) => isDone),
    cnn: rowOf(cnn, looked),
    schemes: rows,
    order: orderOf(rows).filter((pair) => pair !== null),
    done: looked.filter(({ isDone }) => isDone).map(({ name }) => name),
  };
}
