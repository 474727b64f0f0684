// Medians, quartiles and ratios of paired times: the same as in `addernet profile`.

export { median, quantile, ratioOf, summarise } from "../dist/runtime/profile/statistics.js";
