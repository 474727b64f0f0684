// Candidates measured in turns: the same as `addernet profile --compare` does.

export { alternate } from "../dist/runtime/profile/alternate.js";
