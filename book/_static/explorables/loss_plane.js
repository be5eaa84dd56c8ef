nnmoments.explorable("loss_plane", ex => {
  "use strict";
  const { data, short } = ex, starts = data.starts, surface = ex.unpacked(data.surface), tensorPath = data.paths.length - 1;
  const degrees = v => `${short(v)}°`;
  const first = ex.range("first", "Start: angle of row 1", starts, degrees, 1);
  const second = ex.range("second", "Start: angle of row 2", starts, degrees, 3);
  const source = ex.choice("source", "Start from", ["the sliders", "the tensor method"]);
  const step = ex.range("step", "Steps of descent", data.steps, String, data.steps.length - 1);
  ex.player("Descend", step, 150);
  const angle = ([x, y]) => Math.atan2(y, x) * 180 / Math.PI;

  ex.draw(() => {
    const number = source.value ? tensorPath : second.value * starts.length + first.value;
    const path = data.paths[number], rows = path.rows.slice(0, step.value + 1), last = rows[rows.length - 1];
    const [svg, left, right] = ex.sheet(2, 340);
    const map = ex.panel(svg, left, { x: [-180, 180], y: [-180, 180], xlabel: "angle of row 1", ylabel: "angle of row 2", title: "square loss", xticks: [-180, -90, 0, 90, 180], yticks: [-180, -90, 0, 90, 180], grid: false });
    map.image(surface, v => ex.rising((v - data.surface.low) / (data.surface.high - data.surface.low)));
    data.paths.slice(0, -1).forEach(p => map.dot([angle(p.rows[0][0]), angle(p.rows[0][1])], p.loss[p.loss.length - 1] < 3 * data.floor ? "good" : "bad", 2.5));
    const places = rows.map(r => [angle(r[0]), angle(r[1])]);
    places.slice(1).forEach((p, i) => { if (Math.hypot(p[0] - places[i][0], p[1] - places[i][1]) < 180) map.segment(places[i], p, "white"); });
    map.dot(data.angles, "ring light", 9); map.dot(places[0], "f7", 5); map.dot(places[places.length - 1], "f2", 6);
    svg.style.cursor = "crosshair";
    svg.addEventListener("click", event => {
      const at = map.at(event);
      if (!at) return;
      const closest = v => starts.reduce((best, s, i) => Math.abs(s - v) < Math.abs(starts[best] - v) ? i : best, 0);
      source.value = 0; first.value = closest(at[0]); second.value = closest(at[1]); ex.redraw();
    });
    const plane = ex.panel(svg, right, { x: [-1.7, 1.7], y: [-1.55, 1.55], xlabel: "w₁", ylabel: "w₂", title: "the rows" });
    data.truth.forEach((w, i) => plane.dot(w, `ring c${i ? 2 : 1}`, 10));
    [0, 1].forEach(i => {
      plane.line(rows.map(r => r[i]), `c${i ? 2 : 1} faint`);
      plane.segment([0, 0], last[i], `c${i ? 2 : 1}`); plane.dot(last[i], `f${i ? 2 : 1}`, 6);
      plane.write(data.truth[i], `true row ${i + 1}`, `t${i ? 2 : 1}`, "start", [14, 4]);
    });
    const good = data.paths.slice(0, -1).filter(p => p.loss[p.loss.length - 1] < 3 * data.floor).length;
    ex.say(`After ${data.steps[step.value]} steps the loss is ${short(path.loss[step.value])} (noise alone: ${short(data.floor)}). Of ${starts.length ** 2} starts ${good} reach the truth (bright dots).`,
      { loss: path.loss[step.value], end: path.loss[path.loss.length - 1], rows: last, good });
  });
});
