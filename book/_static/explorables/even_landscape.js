nnmoments.explorable("even_landscape", ex => {
  "use strict";
  const { data, short } = ex;
  const coupling = ex.range("coupling", "Coefficient of X₁X₂", data.couplings, v => short(v, 2), 6);
  ex.player("Raise it", coupling, 150);

  ex.draw(() => {
    const i = coupling.value, a = data.quartic[i], [g12, g13, g23] = data.mixed[i];
    const F = ([p, q, r]) => a[0] * p * p + a[1] * q * q + a[2] * r * r + g12 * p * q + g13 * p * r + g23 * q * r;
    const [svg, left, right] = ex.sheet(2, 320, [1, 1.2]);
    const side = Math.min(left.width, left.height - 24), root3 = Math.sqrt(3), n = 160;
    const triangle = ex.panel(svg, { ...left, width: side, height: side + 24 }, { x: [-0.12, 1.12], y: [-0.17, 1.07], bare: true, title: "over the squares of z" });
    const at = ([p, q, r]) => [q + r / 2, r * root3 / 2];
    const from = (x, y) => { const r = 2 * y / root3, q = x - r / 2; return [1 - q - r, q, r]; };
    const grid = Array.from({ length: n }, (_, row) => Array.from({ length: n }, (_, column) => { const p = from(-0.12 + 1.24 * (column + 0.5) / n, -0.17 + 1.24 * (row + 0.5) / n); return Math.min(...p) < -0.002 ? null : F(p); }));
    const known = grid.flat().filter(v => v !== null), low = Math.min(...known), high = Math.max(...known);
    triangle.image(grid, v => v === null ? null : ex.rising((v - low) / (high - low)));
    const merged = g12 > 2 * Math.min(a[0], a[1]), maxima = merged ? [[0.5, 0.5, 0], [0, 0, 1]] : [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    maxima.forEach(p => triangle.dot(at(p), "f2", 7));
    ["weight 1", "weight 2", "weight 3"].forEach((text, k) => triangle.write(at([0, 1, 2].map(j => Number(j === k))), text, "", k === 2 ? "middle" : k ? "end" : "start", [0, k === 2 ? -12 : 24]));
    const line = Array.from({ length: 81 }, (_, k) => [k / 80, F([1 - k / 80, k / 80, 0])]), values = line.map(p => p[1]);
    const edge = ex.panel(svg, right, { x: [0, 1], y: [0, Math.max(...values) * 1.15], xlabel: "from weight 1 (0) to weight 2 (1)", title: "along the edge" });
    edge.line(line, "c1");
    (merged ? [[0.5, F([0.5, 0.5, 0])]] : [[0, F([1, 0, 0])], [1, F([0, 1, 0])]]).forEach(p => edge.dot(p, "f2", 7));
    const margin = data.margin[i], past = coupling.chosen > data.printed;
    ex.say(`Margin of the true condition: <span class="t1">${short(margin)}</span>${margin < 0 ? ": broken, corners 1 and 2 are no maxima" : past ? "; the printed condition is broken already, and the corners are still maxima" : ""}. True limit ${short(data.true, 3)}, printed ${short(data.printed, 3)}.`, { margin, merged, corner: F([1, 0, 0]) });
  });
});
