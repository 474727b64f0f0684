// A kernel with its arguments in place: what the calling thread and the workers go through.

/** For one image. */
export type LinkedCall = (image: number) => void;

/** `from`: arguments for image 0; `strides`: bytes by which they move from image to image, none where all stay. */
export function linkKernel(
  kernel: (...args: number[]) => void,
  from: readonly number[],
  strides: readonly number[],
): LinkedCall {
  const moving = [...strides.keys()].filter((at) => strides[at] !== 0);
  // Bound arguments are passed on faster than a list is spread.
  if (moving.length === 0) return kernel.bind(undefined, ...from);
  const args = [...from];
  return (image) => {
    for (const at of moving) args[at] = from[at]! + image * strides[at]!;
    kernel(...args);
  };
}
