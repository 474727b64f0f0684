// The passes in the order in which they run, with the reason of the order.

import { averagePoolToGlobal } from "./average-pool-to-global.ts";
import { batchNormToAffine } from "./batch-norm-to-affine.ts";
import { foldBatchNormIntoConv } from "./fold-batch-norm-into-conv.ts";
import { foldConstants } from "./fold-constants.ts";
import { freezeInitializers } from "./freeze-initializers.ts";
import { fuseBias } from "./fuse-bias.ts";
import { fuseChannelScale } from "./fuse-channel-scale.ts";
import { fuseRelu } from "./fuse-relu.ts";
import { fuseResidualAdd } from "./fuse-residual-add.ts";
import { hoistRelu } from "./hoist-relu.ts";
import { mergePads } from "./merge-pads.ts";
import { mergeReshapes } from "./merge-reshapes.ts";
import { mergeTransposes } from "./merge-transposes.ts";
import { normaliseGemm } from "./normalise-gemm.ts";
import type { Pass } from "./pass.ts";
import { removeDead } from "./remove-dead.ts";
import { removeIdentities } from "./remove-identities.ts";
import { shareInitializers } from "./share-initializers.ts";
import { simplifyShapeChains } from "./simplify-shape-chains.ts";
import { sinkReshapes } from "./sink-reshapes.ts";

export { type Pass, type PassContext, type PassReport, runPasses } from "./pass.ts";

export const passes: readonly Pass[] = [
  // What is constant must be known before anything is folded into it.
  freezeInitializers,
  foldConstants,
  // Layers meet only once nothing idle stands between them.
  removeIdentities,
  mergeTransposes,
  simplifyShapeChains,
  mergeReshapes,
  // Pads first: an average over the whole map is recognised only without a Pad before it.
  mergePads,
  averagePoolToGlobal,
  normaliseGemm,
  // These bring what can be fused next to its layer.
  sinkReshapes,
  hoistRelu,
  // A layer computes scale, bias, residual, clip in this order, so nothing earlier can be fused once a later one is.
  foldBatchNormIntoConv,
  batchNormToAffine,
  fuseBias,
  fuseChannelScale,
  fuseResidualAdd,
  fuseRelu,
  // Last: what the others left behind.
  shareInitializers,
  removeDead,
];
