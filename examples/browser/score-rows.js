// A list of names with bars: probabilities as people read them.

import { bar, make } from "./elements.js";

/** Fills `list` with one row for each name; answers what shows a share in each. */
export function scoreRows(list, names) {
  const rows = names.map((name) => {
    const { element, set } = bar();
    const percent = make("span", { textContent: "0 %" });
    list.append(make("li", {}, [make("span", { textContent: name }), element, percent]));
    return (share) => {
      set(share);
      percent.textContent = `${Math.round(100 * share)} %`;
    };
  });
  return (shares) => {
    rows.forEach((set, index) => {
      set(shares[index] ?? 0);
    });
  };
}
