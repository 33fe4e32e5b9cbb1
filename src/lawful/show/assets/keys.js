"use strict";

// Figures under the keyboard: left and right go from mark to mark as a pointer would, Home and End to the ends, Escape
// hides what is said. What a mark says is shown beside it and spoken.
const lawfulKeys = (() => {
  let asked = null;
  const marks = new WeakMap();
  const value = (row, of) => (typeof of === "function" ? of(row) : row[of]);

  // The tip of the figure that is being drawn; its rows are the marks.
  function remember(rows, x, y, title) {
    asked = { rows, x, y, title };
  }

  // Places and words are worked out when a key first asks for them: most figures are drawn and left.
  function keep(drawn) {
    if (asked === null) return; // a figure without a tip
    const { rows, x, y, title } = asked;
    asked = null;
    marks.set(drawn, () => {
      const [across, up] = ["x", "y"].map((name) => drawn.scale(name));
      const inside = (at, scale) => at >= Math.min(...scale.range) && at <= Math.max(...scale.range);
      const placed = rows.map((row) => ({ row, x: across.apply(value(row, x)), y: up.apply(value(row, y)) }));
      const found = placed.filter((mark) => inside(mark.x, across) && inside(mark.y, up)).sort((a, b) => a.x - b.x || a.y - b.y)
        .map((mark) => ({ x: mark.x, y: mark.y, text: title(mark.row) }));
      marks.set(drawn, () => found);
      return found;
    });
  }

  // Makes the box of a figure answer to keys; what it holds may be drawn anew at any time.
  function listen(box) {
    const spoken = document.createElement("span");
    spoken.className = "spoken";
    spoken.setAttribute("role", "status");
    box.after(spoken);
    box.tabIndex = 0;
    box.setAttribute("role", "application");
    box.setAttribute("aria-roledescription", "figure");
    let place = 0;
    const figure = () => [...box.querySelectorAll("svg, figure")].find((one) => marks.has(one));
    const point = (drawn, kind, at) => {
      const svg = drawn.tagName === "FIGURE" ? drawn.querySelector(":scope > svg:last-of-type") : drawn;
      const { x, y } = new DOMPoint(at.x, at.y).matrixTransform(svg.getScreenCTM());
      svg.dispatchEvent(new PointerEvent(kind, { clientX: x, clientY: y, pointerType: "mouse" }));
    };
    const hide = () => {
      const drawn = figure();
      if (drawn) point(drawn, "pointerleave", { x: 0, y: 0 });
      spoken.textContent = "";
    };
    const go = (to) => {
      const drawn = figure(), found = drawn ? marks.get(drawn)() : [];
      if (!found.length) return;
      place = Math.max(0, Math.min(found.length - 1, to));
      point(drawn, "pointermove", found[place]);
      spoken.textContent = found[place].text.replaceAll("\n", ", ");
    };
    const MOVES = { ArrowLeft: () => place - 1, ArrowRight: () => place + 1, Home: () => 0, End: () => Infinity };
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
      if (!MOVES[event.key] || !figure() || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      go(MOVES[event.key]());
    });
    box.addEventListener("focus", () => { if (box.matches(":focus-visible")) go(place); });
    box.addEventListener("blur", hide);
  }

  // The name that a box takes from its figure, with what keys do there.
  const named = (drawn) => `${drawn.getAttribute("aria-label")}. Left and right arrow keys ${marks.has(drawn) ? "go from mark to mark" : "move the target"}.`;

  return { keep, listen, named, remember };
})();
