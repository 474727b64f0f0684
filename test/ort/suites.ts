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
