nnmoments.explorable("local_window", ex => {
  "use strict";
  const { data, short } = ex, x = data.x;
  const point = ex.range("point", "Point x", x, v => short(v, 3), 44);
  const width = ex.range("width", "Bandwidth h", data.bandwidths, v => short(v, 2), 3);
  const degree = ex.choice("degree", "Degree", data.degrees.map(String), 1);
  const order = ex.choice("order", "Order m of the score", ["1", "2", "3", "4"], 2);

  ex.draw(() => {
    const h = width.chosen, p = x[point.value], now = data.cases[width.value][degree.value], m = order.value;
    const [svg, left, right] = ex.sheet(2, 310);
    const first = ex.panel(svg, left, { x: [-2.5, 2.5], y: [0, 0.62], xlabel: "x", title: "density, window and local fit" });
    first.shape([[x[0], 0], ...x.map((v, i) => [v, data.density[i]]), [x[x.length - 1], 0]], "f7");
    const fine = Array.from({ length: 201 }, (_, i) => -2.5 + i / 40);
    first.shape(fine.map(v => [v, 0.2 * Math.exp(-(((v - p) / h) ** 2) / 2)]).concat([[2.5, 0], [-2.5, 0]]), "f1");
    const factorial = [1, 1, 2, 6, 24];
    const local = fine.filter(v => Math.abs(v - p) <= 2 * h).map(v => [v, Math.exp(now.log.reduce((sum, a, k) => sum + a[point.value] * (v - p) ** k / factorial[k], 0))]);
    first.line(local, "c2 bold");
    first.dot([p, Math.exp(now.log[0][point.value])], "f2", 6);
    first.write([p, 0.2], "window", "t1", "middle", [0, 60]);
    const truth = data.truth[m], found = now.scores[m], inner = truth.filter((_, i) => Math.abs(x[i]) < 2), top = Math.max(...inner.map(Math.abs)) * 1.4;
    const second = ex.panel(svg, right, { x: [-2.5, 2.5], y: [-top, top], xlabel: "x", title: `the score S${"₁₂₃₄"[m]}(x)` });
    second.line([[-2.5, 0], [2.5, 0]], "thin");
    second.line(x.map((v, i) => [v, truth[i]]), "dash"); second.line(x.map((v, i) => [v, found[i]]), "c1");
    second.segment([p, truth[point.value]], [p, found[point.value]], "c2");
    second.dot([p, found[point.value]], "f1", 6); second.dot([p, truth[point.value]], "f7", 4);
    ex.say(`At x = ${short(p)}: S<sub>${m + 1}</sub> is <span class="t1">${short(found[point.value])}</span> by the fit of degree ${degree.chosen}, in truth ${short(truth[point.value])}.`, { found: found[point.value], truth: truth[point.value] });
  });
});
