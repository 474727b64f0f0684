// Which law weights follow: the likelihoods of the report against laws drawn from.

import { describe, expect, it } from "vitest";
import { fits } from "../../src/cli/train/report.ts";
import { randomStream } from "../../src/train/index.ts";

const random = randomStream(11);
const gauss = () => Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
const laplace = () => Math.sign(random.next() - 0.5) * -Math.log(1 - random.next());

describe.each([
  { law: "Laplace", draw: laplace },
  { law: "Gauss", draw: gauss },
])("weights drawn from $law", ({ law, draw }) => {
  const values = Float32Array.from({ length: 20_000 }, () => 3 + 2 * draw());
  it("are told apart, with the likelihood that their density gives", () => {
    const [a, b] = fits(values);
    expect((a.likelihood > b.likelihood ? a : b).name).toBe(law);
    for (const { density, likelihood } of [a, b]) {
      const mean = values.reduce((sum, value) => sum + Math.log(density(value)), 0) / values.length;
      expect(likelihood).toBeCloseTo(mean, 3);
    }
  });
});
