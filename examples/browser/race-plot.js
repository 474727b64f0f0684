// The race as it runs: a line for each lane, recent milliseconds over time, on a logarithmic scale.

const namespace = "http://www.w3.org/2000/svg";
const [width, height] = [600, 160];
const [least, most] = [0.005, 500];

const heightOf = (milliseconds, [low, high]) => {
  const share = Math.log(milliseconds / low) / Math.log(high / low);
  return height - 12 - share * (height - 24);
};

/** Empties `svg` and answers what adds a point to every line: `add(share of the time, milliseconds of each lane)`. */
export function startPlot(svg) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  const points = [];
  function draw() {
    const all = points.flatMap(({ times }) => times).filter((time) => time > 0);
    const low = Math.max(least, Math.min(...all) / 1.3);
    const high = Math.min(most, Math.max(...all) * 1.3);
    for (const [lane, line] of [...svg.children].entries()) {
      const text = points.map(
        ({ share, times }) =>
          `${(share * width).toFixed(1)},${heightOf(times[lane], [low, high]).toFixed(1)}`,
      );
      line.setAttribute("points", text.join(" "));
    }
  }
  return (share, times) => {
    points.push({ share, times });
    while (svg.children.length < times.length) svg.append(document.createElementNS(namespace, "polyline"));
    draw();
  };
}
