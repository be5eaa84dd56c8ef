nnmoments.explorable("stein_identity", ex => {
  "use strict";
  const { data, short } = ex, x = data.x, step = x[1] - x[0];
  const law = ex.choice("law", "Density f", data.laws.map(l => l.name), 3);
  const label = ex.choice("label", "Label h", data.labels.map(l => l.name), 0);
  const order = ex.choice("order", "Order m", ["1", "2", "3", "4"], 1);
  const shift = ex.range("shift", "Place b", data.shifts, v => short(v, 2), 18);
  const running = values => { let sum = 0; return values.map((v, i) => [x[i], sum += v * step]); };
  const span = values => { const top = Math.max(...values.map(Math.abs)); return [-1.08 * top, 1.08 * top]; };

  ex.draw(() => {
    const { f, S } = data.laws[law.value], m = order.value + 1;
    const offset = Math.round((x[0] - data.shifts[shift.value] + 9) / step);
    const h = k => x.map((_, i) => data.labels[label.value].y[k][offset + i]);
    const [left, right, wrong] = data.sides[law.value][label.value][order.value][shift.value];
    const [svg, one, two, three] = ex.sheet(3, 290);

    const y = h(0), low = Math.min(0, ...y), high = Math.max(...y), tall = Math.max(...f);
    const first = ex.panel(svg, one, { x: [-5, 5], y: [low - 0.05, Math.max(high, 1) * 1.05], xlabel: "x", title: "density and label" });
    first.shape([[x[0], 0], ...x.map((v, i) => [v, f[i] / tall * 0.6 * Math.max(high, 1)]), [x[x.length - 1], 0]], "f7");
    first.line(x.map((v, i) => [v, y[i]]), "c3");
    first.write([-4.8, Math.max(high, 1)], "h(x \u2212 b)", "t3", "start", [0, 6]);

    const score = S[order.value], gauss = data.gaussian[order.value], middle = x.map((v, i) => i).filter(i => Math.abs(x[i]) <= 2.6);
    const second = ex.panel(svg, two, { x: [-5, 5], y: span(middle.flatMap(i => [score[i], gauss[i]])), xlabel: "x", title: `score S${"₁₂₃₄"[m - 1]}(x)` });
    second.line([[-5, 0], [5, 0]], "thin");
    second.line(x.map((v, i) => [v, gauss[i]]), "dash");
    second.line(x.map((v, i) => [v, score[i]]), "c1");

    const derivative = h(m);
    const curves = [running(f.map((v, i) => v * y[i] * gauss[i])), running(f.map((v, i) => v * derivative[i])), running(f.map((v, i) => v * y[i] * score[i]))];
    const third = ex.panel(svg, three, { x: [-5, 6.4], y: span(curves.flatMap(c => c.map(p => p[1]))), xlabel: "integrated up to x", title: "the two integrals", xticks: [-4, -2, 0, 2, 4] });
    third.line([[-5, 0], [6, 0]], "thin");
    ["dash", "c2", "c1"].forEach((look, i) => third.line(curves[i], look));
    third.dot([6, wrong], "f7", 4); third.dot([6, right], "f2", 6); third.dot([6, left], "f1", 3.5);
    const close = Math.abs(wrong - left) < 0.005 * Math.max(1, Math.abs(left));
    ex.say(`<span class="t1">E[y S<sub>${m}</sub>] = ${short(left)}</span>, <span class="t2">E[h<sup>(${m})</sup>] = ${short(right)}</span>; with the Gaussian's score ${short(wrong)}${close ? ": here it is right too" : ": wrong"}.`,
      { left, right, wrong, drawn: curves.map(c => c[c.length - 1][1]) });
  });
});
