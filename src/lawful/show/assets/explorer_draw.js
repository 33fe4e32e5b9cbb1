"use strict";

// The figures, drawn with Observable Plot from what lawfulModel returns. Colours are custom properties of
// the style sheet, so they follow the page into the dark; only the sequence of budgets is computed here.
const lawfulDraw = (() => {
  const M = lawfulMath;
  const INK = "var(--ink)";
  const MUTED = "var(--muted)";
  const A2 = "var(--approach2)";
  const VPNLS = "var(--vpnls)";
  const SYMBOLS = ["circle", "square", "triangle", "diamond"];

  const { count, scientific } = lawfulNumbers;

  const nats = (value) => `${value.toFixed(4)} nats`;

  const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;

  function budgetColours(number, page) {
    const [low, high] = page.palette[dark() ? "dark" : "light"];
    return Array.from({ length: number }, (_, i) =>
      d3.interpolateViridis(low + (high - low) * (number > 1 ? i / (number - 1) : 0.5)));
  }

  // Powers of ten inside a range, thinned until they fit.
  function decades(low, high, most = 6) {
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    const step = Math.max(1, Math.ceil((last - first + 1) / most));
    const length = Math.max(0, Math.floor((last - first) / step) + 1);
    return Array.from({ length }, (_, i) => 10 ** (first + i * step));
  }

  // Over less than two decades 1, 2 and 5 of every decade are ticks as well.
  function logTicks(low, high, most) {
    const tens = decades(low, high, most);
    if (Math.log10(high / low) > 2.2) return tens;
    const found = [];
    for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p += 1) {
      for (const m of [1, 2, 5]) {
        const v = m * 10 ** p;
        if (v >= low * 0.999 && v <= high * 1.001) found.push(v);
      }
    }
    return found;
  }

  const logAxis = (domain, label, format, most) => ({
    type: "log", domain, label, ticks: logTicks(...domain, most), tickFormat: (v) => format(v), grid: true,
  });

  function plot(width, height, ariaLabel, options) {
    const figure = Plot.plot({
      width, height, ariaLabel, marginLeft: 56, marginBottom: 42, marginTop: 22, marginRight: 16,
      style: { fontSize: "12px", color: INK, background: "transparent", overflow: "visible" },
      ...options,
    });
    lawfulKeys.keep(figure);
    figure.setAttribute("role", "img");
    // A group without a role may carry no label.
    for (const group of figure.querySelectorAll("g[aria-label]")) group.removeAttribute("aria-label");
    return figure;
  }

  function tip(data, x, y, title) {
    lawfulKeys.remember(data, x, y, title);
    return Plot.tip(data, Plot.pointer({
      x, y, title, maxRadius: 30, fill: "var(--paper)", stroke: "var(--grid)", fontSize: 12, lineHeight: 1.25,
    }));
  }

  const along = (low, high, number, at) =>
    M.spaced(Math.log10(low), Math.log10(high), number).map((v) => at(10 ** v));

  const tall = (width) => Math.min(430, Math.max(300, width * 0.55));

  const where = (run) => `N ${count(run.params)}, D ${count(run.tokens)}`;

  function isoflop(found, page, width, shownRuns) {
    const { budgets, runs, truth, approach2, vpnls, optima } = found;
    const k = page.flops_per_param_token;
    const colours = budgetColours(budgets.length, page);
    const curves = [];
    const parabolas = [];
    budgets.forEach((budget, group) => {
      const sizes = runs.filter((run) => run.group === group).map((run) => run.params);
      const [low, high] = [Math.min(...sizes), Math.max(...sizes)];
      curves.push(...along(low / 1.6, high * 1.6, 41, (params) =>
        ({ group, params, loss: M.loss(truth, params, budget / (k * params)) })));
      const curve = approach2.curves[group];
      parabolas.push(...along(low, high, 25, (params) =>
        ({ group, params, loss: M.parabolaAt(curve.inParams, Math.log10(params)) })));
    });
    const vertices = approach2.curves.flatMap((curve, group) => {
      const params = 10 ** curve.inParams.vertex;
      const far = !curve.upward || curve.flat || params < runs[0].params / 1e3 || params > runs.at(-1).params * 1e3;
      return far ? [] : [{ what: "Approach 2's optimum", group, params, tokens: budgets[group] / (k * params),
        loss: M.parabolaAt(curve.inParams, curve.inParams.vertex) }];
    });
    const inferred = (vpnls.optima ?? []).map((point, group) => ({ what: "VPNLS's optimum", group, ...point }));
    const best = optima.map((point, group) => ({ what: "True optimum", group, ...point }));
    const mine = shownRuns ?? [];
    const sizes = [...curves, ...best].map((p) => p.params);
    const domain = [Math.min(...sizes), Math.max(...sizes)];
    const inside = (p) => p.params >= domain[0] && p.params <= domain[1];
    const losses = [...runs, ...best, ...parabolas].map((p) => p.loss);
    const [low, high] = [Math.min(...losses), Math.max(...losses)];
    const room = 0.06 * (high - low) + 1e-6;
    const visible = (p) => inside(p) && p.loss >= low - room && p.loss <= high + room;
    const points = [
      ...runs.map((run) => ({ ...run, what: "Run" })), ...best, ...vertices, ...inferred,
      ...mine.map((run) => ({ ...run, what: "Your run" })),
    ].filter(visible);
    const title = (p) => {
      const budget = p.budget ?? budgets[p.group];
      return `${p.what} at ${scientific(budget)} FLOPs\n${where(p)}\nloss ${nats(p.loss)}`;
    };
    const tone = (p) => colours[p.group];
    return plot(width, tall(width), "IsoFLOP curves: loss against parameters at every budget", {
      x: logAxis(domain, "parameters N", count),
      y: { domain: [low - room, high + room], label: "loss (nats per token)", grid: true, nice: false },
      marks: [
        Plot.line(curves, { x: "params", y: "loss", z: "group", stroke: tone, strokeWidth: 1.6, clip: true }),
        Plot.line(parabolas, {
          x: "params", y: "loss", z: "group", stroke: A2, strokeWidth: 1.4, strokeDasharray: "5,3", clip: true,
        }),
        Plot.dot(mine.filter(visible), {
          x: "params", y: "loss", r: 4.5, symbol: "square", stroke: MUTED, strokeWidth: 1.4,
        }),
        Plot.dot(runs, { x: "params", y: "loss", r: 2.6, fill: tone }),
        Plot.dot(vertices.filter(visible), { x: "params", y: "loss", r: 5, fill: A2, stroke: "var(--paper)" }),
        Plot.dot(inferred.filter(visible), {
          x: "params", y: "loss", r: 6.5, symbol: "diamond2", stroke: VPNLS, strokeWidth: 2,
        }),
        Plot.dot(best, { x: "params", y: "loss", r: 5, symbol: "plus", stroke: INK, strokeWidth: 2 }),
        tip(points, "params", "loss", title),
      ],
    });
  }

  // What every method puts at a budget: N*, D* and how far D* is off.
  function methodsAt(found, k) {
    /** @type {{ name: string, stroke: string, dash?: string, at: (budget: number) => { params: number, tokens: number } }[]} */
    const methods = [{ name: "Truth", stroke: INK, at: (budget) => M.optimum(found.truth, budget, k) }];
    const lines = found.approach2.frontier;
    if (lines) {
      methods.push({ name: "Approach 2", stroke: A2, dash: "6,3", at: (budget) => M.onFrontier(lines, budget) });
    }
    if (found.vpnls.exponents) {
      const at = (budget) => M.optimum(found.vpnls.surface, budget, k);
      methods.push({ name: "VPNLS", stroke: VPNLS, dash: "1.5,3", at });
    }
    return methods;
  }

  function frontier(found, page, width, quantity) {
    const k = page.flops_per_param_token;
    const target = found.target.budget;
    const [low, high] = [Math.min(found.budgets[0], target) / 2, Math.max(found.budgets.at(-1), target) * 3];
    const methods = methodsAt(found, k);
    const placed = (m, budget) => ({ m, budget, value: m.at(budget)[quantity] });
    const rows = methods.flatMap((m) => along(low, high, 13, (budget) => placed(m, budget)));
    const marked = methods.map((m) => placed(m, target));
    const vertices = found.approach2.curves.flatMap((c) => {
      const vertex = quantity === "params" ? c.inParams : c.inTokens;
      const point = { m: { name: "Vertex of a parabola" }, budget: c.budget, value: 10 ** vertex.vertex };
      return c.upward && !c.flat ? [point] : [];
    });
    const values = rows.map((r) => r.value).filter((v) => v > 0 && Number.isFinite(v));
    const domain = [Math.min(...values), Math.max(...values)];
    const shown = vertices.filter((v) => v.value >= domain[0] && v.value <= domain[1]);
    const symbol = quantity === "params" ? "N" : "D";
    const title = (p) => `${p.m.name}\n${scientific(p.budget)} FLOPs\n${symbol}* ${count(p.value)}`;
    return plot(width, 260, `Compute-optimal ${symbol}* against compute, up to the target`, {
      x: logAxis([low, high], "compute C (FLOPs)", scientific, Math.max(3, Math.floor(width / 75))),
      y: logAxis(domain, quantity === "params" ? "parameters N*" : "tokens D*", count, 5),
      marks: [
        Plot.ruleX([target], { stroke: MUTED, strokeDasharray: "2,3" }),
        ...methods.map((m) => Plot.line(rows.filter((r) => r.m === m), {
          x: "budget", y: "value", stroke: m.stroke, strokeWidth: m.dash ? 2.2 : 1.6, strokeDasharray: m.dash })),
        Plot.dot(shown, { x: "budget", y: "value", r: 3.5, fill: A2 }),
        Plot.dot(marked, { x: "budget", y: "value", r: 4, fill: (p) => p.m.stroke, stroke: "var(--paper)" }),
        tip([...rows, ...shown, ...marked], "budget", "value", title),
      ],
    });
  }

  // How far each method's D* is off, in percent: on log axes a miss of a tenth is thinner than a line.
  function miss(found, page, width) {
    const k = page.flops_per_param_token;
    const target = found.target.budget;
    const [low, high] = [Math.min(found.budgets[0], target) / 2, Math.max(found.budgets.at(-1), target) * 3];
    const [truth, ...methods] = methodsAt(found, k);
    const off = (m, budget) => ({ m, budget, value: 100 * (m.at(budget).tokens / truth.at(budget).tokens - 1) });
    const rows = methods.flatMap((m) => along(low, high, 31, (budget) => off(m, budget)));
    const marked = methods.map((m) => off(m, target));
    const values = [...rows.map((r) => r.value), -1, 1].filter((v) => Math.abs(v) < 1e4);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const room = 0.08 * (most - least);
    const title = (p) => `${p.m.name}\n${scientific(p.budget)} FLOPs\nD* ${percent(p.value / 100)} off`;
    return plot(width, 220, "Error of D* of each method against compute, in percent", {
      x: logAxis([low, high], "compute C (FLOPs)", scientific, Math.max(3, Math.floor(width / 75))),
      y: { label: "error of D* (%)", grid: true, domain: d3.nice(least - room, most + room, 8) },
      marks: [
        Plot.ruleX(found.budgets, { stroke: "var(--grid)", strokeWidth: 3 }),
        Plot.ruleX([target], { stroke: MUTED, strokeDasharray: "2,3" }),
        Plot.ruleY([0], { stroke: INK }),
        ...methods.map((m) => Plot.line(rows.filter((r) => r.m === m), {
          x: "budget", y: "value", stroke: m.stroke, strokeWidth: 2.2, strokeDasharray: m.dash, clip: true })),
        Plot.dot(marked, {
          x: "budget", y: "value", r: 4.5, fill: (p) => p.m.stroke, stroke: "var(--paper)", clip: true,
        }),
        tip([...rows, ...marked].filter((r) => Math.abs(r.value) < 1e4), "budget", "value", title),
      ],
    });
  }

  function percent(share, digits = 3) {
    if (!Number.isFinite(share)) return "none";
    const value = 100 * share;
    if (Math.abs(value) < 5e-7) return "0%";
    return `${value > 0 ? "+" : "−"}${short(Math.abs(value), digits)}%`;
  }

  const short = (value, digits = 3) =>
    value !== 0 && (value < 1e-4 || value >= 1e5) ? scientific(value) : String(Number(value.toPrecision(digits)));

  // The toy's runs at four ratios of tokens to parameters, and the law fitted on some of them.
  function toy(found, width) {
    const { all, truth, vpnls } = found;
    const ratios = [...new Set(all.map((run) => Math.round(run.tokens / run.params)))];
    const sizes = all.map((run) => run.params);
    const [low, high] = [Math.min(...sizes) / 1.5, Math.max(...sizes) * 1.5];
    const curve = (surface) => ratios.flatMap((ratio) =>
      along(low, high, 41, (params) => ({ ratio, params, loss: M.loss(surface, params, ratio * params) })));
    const symbolOf = (run) => SYMBOLS[ratios.indexOf(Math.round(run.tokens / run.params)) % SYMBOLS.length];
    const title = (run) => {
      const ratio = Math.round(run.tokens / run.params);
      return `${run.used ? "Run fitted on" : "Run left out"}\n${where(run)} (D/N ${ratio})\nloss ${nats(run.loss)}`;
    };
    return plot(width, tall(width), "The toy's runs: loss against parameters at four ratios of tokens to parameters", {
      x: logAxis([low, high], "parameters N", count),
      y: { label: "loss (nats per token)", grid: true },
      marks: [
        Plot.line(curve(truth), { x: "params", y: "loss", z: "ratio", stroke: INK, strokeWidth: 1.2 }),
        Plot.line(curve(vpnls.surface), {
          x: "params", y: "loss", z: "ratio", stroke: VPNLS, strokeWidth: 2, strokeDasharray: "5,3",
        }),
        ...SYMBOLS.map((symbol) => Plot.dot(all.filter((run) => symbolOf(run) === symbol), {
          x: "params", y: "loss", r: 4, symbol, stroke: INK, fill: (run) => (run.used ? INK : "var(--paper)") })),
        tip(all, "params", "loss", title),
      ],
    });
  }

  // The toy's forecast: loss of compute-optimal models up to the target size.
  function forecast(found, width) {
    const { truth, vpnls, target, runs } = found;
    const low = Math.min(...runs.map((run) => run.params));
    const high = target.params * 3;
    const methods = [
      { name: "Truth", stroke: INK, surface: truth },
      { name: "VPNLS", stroke: VPNLS, dash: "5,3", surface: vpnls.surface },
    ];
    const at = (m, params) => ({ m, params, loss: M.loss(m.surface, params, M.optimalTokens(truth, params)) });
    const rows = methods.flatMap((m) => along(low, high, 41, (params) => at(m, params)));
    const marked = methods.map((m) => at(m, target.params));
    const title = (p) => `${p.m.name}\nN ${count(p.params)} at its optimal tokens\nloss ${nats(p.loss)}`;
    return plot(width, 280, "Loss of compute-optimal models up to the target size", {
      x: logAxis([low, high], "parameters N, each at its compute-optimal tokens", count),
      y: { label: "loss (nats per token)", grid: true },
      marks: [
        Plot.rectX([{}], { x1: low, x2: Math.max(...runs.map((run) => run.params)), fill: "var(--shade)" }),
        Plot.ruleX([target.params], { stroke: MUTED, strokeDasharray: "2,3" }),
        ...methods.map((m) => Plot.line(rows.filter((r) => r.m === m), {
          x: "params", y: "loss", stroke: m.stroke, strokeWidth: 2, strokeDasharray: m.dash })),
        Plot.dot(marked, { x: "params", y: "loss", r: 4.5, fill: (p) => p.m.stroke, stroke: "var(--paper)" }),
        tip([...rows, ...marked], "params", "loss", title),
      ],
    });
  }

  return { along, budgetColours, forecast, frontier, isoflop, logAxis, miss, nats, percent, plot, short, tall, tip, toy };
})();
