// addernet/profile: what a model costs here, per layer; in Node and in browsers.

export { type AlternateOptions, alternate } from "./alternate.ts";
export { clockResolution, type MeasureOptions, measureRuns, type Recording, usualSteps } from "./measure.ts";
export { energyTable, processors, published } from "./models-of-cost.ts";
export type { Finding, MachineState, Noise } from "./noise.ts";
export { pageEnvironment } from "./page-environment.ts";
export { type ProfileOptions, type ProfilePhase, profileModel } from "./profile.ts";
export { toHtml } from "./render/html.ts";
export { toMarkdown } from "./render/markdown.ts";
export { mergedHtml, mergedMarkdown } from "./render/merge.ts";
export { type Section, sectionsOf } from "./render/sections.ts";
export { type Trace, toTrace } from "./render/trace.ts";
export type * from "./report.ts";
export { measureRoofline } from "./roofline.ts";
export { type Distribution, distribution, type Ratio, ratioOf } from "./statistics.ts";
export {
  type Condition,
  checkBaseline,
  checkConditions,
  conditionForm,
  differences,
  parseCondition,
  thresholdFailure,
} from "./thresholds.ts";
