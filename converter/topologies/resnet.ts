// The residual networks of the AdderNet repository: three stages of basic blocks for CIFAR, four stages with a 7x7 stem for ImageNet. First and last
// layer multiply; the classifier may be a 1x1 filter bank, with batch normalisation on the logits.

import {
  average,
  type FilterStep,
  filter,
  maxPool,
  norm,
  optionalNorm,
  type ResidualStep,
  relu,
  type Step,
  type Topology,
} from "./topology.ts";

interface Block {
  readonly name: string;
  readonly inputs: number;
  readonly width: number;
  readonly stride: number;
  readonly isFirst: boolean;
}

function residual(block: Block, outputs: number, body: readonly Step[]): ResidualStep {
  const { name, stride, inputs, isFirst } = block;
  const downsample = [filter(`${name}.downsample.0`, outputs, { stride }), norm(`${name}.downsample.1`)];
  return {
    kind: "residual",
    name,
    body,
    shortcut: isFirst ? downsample : [],
    isShortcutOptional: stride === 1 && inputs === outputs,
  };
}

const filter3x3 = (name: string, outputs: number, stride: number): FilterStep =>
  filter(name, outputs, { kernel: 3, stride, pad: 1 });

function basicBlock(block: Block): Step[] {
  const { name, width, stride } = block;
  const body = [
    ...[filter3x3(`${name}.conv1`, width, stride), norm(`${name}.bn1`), relu],
    ...[filter3x3(`${name}.conv2`, width, 1), norm(`${name}.bn2`)],
  ];
  return [residual(block, width, body), relu];
}

/** The stride is on the 3x3. */
function bottleneck(block: Block): Step[] {
  const { name, width, stride } = block;
  const body = [
    ...[filter(`${name}.conv1`, width), norm(`${name}.bn1`), relu],
    ...[filter3x3(`${name}.conv2`, width, stride), norm(`${name}.bn2`), relu],
    ...[filter(`${name}.conv3`, 4 * width), norm(`${name}.bn3`)],
  ];
  return [residual(block, 4 * width, body), relu];
}

function stages(
  widths: readonly number[],
  blocks: readonly number[],
  makeBlock: (block: Block) => Step[],
  expansion: number,
): Step[] {
  let inputs = widths[0]!;
  return widths.flatMap((width, stage) =>
    Array.from({ length: blocks[stage]! }, (_, index) => {
      const stride = stage > 0 && index === 0 ? 2 : 1;
      const name = `layer${stage + 1}.${index}`;
      const steps = makeBlock({ name, inputs, width, stride, isFirst: index === 0 });
      inputs = expansion * width;
      return steps;
    }).flat(),
  );
}

const classifier: readonly Step[] = [
  average,
  filter("fc", "classes", { isOrdinary: true }),
  optionalNorm("bn2"),
];

/** 6n + 2 layers: n blocks in each of three stages. */
export function cifarResnet(n: number): Topology {
  const stem = [filter("conv1", 16, { kernel: 3, pad: 1, isOrdinary: true }), norm("bn1"), relu];
  const steps = [...stem, ...stages([16, 32, 64], [n, n, n], basicBlock, 1), ...classifier];
  return { size: 32, inputChannels: 3, classes: 10, steps };
}

export function imagenetResnet(blocks: readonly number[], kind: "basic" | "bottleneck"): Topology {
  const [makeBlock, expansion] = kind === "basic" ? [basicBlock, 1] : [bottleneck, 4];
  const stem = [
    ...[filter("conv1", 64, { kernel: 7, stride: 2, pad: 3, isOrdinary: true }), norm("bn1"), relu],
    maxPool(3, 2, 1),
  ];
  const steps = [...stem, ...stages([64, 128, 256, 512], blocks, makeBlock, expansion), ...classifier];
  return { size: 224, inputChannels: 3, classes: 1000, steps };
}
