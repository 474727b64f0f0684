// Makes a failing case smaller as long as it fails in the same way.

/** Attempts are bounded: a smaller case is a comfort, not a duty. */
const mostAttempts = 400;

async function errorOf(check, one) {
  try {
    await check(one);
    return undefined;
  } catch (error) {
    return error;
  }
}

const kindOf = (error) => `${error.what ?? error.name}`;

/** The smallest case found that still fails like `error`, and its error. */
export async function shrink(given, error, { check, smaller }) {
  let [found, last] = [given, error];
  let attempts = 0;
  for (let again = true; again; ) {
    again = false;
    for (const candidate of smaller(found)) {
      if (attempts++ > mostAttempts) return { found, error: last };
      const failed = await errorOf(check, candidate);
      if (failed === undefined || kindOf(failed) !== kindOf(error)) continue;
      [found, last] = [candidate, failed];
      again = true;
      break;
    }
  }
  return { found, error: last };
}
