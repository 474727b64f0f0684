// Answers for things made of other things, the parts first: without recursion, since graphs may be thousands of steps deep.

/**
 * The answer for `root`, after those of all it is made of; `known` keeps them. In a circle, which no sound graph has, a part counts as
 * answered once it is begun, so `compute` may find it missing in `known`.
 */
export function bottomUp<K, V>(
  root: K,
  known: Map<K, V>,
  partsOf: (key: K) => Iterable<K>,
  compute: (key: K) => V,
): V {
  const begun = new Set<K>();
  const stack = [root];
  for (let key = stack.at(-1); key !== undefined; key = stack.at(-1)) {
    const isReady = known.has(key) || begun.has(key);
    begun.add(key);
    if (isReady) {
      stack.pop();
      if (!known.has(key)) known.set(key, compute(key));
    } else {
      for (const part of partsOf(key)) if (!known.has(part) && !begun.has(part)) stack.push(part);
    }
  }
  return known.get(root)!;
}
