// Adder networks on 3- to 8-bit codes.

export {
  type CalibratedLayer,
  type CalibratedValue,
  type Calibration,
  formatCalibration,
  parseCalibration,
} from "./calibration.ts";
export { type Correction, corrections } from "./correction.ts";
export { type Forecast, forecast } from "./forecast.ts";
export { makeNoiseMeter, type NoiseMeter } from "./lanes.ts";
export type { Samples } from "./observe.ts";
export type { RunningModel, StartModel } from "./parts.ts";
export {
  type CalibrateOptions,
  type Quantized,
  type QuantizedLayer,
  type QuantizeOptions,
  type QuantizeProgress,
  type QuantizeReport,
  quantize,
  type ReuseOptions,
  startReference,
} from "./quantize.ts";
export { type RangeMethod, rangeMethods } from "./ranges.ts";
