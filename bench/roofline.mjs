// The roofline of this machine: the same as in `addernet profile`.

export { leastMilliseconds, measureRoofline } from "../dist/runtime/profile/roofline.js";
