// Whether two tensors agree as the backend tests ask: |found - wanted| <= atol + rtol·|wanted|, NaN and infinities alike.

/** What is wrong, or undefined. */
export function difference(found, wanted, { rtol, atol }) {
  if (found === undefined) return "no output";
  if (found.type !== wanted.type) return `type ${found.type}, wanted ${wanted.type}`;
  if (found.dims.join() !== wanted.dims.join()) return `shape [${found.dims}], wanted [${wanted.dims}]`;
  if (found.data.length !== wanted.data.length) return `${found.data.length} elements`;
  for (let index = 0; index < wanted.data.length; index++) {
    const [a, b] = [found.data[index], wanted.data[index]];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const [left, right] = [Number(a), Number(b)];
    if (Math.abs(left - right) <= atol + rtol * Math.abs(right)) continue;
    return `element ${index}: ${a}, wanted ${b}`;
  }
  return undefined;
}

export function firstDifference(found, wanted, tolerance) {
  for (const [index, tensor] of wanted.entries()) {
    const wrong = difference(found[index], tensor, tolerance);
    if (wrong !== undefined) return `output ${index}: ${wrong}`;
  }
  return undefined;
}
