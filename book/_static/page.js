/* What a page does once it is laid out: wide formulas shrink a little, whatever is wider scrolls visibly;
   the ledger filters and sorts. */
(() => {
  "use strict";
  const LEAST = 0.62;

  // All is read before anything is written, so that the browser lays the page out three times and not once a formula.
  const fit = () => {
    const formulas = [...document.querySelectorAll("article mjx-container[display='true']")].filter(formula => formula.offsetParent);
    for (const formula of formulas) {
      formula.dataset.size ??= formula.style.fontSize;  // MathJax's own
      formula.style.fontSize = formula.dataset.size;
    }
    const found = formulas.map(formula => [formula, parseFloat(getComputedStyle(formula).fontSize), formula.clientWidth, formula.scrollWidth]);
    for (const [formula, size, room, wide] of found) {
      // A little smaller if that is enough; else as it is, to be scrolled.
      if (wide > room + 1 && 0.985 * room >= LEAST * wide) formula.style.fontSize = `${size * 0.985 * room / wide}px`;
    }
    // In a line a formula has no place to break: one that is wider than its paragraph scrolls, too.
    const inline = [...document.querySelectorAll("article :is(p, li) mjx-container:not([display='true'])")];
    for (const formula of inline) formula.classList.remove("wide", "scrolls");
    // A paragraph in a card of a table stands in a line itself, and has no width: its cell has.
    const room = box => box.clientWidth || room(box.parentElement);
    const wider = inline.filter(formula => formula.getBoundingClientRect().width > room(formula.closest("p, li")) + 1);
    for (const formula of wider) {
      formula.classList.add("wide", "scrolls");
      formula.tabIndex = 0;
    }
    const blocks = [...document.querySelectorAll("article mjx-container[display='true'], article table, article .math-wrapper, article .picture")]
      .map(block => [block, block.scrollWidth > block.clientWidth + 1]);
    for (const [block, scrolls] of blocks) {
      block.classList.toggle("scrolls", scrolls);
      if (scrolls) block.tabIndex = 0;
    }
  };

  /* A formula as a reader would type it: without TeX's braces and commands for looks, Greek letters by name. */
  const GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon phi chi psi omega".split(" ");
  const SIGNS = { "≤": "<=", "≥": ">=", "√": "sqrt", "×": "times", "·": "cdot", "⊗": "otimes", "∞": "infty", "∂": "partial", "∇": "nabla", "−": "-" };
  const typed = text => text.toLowerCase()
    .replace(/\\[td]?frac\s*(\{[^{}]*\}|\w)\s*(\{[^{}]*\}|\w)/g, "$1/$2")
    .replace(/\\(mathrm|mathbf|mathcal|operatorname|text|hat|bar|tilde|left|right|big|bigg|quad|displaystyle)(?![a-z])|\\[,;:! ]/g, "")
    .replace(/\\(var)(epsilon|phi)/g, "$2").replace(/\\leq?(?![a-z])/g, "<=").replace(/\\geq?(?![a-z])/g, ">=")
    .replace(/\\mid(?![a-z])/g, "|").replace(/\\top(?![a-z])/g, "t")
    .replace(/[α-ω]/g, letter => GREEK[letter.codePointAt(0) - 945]).replace(/[^\x00-\x7f]/g, sign => SIGNS[sign] ?? sign)
    .replace(/[\\{}()[\]$_\s]/g, "");

  const ledger = () => {
    const tables = [...document.querySelectorAll("table.ledger")];
    const place = document.querySelector(".totals");
    if (!tables.length || !place) return;
    const rows = tables.flatMap(table => [...table.tBodies[0].rows]);
    const verdict = row => row.querySelector(".verdict")?.textContent.trim() || "not yet run";
    const kind = row => row.cells[row.cells.length - 1].textContent.trim().split(/\s+/)[0];
    const tools = document.createElement("form");
    tools.className = "ledger-tools";
    const add = (text, control) => {
      const label = document.createElement("label");
      label.append(text, control); tools.append(label);
      control.addEventListener("input", sieve);
      return control;
    };
    const select = values => {
      const made = document.createElement("select");
      for (const value of ["all", ...new Set(values)]) made.append(new Option(value, value));
      return made;
    };
    const words = document.createElement("input");
    words.type = "search";
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    const find = add("Contains", words), byVerdict = add("Verdict", select(rows.map(verdict).sort())), byKind = add("Kind", select(rows.map(kind).sort()));
    tools.append(count);
    tools.addEventListener("submit", event => event.preventDefault());
    const source = new Map(rows.map(row => [row, (row.querySelector("[data-typed]")?.dataset.typed ?? "").split(" ; ").map(typed)]));
    function sieve() {
      const wanted = find.value.trim().toLowerCase(), formula = typed(wanted);
      const contains = row => row.textContent.toLowerCase().includes(wanted) || (formula && source.get(row).some(text => text.includes(formula)));
      let shown = 0;
      for (const row of rows) {
        row.hidden = !(contains(row) && ["all", verdict(row)].includes(byVerdict.value) && ["all", kind(row)].includes(byKind.value));
        shown += !row.hidden;
      }
      for (const table of tables) table.closest("section")?.toggleAttribute("data-empty", [...table.tBodies[0].rows].every(row => row.hidden));
      count.textContent = `${shown} of ${rows.length} rows`;
    }
    for (const table of tables) {
      [...table.tHead.rows[0].cells].forEach((head, column) => {
        head.setAttribute("aria-sort", "none"); head.tabIndex = 0; head.title = "Sort";
        const sort = () => {
          const up = head.getAttribute("aria-sort") !== "ascending";
          for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
          head.setAttribute("aria-sort", up ? "ascending" : "descending");
          const key = row => row.cells[column].textContent.trim();
          const sorted = [...table.tBodies[0].rows].sort((a, b) => key(a).localeCompare(key(b), "en", { numeric: true }));
          table.tBodies[0].append(...(up ? sorted : sorted.reverse()));
        };
        head.addEventListener("click", sort);
        head.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); } });
      });
    }
    (tables[0].closest("section") ?? tables[0]).before(tools);  // beside what it sieves
    sieve();
  };

  /* The first time that a word of the glossary stands in a chapter, it carries its entry. */
  const glossary = () => {
    const entries = window.GLOSSARY, article = document.querySelector("article");
    if (!entries || !article || !location.pathname.includes("/notebooks/")) return;
    const plain = text => text.replace(/\\(mathrm|operatorname)\s*\{?(\w+)\}?/g, "$2").replace(/\\(,|otimes|cdot|langle|rangle|nabla)/g, (_, w) => ({ ",": " ", otimes: "⊗", cdot: "·", langle: "⟨", rangle: "⟩", nabla: "∇" })[w]).replace(/[$\\{}]/g, "");
    const base = (document.documentElement.dataset.content_root || "../");
    const waiting = new Map(Object.keys(entries).map(term => [term, new RegExp(`\\b${term.replace("'", "['\u2019]")}s?\\b`, /[A-Z]/.test(term) ? "" : "i")]));
    for (const paragraph of article.querySelectorAll("section > p, .admonition p, .proof p")) {
      if (paragraph.closest("figure, aside, details.claim")) continue;
      for (const node of [...paragraph.childNodes]) {
        if (node.nodeType !== Node.TEXT_NODE) continue;
        for (const [term, pattern] of waiting) {
          const found = pattern.exec(node.textContent);
          if (!found) continue;
          const rest = node.splitText(found.index);
          rest.splitText(found[0].length);
          const link = document.createElement("a");
          link.className = "term";
          link.href = `${base}book/glossary.html#term-${term.replaceAll("'", "").replace(/\W+/g, "-")}`;
          link.title = plain(entries[term]);
          link.textContent = found[0];
          rest.replaceWith(link);
          waiting.delete(term);
          break;
        }
      }
    }
  };

  /* A reference to a formula, a statement or a figure of the page shows it where the pointer rests, or the focus is.
     A screen reader follows the link instead. */
  const previews = () => {
    const box = document.createElement("div");
    box.className = "preview";
    box.hidden = true;
    box.setAttribute("aria-hidden", "true");
    document.body.append(box);
    const hide = () => { box.hidden = true; };
    const show = link => {
      const shown = document.getElementById(link.hash.slice(1))?.closest(".math, .proof, figure:not(.explorable)");
      if (!shown || !shown.offsetParent || shown.contains(link)) return;
      const copy = shown.cloneNode(true);
      for (const part of [copy, ...copy.querySelectorAll("[id], [tabindex]")]) { part.removeAttribute("id"); part.removeAttribute("tabindex"); }
      for (const mark of copy.querySelectorAll(".headerlink")) mark.remove();
      box.replaceChildren(copy);
      box.hidden = false;
      const place = link.getBoundingClientRect();
      const left = Math.max(8, Math.min(place.left, document.documentElement.clientWidth - box.offsetWidth - 8));
      box.style.left = `${left + scrollX}px`;
      const below = place.bottom + 6, above = place.top - box.offsetHeight - 6;
      box.style.top = `${(below + box.offsetHeight > innerHeight && above > 0 ? above : below) + scrollY}px`;
    };
    for (const link of document.querySelectorAll("article a.reference.internal[href^='#']")) {
      for (const event of ["mouseenter", "focus"]) link.addEventListener(event, () => show(link));
      for (const event of ["mouseleave", "blur", "click"]) link.addEventListener(event, hide);
    }
    addEventListener("keydown", event => { if (event.key === "Escape") hide(); });
  };

  // A line never begins with the comma or the full stop that follows a formula.
  const hold = () => {
    for (const formula of document.querySelectorAll("article span.math")) {
      const next = formula.nextSibling, mark = next?.nodeType === Node.TEXT_NODE && /^[.,;:!?)\]]+/.exec(next.textContent);
      if (!mark) continue;
      next.splitText(mark[0].length);
      const held = document.createElement("span");
      held.style.whiteSpace = "nowrap";
      formula.replaceWith(held);
      held.append(formula, next);
    }
  };

  // A figure scrolls by itself where the page is too narrow for it, and its caption stays.
  const frame = () => {
    for (const image of document.querySelectorAll("article figure:not(.explorable) img")) {
      const picture = image.closest("a") ?? image;
      const room = document.createElement("div");
      room.className = "picture";
      picture.replaceWith(room);
      room.append(picture);
    }
  };

  const start = () => {
    hold();
    frame();
    glossary();
    ledger();
    previews();
    fit();
    window.MathJax?.startup?.promise?.then(fit);
    let pause = 0;
    addEventListener("resize", () => { clearTimeout(pause); pause = setTimeout(fit, 120); });
    // Many folds may open at once, as for print: one fit does for them all.
    let next = 0;
    document.addEventListener("toggle", () => { cancelAnimationFrame(next); next = requestAnimationFrame(fit); }, true);
  };
  // MathJax starts after its own script, which is deferred.
  addEventListener("load", start);
})();
