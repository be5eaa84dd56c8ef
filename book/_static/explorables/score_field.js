nnmoments.explorable("score_field", ex => {
  "use strict";
  const { data, short } = ex;
  const width = ex.range("width", "Bandwidth h", data.widths, v => short(v, 2), 2);

  ex.draw(() => {
    const [svg, left, right] = ex.sheet(2, 380, [1.2, 1]), field = data.fields[width.value];
    const side = Math.min(left.width, left.height - 24);
    const plane = ex.panel(svg, { ...left, width: side, height: side + 24 }, { x: [-3, 3], y: [-3, 3], bare: true, title: "∇ log f" });
    plane.strokes(data.sample.map(s => [s, s]), "speck");
    const arrows = (field, look, chosen) => plane.strokes(data.points.flatMap((at, i) => {
      if (!chosen(data.mass[i])) return [];
      const by = field[i].map(v => -v), size = Math.hypot(by[0], by[1]), scale = 0.42 * Math.tanh(size / 4) / (size || 1);
      const to = [at[0] + scale * by[0], at[1] + scale * by[1]], turn = Math.atan2(by[1], by[0]), tip = 0.11;
      return [[at, to], ...[2.6, -2.6].map(a => [to, [to[0] + tip * Math.cos(turn + a), to[1] + tip * Math.sin(turn + a)]])];
    }), look);
    arrows(data.truth, "c7 slim", () => true);
    arrows(field, "c1 slim", mass => mass > 0.01); arrows(field, "c1 slim faint", mass => mass <= 0.01);
    const top = Math.max(...data.errors) * 1.15, chart = ex.panel(svg, right, { x: [0.15, 2.5], y: [0, top], logx: true, xticks: [], xlabel: "bandwidth h", title: "error of the field" });
    data.widths.forEach(h => ex.element(chart.group, "text", { x: chart.X(h), y: chart.area.b + 16, class: "ex-tick", "text-anchor": "middle" }, short(h)));
    chart.line(data.widths.map((h, i) => [h, data.errors[i]]), "c1"); chart.dot([width.chosen, data.errors[width.value]], "f1", 7);
    ex.say(`h = ${short(width.chosen)}: root mean square error <span class="t1">${short(data.errors[width.value])}</span>; the score itself has ${short(data.scale)}.`, { error: data.errors[width.value], first: field[0] });
  });
});
