nnmoments.explorable("second_moment", ex => {
  "use strict";
  const { data, short } = ex, d = data.truth.length;
  const size = ex.range("size", "Samples n", data.sizes, n => n.toLocaleString("en"), 3);
  const way = ex.choice("way", "Taken out of y", data.ways);
  const top = Math.max(...data.truth.flat());

  const matrix = (svg, box, values, title) => {
    const side = Math.min(box.width, box.height - 30), cell = side / d, group = ex.element(svg, "g");
    ex.element(group, "text", { x: box.left, y: box.top + 14, class: "ex-title" }, title);
    values.forEach((row, i) => row.forEach((v, j) => {
      const [r, g, b] = ex.signed(v / top), at = { x: box.left + j * cell, y: box.top + 26 + i * cell, width: cell - 2, height: cell - 2 };
      ex.element(group, "rect", { ...at, fill: `rgb(${r},${g},${b})`, class: "ex-cell" });
      if (cell > 30) ex.element(group, "text", { x: at.x + cell / 2 - 1, y: at.y + cell / 2 + 4, class: "ex-number", "text-anchor": "middle", style: `fill: ${0.3 * r + 0.59 * g + 0.11 * b > 128 ? "#111" : "#fff"}` }, short(Number(v.toFixed(2)), 2));
    }));
  };

  ex.draw(() => {
    const [svg, one, two, three] = ex.sheet(3, 270, [1, 1, 1.1]);
    const found = data.moments[way.value][size.value], error = data.errors[way.value][size.value];
    matrix(svg, one, found, "estimated T\u2082");
    matrix(svg, two, data.truth, "true T\u2082");
    const all = data.errors.flat();
    const chart = ex.panel(svg, three, { x: [data.sizes[0], data.sizes[data.sizes.length - 1]], y: [Math.min(...all) * 0.8, Math.max(...all) * 1.25], logx: true, logy: true, xlabel: "samples n", title: "relative error" });
    data.errors.forEach((line, i) => chart.line(data.sizes.map((n, j) => [n, line[j]]), i === way.value ? `c${i + 1} bold` : `c${i + 1} faint`));
    chart.dot([data.sizes[size.value], error], `f${way.value + 1}`, 6);
    ex.say(`n = ${data.sizes[size.value].toLocaleString("en")}, ${data.ways[way.value]} taken out: relative error <span class="t${way.value + 1}">${short(error)}</span>.`, { error, moment: found });
  });
});
