// One tap of each sum: what is added to an accumulator for an input x and a weight w.
// Used as type arguments; instances are never made, so `this` is not touched.

/** -|x - w|, for x and w of any sign. */
@unmanaged
export class AdderTap {
  @inline scalar(sum: f32, x: f32, w: f32): f32 {
    return sum - abs<f32>(x - w);
  }
  @inline vector(sum: v128, x: v128, w: v128): v128 {
    return f32x4.sub(sum, f32x4.abs(f32x4.sub(x, w)));
  }
  @inline finish(sum: f32, inputSum: f32): f32 {
    return sum;
  }
  @inline finishVector(sum: v128, inputSum: v128): v128 {
    return sum;
  }
  @inline needsInputSum(): bool {
    return false;
  }
}

/**
 * min(x, w) for x >= 0 and w >= 0: floats that are not negative order like their bits, and an integer minimum runs beside
 * the float addition. 2·Σmin(x, w) - Σx - Σw = -Σ|x - w|; the caller has -Σw in its bias.
 */
@unmanaged
export class AdderMinTap {
  @inline scalar(sum: f32, x: f32, w: f32): f32 {
    const a = reinterpret<i32>(x);
    const b = reinterpret<i32>(w);
    return sum + reinterpret<f32>(a < b ? a : b);
  }
  @inline vector(sum: v128, x: v128, w: v128): v128 {
    return f32x4.add(sum, i32x4.min_s(x, w));
  }
  @inline finish(sum: f32, inputSum: f32): f32 {
    return sum + sum - inputSum;
  }
  @inline finishVector(sum: v128, inputSum: v128): v128 {
    return f32x4.sub(f32x4.add(sum, sum), inputSum);
  }
  @inline needsInputSum(): bool {
    return true;
  }
}

/** x·w. */
@unmanaged
export class ProductTap {
  @inline scalar(sum: f32, x: f32, w: f32): f32 {
    return sum + x * w;
  }
  @inline vector(sum: v128, x: v128, w: v128): v128 {
    return f32x4.add(sum, f32x4.mul(x, w));
  }
  @inline finish(sum: f32, inputSum: f32): f32 {
    return sum;
  }
  @inline finishVector(sum: v128, inputSum: v128): v128 {
    return sum;
  }
  @inline needsInputSum(): bool {
    return false;
  }
}
