nnmoments.explorable("needle", ex => {
  "use strict";
  const { data, short } = ex, middle = (data.angles.length - 1) / 2;
  const angle = ex.range("angle", "Angle of z to w", data.angles, v => `${short(v, 2)}°`, middle + 22);
  const width = ex.range("width", "Half-distance ε", data.widths, v => short(v, 2), 0);

  ex.draw(() => {
    const e = width.chosen, a = angle.chosen * Math.PI / 180, t = data.t, value = data.values[width.value][angle.value];
    const [svg, left, right] = ex.sheet(2, 320, [1, 1.2]);
    const reach = 8 * e, side = Math.min(left.width, left.height - 24);
    // Coordinates around the point t z: along the planes, and across them.
    const plane = ex.panel(svg, { ...left, width: side, height: side + 24 }, { x: [-reach, reach], y: [-reach, reach], bare: true, title: `near the plane, ${short(2 * reach, 2)} wide` });
    const edge = along => (t - Math.cos(a) * t - Math.sin(a) * along) / Math.cos(a);
    plane.shape([[-reach, 9 * reach], [-reach, edge(-reach)], [reach, edge(reach)], [reach, 9 * reach]], "f1");
    plane.segment([-reach, edge(-reach)], [reach, edge(reach)], "c1 bold");
    [e, -e].forEach(s => plane.segment([-reach, s], [reach, s], "c2"));
    plane.write([-reach, e], "t + ε", "t2", "start", [6, -6]); plane.write([-reach, -e], "t − ε", "t2", "start", [6, 16]);
    plane.write([reach, reach], "active", "t1", "end", [-8, 18]);
    const top = Math.max(data.jump, ...data.values.flat()) * 1.1, chart = ex.panel(svg, right, { x: [-30, 30], y: [Math.min(0, ...data.values.flat()) - 0.01, top], xlabel: "angle of z to w (degrees)", title: "C₂(z, t)" });
    chart.line([[-30, data.jump], [30, data.jump]], "dash");
    data.values.forEach((line, i) => { if (i !== width.value) chart.line(line.map((v, j) => [data.angles[j], v]), "c7 faint"); });
    chart.line(data.values[width.value].map((v, j) => [data.angles[j], v]), "c1");
    chart.dot([angle.chosen, value], "f1", 6);
    ex.say(`At ${short(angle.chosen, 2)}° and ε = ${short(e, 2)}: C₂ = <span class="t1">${short(value)}</span>; the jump at the weight is ${short(data.jump)}.`, { value, jump: data.jump });
  });
});
