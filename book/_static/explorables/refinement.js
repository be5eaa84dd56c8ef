nnmoments.explorable("refinement", ex => {
  "use strict";
  const { data, short } = ex, [walk, fit] = data.paths;
  const step = ex.range("round", "Round", walk.angle.map((_, i) => i), String, 40);
  ex.player("Run the search", step, 60);
  const floor = -9, place = (path, i) => {
    const r = Math.max(Math.log10(path.angle[i]) - floor, 0) / -floor;
    return [r * Math.cos(path.turn[i]), r * Math.sin(path.turn[i])];
  };

  ex.draw(() => {
    const now = step.value, last = fit.angle.length - 1;
    const [svg, left, right] = ex.sheet(2, 330, [1, 1.2]);
    const side = Math.min(left.width, left.height - 24);
    const target = ex.panel(svg, { ...left, width: side, height: side + 24 }, { x: [-1.02, 1.02], y: [-1.02, 1.02], bare: true, title: "z, seen from w" });
    for (let e = -1; e > floor; e--) {
      const r = (e - floor) / -floor;
      ex.element(target.inside, "circle", { cx: target.X(0), cy: target.Y(0), r: target.X(r) - target.X(0), class: "ex-grid", fill: "none" });
      if (e % 2) target.write([0, r], `10${e === -1 ? "⁻¹" : e === -3 ? "⁻³" : e === -5 ? "⁻⁵" : "⁻⁷"}`, "ex-tick", "middle", [0, 11]);
    }
    target.line(fit.angle.map((_, i) => place(fit, i)), "c2 dash2");
    target.line(walk.angle.slice(0, now + 1).map((_, i) => place(walk, i)), "c1");
    target.dot(place(fit, last), "f2", 6); target.dot(place(walk, now), "f1", 6);
    const chart = ex.panel(svg, right, { x: [0, walk.angle.length - 1], y: [1e-10, 1], logy: true, xlabel: "round", title: "angle to the weight (radians)" });
    chart.line(walk.angle.map((a, i) => [i, a]), "c1 faint");
    chart.line(walk.angle.slice(0, now + 1).map((a, i) => [i, a]), "c1");
    chart.line(fit.angle.map((a, i) => [i, a]), "c2");
    chart.dot([now, walk.angle[now]], "f1", 6); chart.dot([last, fit.angle[last]], "f2", 6);
    chart.write([last, fit.angle[last]], `fit of crossings: ${fit.labels.toLocaleString("en")} labels`, "t2", "start", [10, -6]);
    chart.write([walk.angle.length - 1, walk.angle[walk.angle.length - 1]], `random search: ${walk.labels.toLocaleString("en")} labels`, "t1", "end", [0, 18]);
    ex.say(`Round ${now}: the search is <span class="t1">${walk.angle[now].toExponential(1).replace("-", "−")}</span> from the weight; the fit ended at <span class="t2">${fit.angle[last].toExponential(1).replace("-", "−")}</span>.`, { angle: walk.angle[now], fit: fit.angle[last] });
  });
});
