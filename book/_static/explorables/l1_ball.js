nnmoments.explorable("l1_ball", ex => {
  "use strict";
  const { data, short } = ex;
  const zeros = ex.range("zeros", "Zeros in each row", data.zeros, String, 2);
  const column = ex.range("column", "Column j", data.cases[0].points.map((_, j) => j + 1), String, 4);

  ex.draw(() => {
    const { A, corners, points, norms, s, row } = data.cases[zeros.value], j = column.value;
    const [svg, left, right] = ex.sheet(2, 330, [1, 1.15]);
    const [alpha, beta] = points[j], isRow = row[j] === 1, look = isRow ? "3" : "2", reach = 1.75;
    const plane = ex.panel(svg, left, { x: [-reach, reach], y: [-reach, reach], xlabel: "α", ylabel: "β", title: "the span" });
    plane.segment([-reach, 0], [reach, 0], "thin"); plane.segment([0, -reach], [0, reach], "thin");
    plane.write([reach, 0], "row 1", "", "end", [0, -6]); plane.write([0, reach], "row 2", "", "start", [6, 10]);
    const ball = corners.map(([a, b]) => [a * norms[j], b * norms[j]]);
    plane.shape(ball, "f1"); plane.line([...ball, ball[0]], "c1");
    const a = A[0][j], b = A[1][j], foot = [a / (a * a + b * b), b / (a * a + b * b)], far = 9;
    plane.line([[foot[0] - far * b, foot[1] + far * a], [foot[0] + far * b, foot[1] - far * a]], "c5");
    plane.dot([alpha, beta], `f${look}`, 7);

    const top = Math.max(1.25, ...s[j].map(Math.abs)) * 1.1;
    const bars = ex.panel(svg, right, { x: [0.4, 8.6], y: [-top, top], xlabel: "entry of s", title: `s = ${short(alpha, 2)} a₁ ${beta < 0 ? "−" : "+"} ${short(Math.abs(beta), 2)} a₂`, xticks: [1, 2, 3, 4, 5, 6, 7, 8] });
    bars.line([[0.4, 0], [8.6, 0]], "thin"); bars.line([[0.4, 1], [8.6, 1]], "dash");
    s[j].forEach((v, i) => v === 0 ? bars.dot([i + 1, 0], `f${look}`, 5) : bars.bar(i + 0.7, i + 1.3, 0, v, i === j ? "f5" : `f${look}`));
    const none = s[j].filter(v => v === 0).length;
    ex.say(`‖s‖₁ = ${short(norms[j])}, ${none} ${none === 1 ? "entry vanishes" : "entries vanish"}: <span class="t${look}">${isRow ? "a row" : "not a row"}</span>. ${row.filter(Boolean).length} of the 8 columns give a row.`,
      { point: points[j], norm: norms[j], row: row[j], rows: row.filter(Boolean).length });
  });
});
