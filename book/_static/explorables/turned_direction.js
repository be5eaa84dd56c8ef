nnmoments.explorable("turned_direction", ex => {
  "use strict";
  const { data, short } = ex;
  const link = ex.choice("link", "The label", data.links, 1);
  const order = ex.choice("order", "Moments", data.orders);
  const angle = ex.range("angle", "Angle of your direction", data.angles, v => `${v}°`, 4);
  ex.player("Turn", angle, 150);

  ex.draw(() => {
    const { x, y, curves, shares, found } = data.cases[link.value], a = angle.chosen * Math.PI / 180;
    const share = shares[angle.value], library = found[order.value];
    const [svg, left, right] = ex.sheet(2, 320);
    const low = Math.min(...y), high = Math.max(...y), room = 0.08 * (high - low);
    const cloud = ex.panel(svg, left, { x: [-3.6, 3.6], y: [low - room, high + room], xlabel: "projection on your direction", title: "labels y" });
    x.forEach(([p, q], i) => cloud.dot([Math.cos(a) * p + Math.sin(a) * q, y[i]], "f1", 3));
    cloud.line(curves[angle.value], "c2 bold");
    const chart = ex.panel(svg, right, { x: [0, 180], y: [0, 1.02], xlabel: "angle (degrees)", title: "share of variance explained", xticks: [0, 45, 90, 135, 180] });
    if (library.seen) chart.segment([library.angle, 0], [library.angle, 1.02], "c3 bold");
    chart.line(shares.map((s, i) => [data.angles[i], s]), "c1");
    chart.dot([data.true, shares[data.angles.indexOf(data.true)]], "ring c7", 10);
    chart.dot([angle.chosen, share], "f2", 6);
    const says = library.seen ? `a direction at <span class="t3">${short(library.angle)}°</span>` : "no direction";
    ex.say(`At ${angle.chosen}° the projection explains <span class="t2">${share.toFixed(2)}</span> of the variance. Moments (${data.orders[order.value]}): the test sees ${says}.`, { share, seen: library.seen, found: library.angle });
  });
});
