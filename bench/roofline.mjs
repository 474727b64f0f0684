// The roofline of this machine: the same as in `addernet profile`.

export { adderMixes, measureRoofline } from "../dist/runtime/profile/roofline.js";
