/* What the explorables share: controls, axes, curves, heat maps. Each explorable is a file that calls
   `nnmoments.explorable(name, build)`; its data stand in the page as JSON, made by the library. A classic
   script, since a page that is opened from a disk may load nothing else. */
window.nnmoments = window.nnmoments || (() => {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const drawn = [];

  const element = (parent, tag, attributes = {}, text) => {
    const made = parent.namespaceURI === NS || tag === "svg" ? document.createElementNS(NS, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    parent.appendChild(made);
    return made;
  };
  const near = value => Math.abs(value) < 1e-12 ? 0 : value;
  const short = (value, digits = 3) => String(near(Number(value.toPrecision(digits)))).replace("-", "\u2212");
  const isDark = () => document.documentElement.dataset.theme === "dark";

  // --- axes ---------------------------------------------------------------------------------------
  const ticks = ([low, high], count) => {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 2.5, 5, 10].find(factor => factor * power >= raw * 0.999);
    const found = [];
    for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + 1e-9 * step; value += step) found.push(near(Number(value.toPrecision(10))));
    return found;
  };
  const powers = ([low, high]) => {
    const found = [];
    for (let e = Math.ceil(Math.log10(low) - 1e-9); e <= Math.log10(high) + 1e-9; e++) found.push(10 ** e);
    return found.length > 6 ? found.filter((_, i) => i % 2 === 0) : found;
  };
  const superscript = e => String(e).replace("-", "\u207b").replace(/\d/g, digit => "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[digit]);
  let clips = 0;

  /* A pair of axes in the box {left, top, width, height}; x and y are [low, high]. */
  const panel = (svg, box, { x, y, xlabel = "", ylabel = "", title = "", logx = false, logy = false, bare = false, xticks, yticks, grid = true }) => {
    const area = bare ? { l: box.left, t: box.top + (title ? 24 : 4), r: box.left + box.width, b: box.top + box.height }
      : { l: box.left + (ylabel ? 54 : 38), t: box.top + (title ? 26 : 8), r: box.left + box.width - 8, b: box.top + box.height - (xlabel ? 42 : 24) };
    const along = (range, a, b, log) => {
      const f = log ? Math.log10 : v => v, low = f(range[0]), high = f(range[1]);
      return v => a + (b - a) * (f(v) - low) / (high - low);
    };
    const X = along(x, area.l, area.r, logx), Y = along(y, area.b, area.t, logy);
    const group = element(svg, "g");
    if (title) element(group, "text", { x: box.left + (bare ? 0 : 4), y: box.top + 14, class: "ex-title" }, title);
    if (!bare) {
      for (const value of xticks || (logx ? powers(x) : ticks(x, 5))) {
        if (grid) element(group, "line", { x1: X(value), x2: X(value), y1: area.t, y2: area.b, class: "ex-grid" });
        element(group, "text", { x: X(value), y: area.b + 16, class: "ex-tick", "text-anchor": "middle" }, logx ? "10" + superscript(Math.round(Math.log10(value))) : short(value));
      }
      for (const value of yticks || (logy ? powers(y) : ticks(y, 5))) {
        if (grid) element(group, "line", { x1: area.l, x2: area.r, y1: Y(value), y2: Y(value), class: "ex-grid" });
        element(group, "text", { x: area.l - 5, y: Y(value) + 4, class: "ex-tick", "text-anchor": "end" }, logy ? "10" + superscript(Math.round(Math.log10(value))) : short(value));
      }
      element(group, "path", { d: `M${area.l},${area.t}V${area.b}H${area.r}`, class: "ex-axis" });
      if (xlabel) element(group, "text", { x: (area.l + area.r) / 2, y: area.b + 35, class: "ex-label", "text-anchor": "middle" }, xlabel);
      if (ylabel) element(group, "text", { transform: `translate(${box.left + 12},${(area.t + area.b) / 2}) rotate(-90)`, class: "ex-label", "text-anchor": "middle" }, ylabel);
    }
    const clip = `ex-clip-${clips++}`;
    element(element(element(group, "defs"), "clipPath", { id: clip }), "rect", { x: area.l, y: area.t - 1, width: area.r - area.l, height: area.b - area.t + 2 });
    const inside = element(group, "g", { "clip-path": `url(#${clip})` });
    const outline = points => points.map(([a, b], i) => `${i ? "L" : "M"}${X(a).toFixed(1)},${Y(b).toFixed(1)}`).join("");
    return {
      X, Y, area, group, inside,
      line: (points, look) => element(inside, "path", { d: outline(points), class: `ex-line ${look}` }),
      shape: (points, look) => element(inside, "path", { d: outline(points) + "Z", class: `ex-shape ${look}` }),
      segment: (a, b, look) => element(inside, "line", { x1: X(a[0]), y1: Y(a[1]), x2: X(b[0]), y2: Y(b[1]), class: `ex-line ${look}` }),
      /* Many short lines, each [from, to], as one path. */
      strokes: (pairs, look) => element(inside, "path", { d: pairs.map(([a, b]) => `M${X(a[0]).toFixed(1)},${Y(a[1]).toFixed(1)}L${X(b[0]).toFixed(1)},${Y(b[1]).toFixed(1)}`).join(""), class: `ex-line ${look}` }),
      dot: (point, look, r = 5) => element(inside, "circle", { cx: X(point[0]), cy: Y(point[1]), r, class: `ex-dot ${look}` }),
      bar: (a, b, from, to, look) => element(inside, "rect", { x: X(a), width: Math.max(X(b) - X(a), 0), y: Math.min(Y(from), Y(to)), height: Math.max(Math.abs(Y(to) - Y(from)), 0), class: `ex-bar ${look}` }),
      write: (point, text, look = "", anchor = "start", [dx, dy] = [0, 0]) => element(group, "text", { x: X(point[0]) + dx, y: Y(point[1]) + dy, class: `ex-text ${look}`, "text-anchor": anchor }, text),
      image: (grid, paint) => {
        const image = element(inside, "image", { x: area.l, y: area.t, width: area.r - area.l, height: area.b - area.t, preserveAspectRatio: "none" });
        image.setAttribute("href", picture(grid.length, grid[0].length, (row, column) => paint(grid[grid.length - 1 - row][column])));
        return image;
      },
      at: event => {
        const scale = svg.viewBox.baseVal.width / svg.getBoundingClientRect().width, frame = svg.getBoundingClientRect();
        const px = (event.clientX - frame.left) * scale, py = (event.clientY - frame.top) * scale;
        if (px < area.l || px > area.r || py < area.t || py > area.b) return null;
        return [x[0] + (x[1] - x[0]) * (px - area.l) / (area.r - area.l), y[0] + (y[1] - y[0]) * (area.b - py) / (area.b - area.t)];
      },
    };
  };

  // --- colours of heat maps -----------------------------------------------------------------------
  const mix = (stops, share) => {
    const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1), i = Math.min(Math.floor(place), stops.length - 2), f = place - i;
    return stops[i].map((c, k) => Math.round(c + f * (stops[i + 1][k] - c)));
  };
  const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const rising = share => mix(VIRIDIS, share);
  /* From blue (-1) over the ground (0) to orange (1). */
  const signed = value => mix([[0, 90, 160], isDark() ? [18, 18, 20] : [255, 255, 255], [213, 94, 0]], (value + 1) / 2);
  const picture = (rows, columns, colour) => {
    const canvas = document.createElement("canvas");
    canvas.width = columns; canvas.height = rows;
    const context = canvas.getContext("2d"), pixels = context.createImageData(columns, rows);
    for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) {
      const rgb = colour(r, c), i = 4 * (r * columns + c);
      if (!rgb) continue;
      for (let k = 0; k < 3; k++) pixels.data[i + k] = rgb[k];
      pixels.data[i + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    return canvas.toDataURL();
  };
  /* Grids of the library come as bytes between two ends. */
  const unpacked = ({ shape: [rows, columns], low, high, bytes }) => {
    const text = atob(bytes);
    return Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => low + (high - low) * text.charCodeAt(r * columns + c) / 255));
  };

  // --- one explorable -----------------------------------------------------------------------------
  const start = (figure, build) => {
    const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const stage = figure.querySelector(".ex-stage"), bench = figure.querySelector(".ex-controls"), says = figure.querySelector(".ex-says");
    const controls = {};
    let draw = () => {}, width = 0;
    const redraw = () => {
      figure.dataset.state = JSON.stringify(Object.fromEntries(Object.entries(controls).map(([name, c]) => [name, c.value])));
      draw();
    };
    const labelled = (name, text) => {
      const box = element(bench, "div", { class: "ex-control" }), id = `${figure.id}-${name}`;
      element(box, "label", { for: id }, text);
      return [box, id];
    };
    const ex = {
      data, figure, element, short, panel, picture, rising, signed, unpacked, redraw,
      /* A slider over the entries of `values`; its value is the place in them. */
      range: (name, text, values, shown = short, first = 0) => {
        const [box, id] = labelled(name, text);
        const input = element(box, "input", { type: "range", id, min: 0, max: values.length - 1, step: 1, value: first, "data-control": name });
        const output = element(box, "output", { for: id });
        const show = () => { output.textContent = shown(values[input.value]); input.setAttribute("aria-valuetext", output.textContent); };
        const control = { get value() { return Number(input.value); }, set value(v) { input.value = v; show(); }, get chosen() { return values[input.value]; }, input };
        input.addEventListener("input", () => { show(); redraw(); });
        show();
        return controls[name] = control;
      },
      choice: (name, text, options, first = 0) => {
        const [box, id] = labelled(name, text);
        const input = element(box, "select", { id, "data-control": name });
        options.forEach((option, i) => element(input, "option", { value: i }, option));
        input.value = first;
        input.addEventListener("change", redraw);
        return controls[name] = { get value() { return Number(input.value); }, set value(v) { input.value = v; }, get chosen() { return options[input.value]; }, input };
      },
      button: (text, act) => {
        const made = element(element(bench, "div", { class: "ex-control ex-press" }), "button", { type: "button" }, text);
        made.addEventListener("click", () => act(made));
        return made;
      },
      /* Run a slider to its end. */
      player: (text, control, pause = 120) => {
        let timer = 0;
        const halt = button => { clearInterval(timer); timer = 0; button.textContent = text; };
        const made = ex.button(text, button => {
          if (timer) return halt(button);
          if (control.value >= Number(control.input.max)) control.value = 0;
          button.textContent = "Stop";
          timer = setInterval(() => {
            if (control.value >= Number(control.input.max)) return halt(button);
            control.value += 1; redraw();
          }, pause);
        });
        return made;
      },
      narrow: () => stage.clientWidth < 520,
      /* A clean sheet with `count` boxes: side by side, or one under the other on a phone. */
      sheet: (count, height = 300, shares) => {
        stage.replaceChildren();
        const narrow = ex.narrow(), W = narrow ? 380 : 760, gap = 12;
        const svg = element(stage, "svg", { viewBox: `0 0 ${W} ${narrow ? count * (height + gap) : height}`, role: "img", "aria-label": figure.getAttribute("aria-label"), class: "ex-svg" });
        shares = shares || Array(count).fill(1);
        const total = shares.reduce((a, b) => a + b), free = W - gap * (count - 1);
        let left = 0;
        const boxes = shares.map((share, i) => {
          if (narrow) return { left: 0, top: i * (height + gap), width: W, height };
          const box = { left, top: 0, width: free * share / total, height };
          left += box.width + gap;
          return box;
        });
        return [svg, ...boxes];
      },
      /* What the picture shows, in words and in numbers; tests read the numbers. */
      say: (html, values = {}) => { says.innerHTML = html; figure.dataset.values = JSON.stringify(values); },
      draw: act => { draw = act; redraw(); figure.dataset.ready = "yes"; },
    };
    build(ex);
    // A figure that plays starts by itself, for readers who do not mind motion.
    const plays = figure.dataset.plays && controls[figure.dataset.plays];
    if (plays) {
      ex.player("Play", plays, 700);
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) { plays.value = 0; redraw(); bench.lastChild.querySelector("button").click(); }
    }
    new ResizeObserver(() => { const now = ex.narrow(); if (width !== now && width !== 0) redraw(); width = now; }).observe(stage);
    new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  };

  return {
    explorable: (name, build) => {
      for (const figure of document.querySelectorAll(`figure.explorable[data-draw="${name}"]`)) {
        if (!drawn.includes(figure)) { drawn.push(figure); start(figure, build); }
      }
    },
  };
})();
