nnmoments.explorable("slices", ex => {
  "use strict";
  const { data, short } = ex, shares = Array.from({ length: 21 }, (_, i) => i / 20);
  const share = ex.range("share", "From the given basis to the common one", shares, v => `${Math.round(100 * v)} %`, 0);
  const noise = ex.choice("noise", "Noise in the slices", data.noises.map(v => v === 0 ? "none" : String(v)));
  ex.player("Turn", share, 80);
  const product = (A, B) => A.map(row => B[0].map((_, j) => row.reduce((sum, v, k) => sum + v * B[k][j], 0)));
  const flip = A => A[0].map((_, j) => A.map(row => row[j]));

  ex.draw(() => {
    const { matrices, demixing, factors, residual } = data.cases[noise.value], s = share.chosen;
    const V = demixing.map((row, i) => row.map((v, j) => (1 - s) * (i === j ? 1 : 0) + s * v));
    const moved = matrices.map(M => product(product(V, M), flip(V)));
    const [svg, ...boxes] = ex.sheet(4, 210);
    moved.forEach((M, l) => {
      const reach = 1.1 * Math.max(1, ...M.flat().map(Math.abs));
      const side = Math.min(boxes[l].width, boxes[l].height - 34);
      const panel = ex.panel(svg, { ...boxes[l], width: side, height: side + 24 }, { x: [-reach, reach], y: [-reach, reach], bare: true, title: `slice ${l + 1}` });
      panel.segment([-reach, 0], [reach, 0], "thin"); panel.segment([0, -reach], [0, reach], "thin");
      const ring = Array.from({ length: 73 }, (_, i) => { const a = i * Math.PI / 36, c = [Math.cos(a), Math.sin(a)]; return [M[0][0] * c[0] + M[0][1] * c[1], M[1][0] * c[0] + M[1][1] * c[1]]; });
      panel.shape(ring, `f${l + 1}`); panel.line(ring, `c${l + 1}`);
      const trace = M[0][0] - M[1][1], off = M[0][1], tilt = 0.5 * Math.atan2(2 * off, trace), c = [Math.cos(tilt), Math.sin(tilt)];
      const size = M[0][0] * c[0] * c[0] + 2 * off * c[0] * c[1] + M[1][1] * c[1] * c[1];
      panel.segment([0, 0], [size * c[0], size * c[1]], `c${l + 1} bold`);
    });
    const last = boxes[3], side = Math.min(last.width, last.height - 34);
    const units = ex.panel(svg, { ...last, width: side, height: side + 24 }, { x: [-0.15, 1.15], y: [-0.15, 1.15], bare: true, title: "the basis: two units" });
    units.segment([-0.15, 0], [1.15, 0], "thin"); units.segment([0, -0.15], [0, 1.15], "thin");
    factors.forEach((u, i) => { const at = u.map((v, j) => (1 - s) * (i === j ? 1 : 0) + s * v); units.segment([0, 0], at, "c4 bold"); units.dot(at, "f4", 5); units.dot(u, "ring c7", 9); });
    const share2 = Math.sqrt(moved.reduce((sum, M) => sum + 2 * M[0][1] ** 2, 0) / moved.reduce((sum, M) => sum + M.flat().reduce((a, v) => a + v * v, 0), 0));
    ex.say(`Off the diagonals: ${(100 * share2).toFixed(1)} % of the slices' norm${s === 1 ? "; what noise leaves" : ""}.`, { off: share2, residual });
  });
});
