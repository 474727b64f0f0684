// What there is to fuzz: by kind, how a seed becomes a case, how a case is checked and made smaller.

const fileKind = (kind) => ({
  load: async () => {
    const { makeFile, checkFile } = await import("./files.mjs");
    return {
      make: (seed) => ({ ...makeFile(seed, kind), seed }),
      check: checkFile,
      smaller: function* ({ bytes, ...rest }) {
        for (let size = bytes.length >> 1; size >= 1; size >>= 1) {
          for (let at = 0; at + size <= bytes.length; at += size) {
            yield { ...rest, bytes: Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]) };
          }
        }
      },
      show: ({ bytes }) => ({ base64: bytes.toString("base64") }),
    };
  },
});

/** Recipes with one choice less, or a plainer one. */
function* plainerRecipes(recipe) {
  for (const at of recipe.steps.keys()) yield { ...recipe, steps: recipe.steps.toSpliced(at, 1) };
  const plain = {
    batch: 1,
    channels: 1,
    freeBatch: false,
    freeSize: false,
    opset: 17,
    head: "none",
    form: "custom",
    target: "custom",
    bits: 0,
    threads: 1,
    strategy: "none",
    names: "plain",
    manyImages: false,
  };
  for (const [name, value] of Object.entries(plain))
    if (recipe[name] !== value) yield { ...recipe, [name]: value };
  for (const name of ["height", "width"])
    if (recipe[name] > 1) yield { ...recipe, [name]: recipe[name] >> 1 };
  const plainStep = {
    filters: 1,
    strides: [1, 1],
    dilations: [1, 1],
    pads: [0, 0, 0, 0],
    grouping: "one",
    bias: false,
    autoPad: "NOTSET",
    kernel: [1, 1],
    bare: true,
  };
  for (const [at, step] of recipe.steps.entries()) {
    if (step.kind !== "adder") continue;
    for (const [name, value] of Object.entries(plainStep)) {
      if (String(step[name]) !== String(value))
        yield { ...recipe, steps: recipe.steps.with(at, { ...step, [name]: value }) };
    }
  }
}

export const kinds = {
  graphs: {
    load: async () => {
      const { makeRecipe } = await import("./recipe.mjs");
      const { checkGraph } = await import("./graphs.mjs");
      return { make: makeRecipe, check: checkGraph, smaller: plainerRecipes, show: (recipe) => recipe };
    },
  },
  cnns: {
    load: async () => {
      const { makeCnn, checkCnn } = await import("./cnns.mjs");
      return { make: makeCnn, check: checkCnn, smaller: plainerRecipes, show: (recipe) => recipe };
    },
  },
  onnx: fileKind("onnx"),
  pth: fileKind("pth"),
  safetensors: fileKind("safetensors"),
  npy: fileKind("npy"),
  calibration: fileKind("calibration"),
  flags: {
    load: async () => {
      const { makeCommand, checkCommand } = await import("./flags.mjs");
      return {
        make: makeCommand,
        check: checkCommand,
        smaller: function* (argv) {
          for (const at of argv.keys()) yield argv.toSpliced(at, 1);
        },
        show: (argv) => argv,
      };
    },
  },
};
