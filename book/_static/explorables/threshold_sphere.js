nnmoments.explorable("threshold_sphere", ex => {
  "use strict";
  const { data, short } = ex, root24 = Math.sqrt(24);
  const threshold = ex.range("t", "Threshold t", data.t, v => short(v, 3), 18);
  const turns = Array.from({ length: 73 }, (_, i) => 5 * i);
  const turn = ex.range("turn", "Turn the sphere", turns, v => `${v}°`, 7);
  ex.player("Spin", turn, 90);

  const landscape = ({ u2, u4, lam, second, fourth }) => z => {
    let two = 0, four = 0, place = 0;
    for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) {
      two += second[i][j] * z[i] * z[j];
      for (let k = 0; k < 3; k++) for (let l = 0; l < 3; l++) four += fourth[place++] * z[i] * z[j] * z[k] * z[l];
    }
    return -Math.sign(u4) * four / root24 + lam * (two / Math.SQRT2 - u2) ** 2;
  };

  ex.draw(() => {
    const now = data.cases[threshold.value], G = landscape(now), angle = turn.chosen * Math.PI / 180, tilt = 0.45;
    const [svg, left, middle, right] = ex.sheet(3, 290, [1.1, 1, 1]);
    // The frame of the one who looks: right, up, towards.
    const across = [Math.cos(angle), Math.sin(angle), 0], toward = [-Math.sin(angle) * Math.cos(tilt), Math.cos(angle) * Math.cos(tilt), Math.sin(tilt)];
    const up = [across[1] * toward[2] - across[2] * toward[1], across[2] * toward[0] - across[0] * toward[2], across[0] * toward[1] - across[1] * toward[0]].map(v => -v);
    const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    const size = 200, grid = [];
    let low = Infinity, high = -Infinity;
    for (let r = 0; r < size; r++) {
      grid.push([]);
      for (let c = 0; c < size; c++) {
        const a = (2 * c + 1) / size - 1, b = (2 * r + 1) / size - 1, rest = 1 - a * a - b * b;
        if (rest < 0) { grid[r].push(null); continue; }
        const h = Math.sqrt(rest), v = G([0, 1, 2].map(i => a * across[i] + b * up[i] + h * toward[i]));
        grid[r].push(v); low = Math.min(low, v); high = Math.max(high, v);
      }
    }
    const side = Math.min(left.width, left.height - 24), ball = ex.panel(svg, { ...left, width: side, height: side + 24 }, { x: [-1.02, 1.02], y: [-1.02, 1.02], bare: true, title: `G on the sphere, t = ${short(threshold.chosen)}` });
    ball.image(grid, v => v === null ? null : ex.rising((v - low) / (high - low || 1)));
    const mark = (point, look, r) => [1, -1].forEach(sign => {
      const z = point.map(v => sign * v);
      if (dot(z, toward) > 0) ball.dot([dot(z, across), dot(z, up)], look, r);
    });
    data.weights.forEach(w => mark(w, "ring light", 10));
    now.minima.forEach(z => mark(z, "f2", 5));
    const u4 = data.cases.map((c, i) => [data.t[i], c.u4]), angles = data.cases.map((c, i) => [data.t[i], c.angle]);
    const coefficient = ex.panel(svg, middle, { x: [0, 3], y: [-0.08, 0.05], xlabel: "t", title: "u₄ of a ReLU unit" });
    coefficient.line([[0, 0], [3, 0]], "thin"); coefficient.line(u4, "c1");
    coefficient.dot([threshold.chosen, now.u4], "f1", 6);
    const worst = ex.panel(svg, right, { x: [0, 3], y: [0, 60], xlabel: "t", title: "worst angle (degrees)" });
    worst.line(angles, "c2"); worst.dot([threshold.chosen, now.angle], "f2", 6);
    ex.say(`t = ${short(threshold.chosen)}: u₄ = <span class="t1">${short(now.u4, 2)}</span>; the worst of ${now.minima.length} minima is <span class="t2">${short(now.angle, 2)}°</span> from its weight.`,
      { u4: now.u4, angle: now.angle, atWeight: G(data.weights[0]), low, high });
  });
});
