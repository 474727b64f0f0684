// CNNs into AdderNets of the same topology.

export {
  type Adderized,
  type AdderizeOptions,
  type AdderizeProgress,
  type AdderizeReport,
  adderize,
  prepareCnn,
  samplesThatFit,
} from "./adderize.ts";
export type { OutputAgreement } from "./agreement.ts";
export type { KeptLayer } from "./layers.ts";
export type { LayerReport } from "./walk.ts";
