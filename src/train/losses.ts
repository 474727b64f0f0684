// Losses: a mean over the batch, and its gradient by the outputs. Outputs are rows of `classes` numbers.

export interface LossArguments {
  readonly outputs: Float32Array;
  readonly labels: ArrayLike<number>;
  readonly classes: number;
  /** A teacher's outputs for the same images, where there is one. */
  readonly teacher?: Float32Array | undefined;
}

export interface LossValue {
  readonly loss: number;
  readonly gradient: Float32Array;
}

export type Loss = (given: LossArguments) => LossValue;

/** log Σ exp of a row divided by `temperature`, the largest taken out first. */
function logSum(outputs: Float32Array, start: number, classes: number, temperature: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < classes; c++) largest = Math.max(largest, outputs[start + c]! / temperature);
  let sum = 0;
  for (let c = 0; c < classes; c++) sum += Math.exp(outputs[start + c]! / temperature - largest);
  return largest + Math.log(sum);
}

/** -log softmax(outputs)[label]; with smoothing s, a share s of the label is spread over all classes. */
export function crossEntropy({ smoothing = 0 }: { readonly smoothing?: number } = {}): Loss {
  return ({ outputs, labels, classes }) => {
    const rows = labels.length;
    const gradient = new Float32Array(outputs.length);
    let loss = 0;
    for (let row = 0; row < rows; row++) {
      const start = row * classes;
      const total = logSum(outputs, start, classes, 1);
      for (let c = 0; c < classes; c++) {
        const wanted = smoothing / classes + (c === labels[row] ? 1 - smoothing : 0);
        const logProbability = outputs[start + c]! - total;
        if (wanted > 0) loss -= wanted * logProbability;
        gradient[start + c] = (Math.exp(logProbability) - wanted) / rows;
      }
    }
    return { loss: loss / rows, gradient };
  };
}

/** T²·KL(softmax(teacher/T) ‖ softmax(outputs/T)), the mean over the batch. */
function divergence({ outputs, teacher, classes, labels }: LossArguments, temperature: number): LossValue {
  const rows = labels.length;
  const gradient = new Float32Array(outputs.length);
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const start = row * classes;
    const own = logSum(outputs, start, classes, temperature);
    const other = logSum(teacher!, start, classes, temperature);
    for (let c = 0; c < classes; c++) {
      const logOwn = outputs[start + c]! / temperature - own;
      const logOther = teacher![start + c]! / temperature - other;
      const wanted = Math.exp(logOther);
      if (wanted > 0) loss += temperature * temperature * wanted * (logOther - logOwn);
      gradient[start + c] = (temperature * (Math.exp(logOwn) - wanted)) / rows;
    }
  }
  return { loss: loss / rows, gradient };
}

export interface DistillationOptions {
  /** Share of the labels' cross entropy; the rest is the teacher's. */
  readonly alpha?: number;
  readonly temperature?: number;
}

/** alpha·cross entropy + (1 - alpha)·T²·KL to the teacher (Hinton et al.). Without a teacher's outputs, cross entropy alone. */
export function distillation({ alpha = 0.5, temperature = 4 }: DistillationOptions = {}): Loss {
  const plain = crossEntropy();
  return (given) => {
    const hard = plain(given);
    if (given.teacher === undefined) return hard;
    const soft = divergence(given, temperature);
    return {
      loss: alpha * hard.loss + (1 - alpha) * soft.loss,
      gradient: hard.gradient.map((value, index) => alpha * value + (1 - alpha) * soft.gradient[index]!),
    };
  };
}
