nnmoments.explorable("two_rows", ex => {
  "use strict";
  const { data, short } = ex;
  const law = ex.choice("law", "Law of the input", data.laws, 1);
  const score = ex.choice("score", "Loss", ["L: the law's own score", "G: the score of a Gaussian"]);
  const mu = ex.choice("mu", "Tie breaker μ", data.mus.map(String));
  const turn = ex.range("turn", "Turn of the network", data.turns, v => `${v}°`, 3);
  ex.player("Turn", turn, 200);

  const value = ({ T }, m) => {
    const form = (a, b) => { // T_4(a, a, b, b)
      const p = [a[0] * a[0], 2 * a[0] * a[1], a[1] * a[1]], q = [b[0] * b[0], 2 * b[0] * b[1], b[1] * b[1]];
      let sum = 0;
      for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) sum += p[i] * q[j] * T[i + j];
      return sum;
    };
    return (a, b) => -(2 * form(a, b) - m * (form(a, a) + form(b, b)));
  };
  const unit = v => [Math.cos(v * Math.PI / 180), Math.sin(v * Math.PI / 180)];
  const half = v => ((v % 180) + 180) % 180;
  const angle = r => half(Math.atan2(r[1], r[0]) * 180 / Math.PI);
  const apart = (a, b) => Math.min(half(a - b), half(b - a));

  ex.draw(() => {
    const now = data.cases[law.value][turn.value][score.value], rows = now.rows[mu.value], L = value(now, data.mus[mu.value]);
    const [svg, left, right] = ex.sheet(2, 340);
    const grid = Array.from({ length: 90 }, (_, r) => Array.from({ length: 90 }, (_, c) => L(unit(2 * c + 1), unit(2 * r + 1))));
    const all = grid.flat(), low = Math.min(...all), high = Math.max(...all);
    const map = ex.panel(svg, left, { x: [0, 180], y: [0, 180], xlabel: "angle of row 1", ylabel: "angle of row 2", title: score.value ? "the loss G" : "the loss L", xticks: [0, 45, 90, 135, 180], yticks: [0, 45, 90, 135, 180], grid: false });
    map.image(grid, v => ex.rising((v - low) / (high - low || 1)));
    const truth = [half(turn.chosen), half(turn.chosen + 90)];
    [truth, [truth[1], truth[0]]].forEach(p => map.dot(p, "ring light", 9));
    const found = rows.map(angle);
    map.dot(found, "f2", 6);
    const plane = ex.panel(svg, right, { x: [-1.3, 1.3], y: [-1.2, 1.2], title: "the rows", xticks: [-1, 0, 1], yticks: [-1, 0, 1] });
    plane.segment([-1.3, 0], [1.3, 0], "thin"); plane.segment([0, -1.2], [0, 1.2], "thin");
    truth.forEach(t => { const u = unit(t); plane.segment([-u[0], -u[1]], u, "dash"); plane.dot(u, "ring c7", 10); plane.dot([-u[0], -u[1]], "ring c7", 10); });
    rows.forEach((r, i) => { plane.segment([0, 0], r, `c${i ? 1 : 2} bold`); plane.dot(r, `f${i ? 1 : 2}`, 6); });
    const off = Math.min(Math.max(apart(found[0], truth[0]), apart(found[1], truth[1])), Math.max(apart(found[0], truth[1]), apart(found[1], truth[0])));
    ex.say(`The rows found are <span class="t2">${off.toFixed(0)}°</span> from the network's; to the axes they stand at ${found.map(v => Math.round(v % 90) % 90).join("° and ")}°.`, { off, low, high, atTruth: L(unit(truth[0]), unit(truth[1])) });
  });
});
