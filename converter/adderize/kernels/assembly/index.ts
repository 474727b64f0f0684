// What fitting an adder layer takes, out of the kernels of training: its sums, and the true gradient of its weights.

export { adder } from "../../../../src/train/kernels/assembly/layer";
export { signWeightGradient } from "../../../../src/train/kernels/assembly/weight-gradient";
