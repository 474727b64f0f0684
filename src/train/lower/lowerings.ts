// How every kind of layer is lowered. The compiler misses none.

import type { Layer } from "../network.ts";
import type { Lowering } from "./context.ts";
import { filterLowering } from "./filters.ts";
import { normLowering } from "./norm.ts";
import {
  addLowering,
  averagePoolLowering,
  flattenLowering,
  gridLowering,
  maxPoolLowering,
  preluLowering,
  reluLowering,
} from "./simple.ts";

type Kind = Layer["kind"];
type OfKind<K extends Kind> = Extract<Layer, { kind: K }> | (Layer & { kind: K });

export const lowerings: { readonly [K in Kind]: Lowering<Extract<OfKind<K>, Layer>> } = {
  adder: filterLowering,
  conv: filterLowering,
  norm: normLowering,
  relu: reluLowering,
  prelu: preluLowering,
  maxPool: maxPoolLowering,
  averagePool: averagePoolLowering,
  add: addLowering,
  flatten: flattenLowering,
  grid: gridLowering,
} as never;
