"use strict";

// Figures of the user's own runs. A run is left out, or brought back, by a click on it or by a rectangle drawn around it.
const lawfulOwnDraw = (() => {
  const M = lawfulMath;
  const { count, scientific } = lawfulNumbers;
  const { along, budgetColours, logAxis, nats, plot, tall, tip } = lawfulDraw;
  const METHODS = [
    { name: "Approach 2", key: "approach2", stroke: "var(--approach2)", dash: "6,3" },
    { name: "VPNLS", key: "vpnls", stroke: "var(--vpnls)" },
    { name: "Coupled law", key: "coupled", stroke: "var(--coupled)", dash: "1.5,3" },
  ];
  const REACH = 14;
  const BRUSH = 6;

  // Answers that are worlds apart would leave the runs no room on the map.
  const near = (a, b) => Math.abs(Math.log(a / b)) < Math.log(30);

  const where = (p) => `N ${count(p.params)}, D ${count(p.tokens)}`;

  const range = (values, room = 0) => {
    const found = values.filter(Number.isFinite);
    const [low, high] = [found.reduce((a, b) => Math.min(a, b)), found.reduce((a, b) => Math.max(a, b))];
    return [low - room * (high - low), high + room * (high - low)];
  };

  function isoflop(found, page, width, toggle) {
    const k = page.flops_per_param_token;
    const { budgets, runs, out, vpnls, approach2 } = found;
    const colours = budgetColours(budgets.length, page);
    const reach = (g) => range([...runs, ...out].filter((run) => run.group === g).map((run) => run.params));
    const curves = [];
    if (vpnls.surface) {
      budgets.forEach((budget, group) => {
        if (runs.filter((run) => run.group === group).length < 2) return;
        const [low, high] = reach(group);
        curves.push(...along(low / 1.3, high * 1.3, 33, (params) =>
          ({ group, params, loss: vpnls.loss(vpnls.surface, params, budget / (k * params)) })));
      });
    }
    const parabolas = approach2.curves.flatMap((curve) => {
      const [low, high] = range(curve.runs.map((run) => run.params));
      return along(low, high, 25, (params) =>
        ({ group: curve.group, params, loss: M.parabolaAt(curve.inParams, Math.log10(params)) }));
    });
    const all = [...runs, ...out];
    const x = range([...all.map((run) => run.params)]);
    const y = range([...runs, ...parabolas].map((p) => p.loss), 0.05);
    const high = Math.max(y[1], range(all.map((run) => run.loss), 0.03)[1]);
    const lowest = Math.min(y[0], range(all.map((run) => run.loss), 0.03)[0]);
    const inside = (p) => p.params >= x[0] / 1.3 && p.params <= x[1] * 1.3 && p.loss >= lowest && p.loss <= high;
    const optima = METHODS.filter(({ key }) => key !== "coupled").flatMap(({ key, name }) => budgets.map((budget, group) => {
      if (key === "vpnls") return vpnls.whole ? { name, key, group, ...vpnls.at(budget) } : null;
      const curve = approach2.curves.find((c) => c.group === group);
      const params = curve && 10 ** curve.inParams.vertex;
      return curve ? { name, key, group, params, tokens: budget / (k * params), loss: M.parabolaAt(curve.inParams, curve.inParams.vertex) } : null;
    })).filter((p) => p !== null && inside(p));
    const title = (p) => {
      const what = p.name ? `${p.name}'s optimum` : p.out ? "Left out: click to bring back" : "Run: click to leave out";
      const flag = p.flag ? `\nflagged: ${p.flag}` : "";
      return `${what}${p.row ? ` (row ${p.row})` : ""}\n${scientific(p.budget ?? budgets[p.group])} FLOPs\n${where(p)}\nloss ${nats(p.loss)}${flag}`;
    };
    const tone = (p) => colours[p.group];
    const figure = plot(width, tall(width), "IsoFLOP curves of your runs: loss against parameters at every budget", {
      x: logAxis([x[0] / 1.3, x[1] * 1.3], "parameters N", count, Math.max(3, Math.floor(width / 80))),
      y: { domain: [lowest, high], label: "loss (nats per token)", grid: true, nice: false },
      marks: [
        Plot.line(curves, { x: "params", y: "loss", z: "group", stroke: tone, strokeWidth: 1.6, clip: true }),
        Plot.line(parabolas, { x: "params", y: "loss", z: "group", stroke: "var(--approach2)", strokeWidth: 1.3, strokeDasharray: "5,3", clip: true }),
        Plot.dot(runs, { x: "params", y: "loss", r: 4, fill: tone, stroke: (p) => (p.flag ? "var(--ink)" : "none"), strokeWidth: 1.2 }),
        Plot.dot(out, { x: "params", y: "loss", r: 4.5, fill: "var(--paper)", stroke: tone, strokeWidth: 1.6 }),
        Plot.dot(out, { x: "params", y: "loss", r: 3, symbol: "times", stroke: tone, strokeWidth: 1.3 }),
        Plot.dot(optima.filter((p) => p.key === "approach2"), { x: "params", y: "loss", r: 5, fill: "var(--approach2)", stroke: "var(--paper)" }),
        Plot.dot(optima.filter((p) => p.key === "vpnls"), { x: "params", y: "loss", r: 6.5, symbol: "diamond2", stroke: "var(--vpnls)", strokeWidth: 2 }),
        tip([...optima, ...runs, ...out.map((run) => ({ ...run, out: true }))], "params", "loss", title),
      ],
    });
    const [sx, sy] = [figure.scale("x"), figure.scale("y")];
    choose(figure, all.map((run) => ({ row: run.row, x: sx.apply(run.params), y: sy.apply(run.loss) })), toggle);
    return figure;
  }

  const placeOf = (figure, event) => {
    const box = figure.getBoundingClientRect();
    const scale = figure.viewBox.baseVal.width / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  };

  // A click takes the nearest run; a rectangle drawn with a mouse or pen takes all inside. A finger scrolls the page.
  function choose(figure, points, toggle) {
    figure.style.cursor = "crosshair";
    /** @type {any} */
    let start = null;
    /** @type {any} */
    let brush = null;
    // Taken on the way down: Plot keeps what reaches its tips to itself.
    figure.addEventListener("pointerdown", (event) => {
      if (event.button === 0) start = placeOf(figure, event);
    }, { capture: true });
    figure.addEventListener("pointermove", (event) => {
      if (start === null || event.pointerType === "touch") return;
      const here = placeOf(figure, event);
      if (brush === null && Math.hypot(here.x - start.x, here.y - start.y) < BRUSH) return;
      if (brush === null) {
        brush = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        brush.setAttribute("class", "brush");
        figure.append(brush);
        figure.setPointerCapture(event.pointerId);
      }
      for (const [name, v] of [["x", Math.min(here.x, start.x)], ["y", Math.min(here.y, start.y)],
        ["width", Math.abs(here.x - start.x)], ["height", Math.abs(here.y - start.y)]]) brush.setAttribute(name, String(v));
    });
    figure.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const [from, here] = [start, placeOf(figure, event)];
      start = null;
      if (brush !== null) {
        brush.remove();
        brush = null;
        const between = (v, a, b) => v >= Math.min(a, b) && v <= Math.max(a, b);
        toggle(points.filter((p) => between(p.x, from.x, here.x) && between(p.y, from.y, here.y)).map((p) => p.row));
        return;
      }
      const away = (p) => Math.hypot(p.x - here.x, p.y - here.y);
      const within = points.filter((p) => away(p) < REACH).sort((a, b) => away(a) - away(b));
      if (within.length) toggle([within[0].row]);
    });
    figure.addEventListener("pointercancel", () => {
      start = null;
      brush?.remove();
      brush = null;
    });
  }

  const answers = (found) => METHODS.filter(({ key }) => found.target[key] !== null);

  function span(found) {
    const { budget } = found.target;
    return [Math.min(found.budgets[0], budget) / 1.6, Math.max(found.budgets.at(-1), budget) * 1.6];
  }

  function sizes(found, page, width) {
    const [low, high] = span(found);
    const methods = answers(found);
    const rows = methods.flatMap((m) => along(low, high, 15, (budget) => ({ m, budget, value: found.at(budget)[m.key].params })));
    const marked = methods.map((m) => ({ m, budget: found.target.budget, value: found.target[m.key].params }));
    const vertices = found.approach2.curves.map((c) => ({ m: { name: "Vertex of a parabola" }, budget: c.budget, value: 10 ** c.inParams.vertex }));
    const all = [...rows, ...marked].map((r) => r.value).filter((v) => v > 0 && Number.isFinite(v));
    if (!all.length) return null;
    const title = (p) => `${p.m.name}\n${scientific(p.budget)} FLOPs\nN* ${count(p.value)}`;
    return plot(width, 270, "Compute-optimal parameters against compute, up to the target", {
      x: logAxis([low, high], "compute C (FLOPs)", scientific, Math.max(3, Math.floor(width / 75))),
      y: logAxis(range(all), "parameters N*", count, 5),
      marks: [
        Plot.ruleX([found.target.budget], { stroke: "var(--muted)", strokeDasharray: "2,3" }),
        ...methods.map((m) => Plot.line(rows.filter((r) => r.m === m), {
          x: "budget", y: "value", stroke: m.stroke, strokeWidth: 2, strokeDasharray: m.dash })),
        Plot.dot(vertices, { x: "budget", y: "value", r: 3.5, fill: "var(--approach2)", clip: true }),
        Plot.dot(marked, { x: "budget", y: "value", r: 4.5, fill: (p) => p.m.stroke, stroke: "var(--paper)" }),
        tip([...rows, ...vertices, ...marked], "budget", "value", title),
      ],
    });
  }

  // Every run, and the loss of the best model of every budget by the two laws.
  function losses(found, page, width) {
    const [low, high] = span(found);
    const methods = answers(found).filter(({ key }) => key !== "approach2");
    const rows = methods.flatMap((m) => along(low, high, 25, (budget) => ({ m, budget, loss: found.at(budget)[m.key].loss })));
    const colours = budgetColours(found.budgets.length, page);
    const marked = methods.map((m) => ({ m, budget: found.target.budget, loss: found.target[m.key].loss }));
    const title = (p) => `${p.m ? `${p.m.name}, best of the budget` : p.out ? "Left out" : "Run"}\n${scientific(p.budget)} FLOPs\nloss ${nats(p.loss)}`;
    return plot(width, 270, "Loss against compute: the runs, and the best loss of every budget by each law", {
      x: logAxis([low, high], "compute C (FLOPs)", scientific, Math.max(3, Math.floor(width / 75))),
      y: { label: "loss (nats per token)", grid: true },
      marks: [
        Plot.ruleX([found.target.budget], { stroke: "var(--muted)", strokeDasharray: "2,3" }),
        Plot.dot(found.runs, { x: "budget", y: "loss", r: 2.8, fill: (p) => colours[p.group] }),
        Plot.dot(found.out, { x: "budget", y: "loss", r: 3, stroke: (p) => colours[p.group] }),
        ...methods.map((m) => Plot.line(rows.filter((r) => r.m === m), {
          x: "budget", y: "loss", stroke: m.stroke, strokeWidth: 2, strokeDasharray: m.dash })),
        Plot.dot(marked, { x: "budget", y: "loss", r: 4.5, fill: (p) => p.m.stroke, stroke: "var(--paper)" }),
        tip([...rows, ...found.runs, ...found.out.map((run) => ({ ...run, out: true })), ...marked], "budget", "loss", title),
      ],
    });
  }

  // The law as a map of N and D: lines of equal loss in closed form, the optimum's path, and the target, which is dragged.
  function map(found, page, width, aim) {
    const { vpnls, target } = found;
    if (!vpnls.whole) return null;
    const k = page.flops_per_param_token;
    const s = vpnls.surface;
    const best = vpnls.at(target.budget);
    const others = METHODS.filter(({ key }) => key !== "vpnls" && target[key] !== null).map((m) => ({ ...target[m.key], m }))
      .filter((p) => near(p.params, best.params) && near(p.tokens, best.tokens));
    const points = [...found.runs, ...found.out, ...others, best];
    const x = range(points.map((p) => Math.log10(p.params)), 0.04).map((v) => 10 ** v);
    const y = range(points.map((p) => Math.log10(p.tokens)), 0.04).map((v) => 10 ** v);
    const [least, most] = range([...found.runs.map((run) => M.loss(s, run.params, run.tokens)), best.loss]).map((v) => v - s.E);
    const levels = M.spaced(Math.log(Math.max(least, 1e-9)), Math.log(most), 9).map((v) => s.E + Math.exp(v));
    // From where a line enters the map at its top, or at its left side, to the right: even steps from there on draw all of it.
    const lines = levels.flatMap((level, i) => {
      const left = level - s.E - s.B * y[1] ** -s.beta;
      const start = left > 0 ? Math.max(x[0], (s.A / left) ** (1 / s.alpha)) : x[1];
      return start >= x[1] ? [] : along(start, x[1], 61, (n) => {
        const rest = level - s.E - s.A * n ** -s.alpha;
        return { i, level, params: n, tokens: rest > 0 ? (s.B / rest) ** (1 / s.beta) : NaN };
      });
    }).filter((p) => p.tokens >= y[0] && p.tokens <= 1.0001 * y[1]);
    const ends = levels.map((_, i) => lines.filter((p) => p.i === i).at(-1)).filter((p) => p && p.tokens > 1.2 * y[0]);
    const path = along(k * x[0] * y[0], k * x[1] * y[1], 41, (budget) => vpnls.at(budget))
      .filter((p) => p.params >= x[0] && p.params <= x[1] && p.tokens >= y[0] && p.tokens <= y[1]);
    const equal = along(x[0], x[1], 21, (n) => ({ params: n, tokens: target.budget / (k * n) }))
      .filter((p) => p.tokens >= y[0] && p.tokens <= y[1]);
    const colours = budgetColours(found.budgets.length, page);
    const figure = plot(width, tall(width), "Lines of equal loss over parameters and tokens, with the runs, the path of the optimum and the target", {
      marginRight: 46,
      x: logAxis(x, "parameters N", count, Math.max(3, Math.floor(width / 90))),
      y: logAxis(y, "tokens D", count, 6),
      marks: [
        Plot.line(lines, { x: "params", y: "tokens", z: "i", stroke: "var(--muted)", strokeWidth: 1 }),
        Plot.text(ends, { x: "params", y: "tokens", text: (p) => p.level.toPrecision(3), dx: 4, textAnchor: "start", fill: "var(--muted)", fontSize: 11 }),
        Plot.line(equal, { x: "params", y: "tokens", stroke: "var(--ink)", strokeWidth: 1, strokeDasharray: "2,3" }),
        Plot.line(path, { x: "params", y: "tokens", stroke: "var(--vpnls)", strokeWidth: 2 }),
        Plot.dot(found.runs, { x: "params", y: "tokens", r: 3, fill: (p) => colours[p.group] }),
        Plot.dot(found.out, { x: "params", y: "tokens", r: 3, stroke: (p) => colours[p.group] }),
        Plot.dot(others, { x: "params", y: "tokens", r: 5, fill: (p) => p.m.stroke, stroke: "var(--paper)" }),
        Plot.dot([best], { x: "params", y: "tokens", r: 8, symbol: "star", fill: "var(--vpnls)", stroke: "var(--paper)" }),
      ],
    });
    drag(figure, { x: figure.scale("x"), y: figure.scale("y") }, k, aim);
    return figure;
  }

  // Where the pointer goes, N and D say a budget: the target follows, on the path of the optimum.
  function drag(figure, { x, y }, k, aim) {
    figure.style.cursor = "grab";
    figure.style.touchAction = "pan-y";
    figure.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      // The figure is drawn anew at every move: its place and scales are those that the pointer went down on, and the
      // page listens, not the figure.
      const box = figure.getBoundingClientRect();
      const scale = figure.viewBox.baseVal.width / box.width;
      const move = (next) => aim(k * x.invert((next.clientX - box.left) * scale) * y.invert((next.clientY - box.top) * scale));
      move(event);
      const stop = () => {
        removeEventListener("pointermove", move);
        removeEventListener("pointerup", stop);
        removeEventListener("pointercancel", stop);
      };
      addEventListener("pointermove", move);
      addEventListener("pointerup", stop);
      addEventListener("pointercancel", stop);
    });
  }

  return { isoflop, losses, map, sizes };
})();
