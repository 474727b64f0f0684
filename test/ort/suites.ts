// Graphs in which adder layers stand beside ops that our kernels do not cover, as text.

export interface MixedGraph {
  readonly name: string;
  readonly text: string;
  readonly opset?: number;
  /** Engines of the segments, in order. */
  readonly engines: readonly ("addernet" | "onnxruntime")[];
  readonly feeds: Readonly<Record<string, readonly number[]>>;
}

const layer = (name: string, x: string, y: string): string =>
  `%${y} = addernet::Adder2d[pads=1,1,1,1](%${x}, %${name}.adder)`;

export const mixedGraphs: readonly MixedGraph[] = [
  {
    name: "only adder layers",
    text: `input %x: float32[N,3,6,6]
      %a.adder = float32[4,3,3,3]
      ${layer("a", "x", "y")}
      output %y: float32[N,4,6,6]`,
    engines: ["addernet"],
    feeds: { x: [2, 3, 6, 6] },
  },
  {
    name: "no adder layer at all",
    text: `input %x: float32[2,4]
      %y = Erf(%x)
      output %y`,
    engines: ["onnxruntime"],
    feeds: { x: [2, 4] },
  },
  {
    name: "Resize and LayerNormalization between adder layers",
    text: `input %x: float32[N,3,6,6]
      %a.adder = float32[4,3,3,3]
      %b.adder = float32[5,4,3,3]
      %c.adder = float32[2,5,3,3]
      %scales = float32[4]{1,1,2,2}
      %ln.weight = float32[12]
      %ln.bias = float32[12]
      ${layer("a", "x", "a")}
      %r = Resize[mode="nearest"](%a, _, %scales)
      ${layer("b", "r", "b")}
      %n = LayerNormalization[axis=-1](%b, %ln.weight, %ln.bias)
      ${layer("c", "n", "y")}
      output %y`,
    engines: ["addernet", "onnxruntime", "addernet", "onnxruntime", "addernet"],
    feeds: { x: [2, 3, 6, 6] },
  },
  {
    name: "bounds that are fed",
    text: `input %x: float32[2,4]
      input %low: float32[]
      %y = Clip(%x, %low)
      output %y`,
    engines: ["onnxruntime"],
    feeds: { x: [2, 4], low: [] },
  },
  {
    name: "a norm whose scale another engine computes",
    text: `input %x: float32[1,3,6,6]
      input %s: float32[3]
      %a.adder = float32[3,3,3,3]
      %b = float32[3]
      ${layer("a", "x", "a")}
      %e = Erf(%s)
      %v = Abs(%b)
      %y = BatchNormalization(%a, %e, %b, %b, %v)
      output %y`,
    engines: ["onnxruntime", "addernet", "onnxruntime"],
    feeds: { x: [1, 3, 6, 6], s: [3] },
  },
  {
    name: "a constant node that the other engine reads",
    text: `input %x: float32[1,3,6,6]
      %a.adder = float32[2,3,3,3]
      %c = Constant[value_int=2]()
      ${layer("a", "x", "a")}
      %k = ArgMax[axis=1 keepdims=0](%a)
      %y = Mod(%k, %c)
      output %y: int64[1,6,6]`,
    engines: ["addernet", "onnxruntime"],
    feeds: { x: [1, 3, 6, 6] },
  },
  {
    name: "weights with scales per block, which our ops refuse",
    text: `input %x: float32[2,4]
      %w = uint8[4,6]
      %s = float32[4,2]
      %d = DequantizeLinear[axis=1 block_size=3](%w, %s)
      %y = MatMul(%x, %d)
      output %y: float32[2,6]`,
    opset: 21,
    engines: ["onnxruntime", "addernet"],
    feeds: { x: [2, 4] },
  },
  {
    name: "the mask of Dropout, which nothing reads",
    text: `input %x: float32[1,3,6,6]
      %a.adder = float32[2,3,3,3]
      ${layer("a", "x", "a")}
      %y, %mask = Dropout(%a)
      output %y: float32[1,2,6,6]`,
    engines: ["addernet"],
    feeds: { x: [1, 3, 6, 6] },
  },
  {
    name: "two branches, one of them foreign, added",
    text: `input %x: float32[1,2,5,5]
      %a.adder = float32[3,2,3,3]
      %b.adder = float32[3,2,3,3]
      ${layer("a", "x", "a")}
      ${layer("b", "x", "b")}
      %e = Erf(%b)
      %s = Add(%a, %e)
      %y = Relu(%s)
      output %y`,
    engines: ["addernet", "onnxruntime", "addernet"],
    feeds: { x: [1, 2, 5, 5] },
  },
  {
    name: "an intermediate value as output, and integers made by an inner session",
    text: `input %x: float32[1,2,4,4]
      %a.adder = float32[3,2,3,3]
      ${layer("a", "x", "a")}
      %places = NonZero(%a)
      %z = Shape(%places)
      output %a
      output %z`,
    engines: ["addernet", "onnxruntime"],
    feeds: { x: [1, 2, 4, 4] },
  },
  {
    name: "a foreign op first and a shape worked out from the input",
    text: `input %x: float32[N,2,4,4]
      %a.adder = float32[3,2,3,3]
      %zero = int64[1]{0}
      %rest = int64[1]{-1}
      %e = Erf(%x)
      ${layer("a", "e", "a")}
      %shape = Shape(%a)
      %batch = Gather[axis=0](%shape, %zero)
      %target = Concat[axis=0](%batch, %rest)
      %y = Reshape(%a, %target)
      output %y: float32[N,48]`,
    engines: ["onnxruntime", "addernet"],
    feeds: { x: [3, 2, 4, 4] },
  },
];
