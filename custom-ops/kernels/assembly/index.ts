// Every kernel of the module. `../table.ts` says what each computes; the scalar and the SIMD binary are built from here.

export { f32_affine, f32_reduce_max, f32_reduce_sum } from "./affine";
export { f32_add, f32_div, f32_max, f32_min, f32_mul, f32_prelu, f32_sub } from "./binary";
export { i32_to_f32, u8_dequantize, u8_quantize } from "./codes";
export { b32_copy, b32_gather, b8_copy, b8_gather, f32_fill } from "./copy";
export { f32_expand, u8_expand } from "./expand";
export { u8_adder_linear_1x64, u8_adder_linear_f32_1x64, u8_adder_linear_i32_1x64 } from "./fully-connected";
export { f32_adder_4x8, f32_adder_min_4x8, f32_conv_4x8 } from "./image";
export { f32_adder_linear_4x8, f32_adder_min_linear_4x8, f32_linear_4x8 } from "./linear";
export { f32_list_taps, u8_list_taps } from "./list-taps";
export { f32_pack_rows } from "./pack";
export { f32_log_softmax, f32_softmax } from "./softmax";
export { f32_adder_sparse_1x28, u8_adder_sparse_1x64, u8_adder_sparse_f32_1x64, u8_adder_sparse_i32_1x64 } from "./sparse";
export {
  f32_abs, f32_clip, f32_elu, f32_exp, f32_hard_sigmoid, f32_hard_swish, f32_leaky_relu, f32_log, f32_neg, f32_reciprocal,
  f32_sigmoid, f32_sqrt, f32_tanh,
} from "./unary";
export {
  f32_adder_depthwise_1x4, f32_average_pool_1x4, f32_conv_depthwise_1x4, f32_max_pool_1x4, u8_max_pool_1x16,
} from "./window";
export { f32_window_sums, u8_window_sums } from "./window-sums";
