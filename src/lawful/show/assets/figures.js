"use strict";
// Draws the figures of a report with Observable Plot from the tables in the page. Colours are CSS
// properties of the page, so a figure follows the reader's colour scheme without being drawn again.

const Figures = (() => {
  const DASH = { approach2: "5 3", approach1: "7 3 2 3" };
  const SYMBOL = { vpnls: "diamond", approach3: "diamond", approach2: "circle", approach1: "square" };
  const colour = (name) => `var(--${name})`;

  const { count, plain, power, scientific } = lawfulNumbers;
  const loss = (value) => (Number.isFinite(value) ? `${value.toFixed(4)} nats` : "n/a");
  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toPrecision(3)} nats`;

  // A table of the page as rows; null (no number) stays NaN, so that lines break there.
  function rows(data, name) {
    const table = data.tables[name];
    if (!table) return [];
    const keys = Object.keys(table.columns);
    const length = keys.length ? table.columns[keys[0]].length : 0;
    return Array.from({ length }, (_, i) =>
      Object.fromEntries(keys.map((key) => [key, table.columns[key][i] ?? NaN])));
  }
  const distinct = (values) => [...new Set(values)];
  // Methods whose optimum the runs tell: lines of the others have no numbers.
  const told = (lines) => distinct(lines.filter((r) => Number.isFinite(r.params)).map((r) => r.source));
  const label = (data, source) => data.labels[source] ?? source;

  // Ticks of a log axis that fit a width: 1-2-5 over little more than a decade, else powers of ten.
  function logTicks([low, high], most) {
    const steps = Math.log10(high / low) < 1.6 ? [1, 2, 5] : Math.log10(high / low) < 2.6 ? [1, 3] : [1];
    const found = [];
    for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k += 1)
      for (const step of steps) {
        const tick = Number(`${step}e${k}`);
        if (tick >= low && tick <= high) found.push(tick);
      }
    const stride = Math.ceil(found.length / most);
    return found.filter((_, i) => i % stride === 0);
  }
  const spread = (values, factor) => {
    const good = values.filter((v) => Number.isFinite(v) && v > 0);
    return [Math.min(...good) / factor, Math.max(...good) * factor];
  };
  function logAxis(domain, title, most, format) {
    return { type: "log", domain, label: title, labelArrow: "none", ticks: logTicks(domain, most), tickFormat: (v) => format(v), grid: true };
  }
  const most = (width) => Math.max(3, Math.floor(width / 85));

  function plot(width, height, title, scales, marks) {
    const drawn = Plot.plot({
      width, height, marginLeft: 58, marginBottom: 42, marginRight: 14, marginTop: 24,
      ariaLabel: title, color: { type: "identity" }, symbol: { type: "identity" },
      style: { background: "none", color: "var(--ink)", fontSize: "12px", overflow: "visible", "--plot-background": "var(--paper)" },
      ...scales, marks,
    });
    lawfulKeys.keep(drawn);
    return drawn;
  }

  function tip(data, options, along = Plot.pointer) {
    lawfulKeys.remember(data, options.x, options.y, options.title);
    return Plot.tip(data, along({ fill: "var(--paper)", stroke: "var(--muted)", fontSize: 12, lineHeight: 1.25, ...options }));
  }

  // The budgets of a figure, lowest first, each with its place in the scale of colours.
  function budgetColours(runs) {
    const budgets = distinct(runs.map((r) => r.budget)).sort((a, b) => a - b);
    return (budget) => colour(`budget-${budgets.indexOf(budget)}`);
  }

  function aboutRun(r) {
    const lines = [];
    if (typeof r.label === "string" && r.label) lines.push(r.label);
    if (Number.isFinite(r.row)) lines.push(`row ${r.row}`);
    lines.push(`budget ${scientific(r.budget)} FLOPs`, `N ${count(r.params)}, D ${count(r.tokens)}`);
    if (Number.isFinite(r.tokens_per_param)) lines.push(`${count(r.tokens_per_param)} tokens per parameter`);
    if (Number.isFinite(r.loss)) lines.push(`loss ${loss(r.loss)}`);
    if (Number.isFinite(r.residual)) lines.push(`residual ${signed(r.residual)}`);
    if (typeof r.check === "string") lines.push(r.check ? `flagged: ${r.check}` : "not flagged");
    return lines.join("\n");
  }

  const ACROSS = { params: "model size N", tokens: "training tokens D" };
  const ACROSS_NAMES = { params: "Model size N (parameters)", tokens: "Training tokens D" };
  function isoflop(data, width, across) {
    const runs = rows(data, "isoflop_runs"), curves = rows(data, "isoflop_curves"), optima = rows(data, "isoflop_optima");
    const hue = budgetColours(runs);
    const losses = runs.map((r) => r.loss);
    const [low, high] = [Math.min(...losses), Math.max(...losses)];
    const near = [...curves, ...optima].map((r) => r.loss).filter((v) => v > low - 0.5 * (high - low) && v < high);
    // An optimum that the law puts above the runs stays in the figure, as long as it does not squeeze them.
    const above = optima.map((r) => r.loss).filter((v) => v < high + 0.3 * (high - low));
    const floor = Math.min(low, ...near), room = 0.04 * (high - low) || 0.04 * high;
    const domain = [floor - room, Math.max(high, ...above) + room];
    const x = spread([...runs, ...curves].map((r) => r[across]), 1.15);
    const flagged = (r) => typeof r.check === "string" && r.check !== "";
    const height = Math.min(440, 0.5 * width + 66);
    return plot(width, height, `Loss against ${ACROSS[across]} by budget`, {
      marginRight: 56,
      x: logAxis(x, ACROSS_NAMES[across], most(width), (v) => count(v)),
      y: { label: "Loss (nats per token)", labelArrow: "none", domain, clamp: false, grid: true, ticks: 6 },
    }, [
      Plot.line(curves, { x: across, y: "loss", z: (r) => `${r.source} ${r.budget}`, clip: true, strokeWidth: 1.4,
        stroke: (r) => hue(r.budget), filter: (r) => r.source !== "approach2" }),
      Plot.line(curves, { x: across, y: "loss", z: (r) => `${r.source} ${r.budget}`, clip: true, strokeWidth: 1.2,
        stroke: (r) => hue(r.budget), strokeDasharray: DASH.approach2, filter: (r) => r.source === "approach2" }),
      Plot.dot(runs, { x: across, y: "loss", r: 2.8, fill: (r) => hue(r.budget), filter: (r) => !flagged(r), clip: true }),
      Plot.dot(runs, { x: across, y: "loss", r: 4, symbol: "times", stroke: (r) => hue(r.budget), strokeWidth: 1.8, filter: flagged, clip: true }),
      ...distinct(optima.map((r) => r.source)).map((source) => Plot.dot(optima.filter((r) => r.source === source), {
        x: across, y: "loss", symbol: SYMBOL[source], r: source === "approach2" ? 5 : 4, clip: true,
        fill: source === "approach2" ? "none" : "var(--ink)", stroke: source === "approach2" ? colour(source) : "var(--paper)", strokeWidth: source === "approach2" ? 2 : 1 })),
      Plot.text(budgetLabels(data, width, across, { x, y: domain, height }), { x: across, y: "loss", text: (r) => power(r.budget), textAnchor: "start", dx: 6,
        fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 3 }),
      tip(runs, { x: across, y: "loss", title: aboutRun }),
    ]);
  }

  // Where the curve of each budget ends to the right, from the largest budget on; a name that would lie on another or on
  // a run is left out, and the legend says the colours of the lowest and the highest budget.
  function budgetLabels(data, width, size, { x, y, height }) {
    const runs = rows(data, "isoflop_runs"), curves = rows(data, "isoflop_curves");
    const across = (v) => ((width - 114) * Math.log(v / x[0])) / Math.log(x[1] / x[0]), up = (v) => ((height - 66) * (v - y[0])) / (y[1] - y[0]);
    const drawn = curves.some((r) => r.source !== "approach2") ? curves.filter((r) => r.source !== "approach2") : runs;
    const placed = [], budgets = distinct(runs.map((r) => r.budget)).sort((a, b) => b - a);
    const wide = (budget) => 8 + 7.2 * power(budget).replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]/g, "").length + 5 * (power(budget).match(/[⁰¹²³⁴⁵⁶⁷⁸⁹]/g) ?? []).length;
    const box = (r) => ({ left: across(r[size]) + 4, right: across(r[size]) + 4 + wide(r.budget), low: up(r.loss) - 8, high: up(r.loss) + 8 });
    // Of many budgets some are named, evenly from the largest on: names of all would hide the runs.
    const stride = Math.ceil(budgets.length / 11);
    for (const budget of budgets.filter((_, i) => i % stride === 0)) {
      const own = drawn.filter((r) => r.budget === budget && r.loss >= y[0] && r.loss <= y[1]);
      if (!own.length) continue;
      const last = own.reduce((a, b) => (b[size] > a[size] ? b : a)), here = box(last);
      const apart = placed.map(box).every((b) => here.left > b.right || here.right < b.left || here.low > b.high || here.high < b.low);
      const under = runs.filter((r) => across(r[size]) > here.left && across(r[size]) < here.right && up(r.loss) > here.low && up(r.loss) < here.high);
      if (apart && under.length === 0) placed.push(last);
    }
    return placed;
  }

  function frontier(data, width, quantity) {
    const lines = rows(data, "frontier_lines"), points = rows(data, "frontier_points"), targets = rows(data, "frontier_targets");
    const symbolName = quantity === "params" ? "N*" : "D*";
    const title = quantity === "params" ? "Compute-optimal model size N* (parameters)" : "Compute-optimal training set D* (tokens)";
    const [low, high] = [`${quantity}_low`, `${quantity}_high`];
    const x = [Math.min(...lines.map((r) => r.budget)), Math.max(...lines.map((r) => r.budget))];
    const y = spread([...lines, ...points, ...targets].map((r) => r[quantity]), 1.6);
    const trained = lines.filter((r) => r.extrapolated).map((r) => r.budget);
    const sources = told(lines);
    const said = (r) => [label(data, r.source), `C ${scientific(r.budget)} FLOPs`, `${symbolName} ${count(r[quantity])}`,
      ...(Number.isFinite(r[low]) ? [`${data.level}: ${count(r[low])} to ${count(r[high])}`] : [])].join("\n");
    const own = sources[0];
    return plot(width, Math.min(400, 0.7 * width + 80), title, {
      x: logAxis(x, "Training compute C (FLOPs)", most(width), power),
      y: logAxis(y, title, 6, (v) => count(v)),
    }, [
      Plot.rect(trained.length ? [0] : [], { x1: Math.min(...trained), x2: x[1], y1: y[0], y2: y[1], fill: colour("shade") }),
      Plot.areaY(lines.filter((r) => r.source === own && Number.isFinite(r[low])), { x: "budget", y1: low, y2: high, fill: colour(own), fillOpacity: 0.2, clip: true }),
      ...sources.map((source) => Plot.line(lines.filter((r) => r.source === source), {
        x: "budget", y: quantity, stroke: colour(source), strokeWidth: 1.6, strokeDasharray: DASH[source], clip: true })),
      Plot.dot(points, { x: "budget", y: quantity, symbol: (r) => SYMBOL[r.source], r: 3.2, clip: true,
        fill: (r) => (r.bracketed ? colour(r.source) : "var(--paper)"), stroke: (r) => colour(r.source) }),
      Plot.ruleX(distinct(targets.map((r) => r.budget)), { stroke: "var(--muted)", strokeDasharray: "2 3" }),
      Plot.link(targets.filter((r) => Number.isFinite(r[low])), { x1: "budget", x2: "budget", y1: low, y2: high, stroke: (r) => colour(r.source), strokeWidth: 2.2 }),
      Plot.dot(targets, { x: "budget", y: quantity, symbol: (r) => SYMBOL[r.source], r: 4.5, strokeWidth: 1.8,
        fill: (r) => (r.source === own ? colour(r.source) : "none"), stroke: (r) => colour(r.source) }),
      tip([...targets, ...points, ...lines], { x: "budget", y: quantity, title: said }),
    ]);
  }

  function residuals(data, width) {
    const all = rows(data, "residuals"), medians = rows(data, "residual_medians");
    const runs = rows(data, "isoflop_runs");
    const hue = budgetColours(runs);
    const sizes = all.map((r) => Math.abs(r.residual)).sort((a, b) => a - b);
    const edge = 6 * sizes[Math.floor(0.95 * (sizes.length - 1))] || Infinity;
    const near = all.filter((r) => Math.abs(r.residual) <= edge), far = all.filter((r) => Math.abs(r.residual) > edge);
    const top = Math.max(...near.map((r) => Math.abs(r.residual))) * 1.1 || 1e-12;
    const unit = top >= 0.1 ? 1 : top >= 1e-4 ? 1e-3 : 1e-6;
    const unitName = unit === 1 ? "nats per token" : `${power(unit)} nats per token`;
    const budgets = medians.map((r) => r.budget);
    const stride = Math.ceil(budgets.length / Math.max(3, Math.floor(width / 95)));
    const at = (r) => Math.max(-top, Math.min(top, r.residual)) / unit;
    return plot(width, Math.min(380, 0.5 * width + 110), "Observed less fitted loss by budget", {
      marginRight: 30,
      x: { domain: [-0.6, budgets.length - 0.4], label: "Budget (FLOPs); within each, small to large models", labelArrow: "none",
        ticks: budgets.map((_, i) => i).filter((i) => i % stride === 0), tickFormat: (i) => power(budgets[i]) },
      y: { domain: [-top / unit, top / unit], label: `Observed − fitted loss (${unitName})`, labelArrow: "none", grid: true, ticks: 6 },
    }, [
      Plot.ruleY([0], { stroke: "var(--muted)" }),
      Plot.dot(near, { x: "place", y: at, r: 2.6, fill: (r) => hue(r.budget) }),
      Plot.dot(far, { x: "place", y: at, r: 4, symbol: "triangle", fill: "var(--ink)" }),
      Plot.link(medians, { x1: (_, i) => i - 0.35, x2: (_, i) => i + 0.35, y1: (r) => r.residual / unit, y2: (r) => r.residual / unit, stroke: "var(--ink)", strokeWidth: 1.8 }),
      tip(all, { x: "place", y: at, title: aboutRun }),
    ]);
  }

  // Every run, the best loss of every budget, and the same law as it was without the runs of most compute.
  function lossByCompute(data, width) {
    const runs = rows(data, "loss_runs"), lines = rows(data, "loss_lines"), targets = rows(data, "loss_targets");
    const hue = budgetColours(runs);
    const own = targets.map((/** @type {any} */ r) => ({ ...r, at: r.source === "auto" ? 1.25 * r.budget : r.budget, tone: r.source === "auto" ? "var(--ink)" : colour(r.source) }));
    const drawn = [...lines.map((r) => r.loss), ...targets.flatMap((r) => [r.loss, r.loss_low])].filter((v) => Number.isFinite(v));
    const top = Math.max(...runs.map((r) => r.loss)), floor = Math.min(...drawn, ...runs.map((r) => r.loss)), room = 0.05 * (top - floor) || 0.05 * top;
    const x = spread(lines.map((r) => r.budget), 1.5);
    const sources = distinct(lines.map((r) => r.source));
    const named = (source) => (source === "before" ? "fitted without the hollow runs" : source === "auto" ? "average of laws" : label(data, source));
    const said = (r) => (r.compute ? [r.held ? "Run held out" : "Run", `C ${scientific(r.compute)} FLOPs`, `loss ${loss(r.loss)}`]
      : [`Best loss, ${named(r.source)}`, `C ${scientific(r.budget)} FLOPs`, loss(r.loss),
        ...(Number.isFinite(r.loss_low) ? [`${data.level}: ${r.loss_low.toFixed(4)} to ${r.loss_high.toFixed(4)}`] : [])]).join("\n");
    const places = [...runs.map((r) => ({ ...r, x: r.compute })), ...lines.map((r) => ({ ...r, x: r.budget })), ...own.map((r) => ({ ...r, x: r.at }))];
    return plot(width, Math.min(400, 0.45 * width + 110), "Loss against compute, with the best loss of every budget", {
      x: logAxis(x, "Training compute C (FLOPs)", most(width), power),
      y: { domain: [floor - room, top + room], label: "Loss (nats per token)", labelArrow: "none", grid: true, ticks: 6 },
    }, [
      Plot.dot(runs, { x: "compute", y: "loss", r: 2.8, fill: (r) => hue(r.budget), filter: (r) => !r.held }),
      Plot.dot(runs, { x: "compute", y: "loss", r: 3, stroke: (r) => hue(r.budget), strokeWidth: 1.5, filter: (r) => r.held }),
      ...sources.map((source) => Plot.line(lines.filter((r) => r.source === source), { x: "budget", y: "loss", clip: true, strokeWidth: 1.7,
        stroke: source === "before" ? "var(--muted)" : colour(source), strokeDasharray: source === "before" ? "5 3" : "none" })),
      Plot.link(own.filter((r) => Number.isFinite(r.loss_low)), { x1: "at", x2: "at", y1: "loss_low", y2: "loss_high", stroke: "tone", strokeWidth: 2.2, clip: true }),
      Plot.dot(own, { x: "at", y: "loss", symbol: (r) => (r.source === "auto" ? "square" : "diamond"), r: 4.5, fill: "tone" }),
      tip(places, { x: "x", y: "loss", title: said }),
    ]);
  }

  // The law as a map of N and D: lines of equal loss and of equal compute, the runs by residual, and the optimum's path.
  const farResidual = (runs) => {
    const sizes = runs.map((r) => Math.abs(r.residual)).filter((v) => Number.isFinite(v)).sort((a, b) => a - b);
    return sizes[Math.floor(0.95 * (sizes.length - 1))] || 1e-12;
  };
  // Of names that would lie on each other the first stays; each has a place in pixels and a width.
  function clear(labels) {
    const placed = [];
    for (const one of labels)
      if (placed.every((b) => one.x > b.x + b.wide || one.x + one.wide < b.x || Math.abs(one.y - b.y) > 14)) placed.push(one);
    return placed;
  }
  function surface(data, width) {
    const lines = rows(data, "surface_lines"), runs = rows(data, "isoflop_runs"), targets = rows(data, "frontier_targets");
    const losses = lines.filter((r) => r.kind === "loss"), computes = lines.filter((r) => r.kind === "compute");
    const height = Math.min(560, 0.6 * width + 110), reach = farResidual(runs);
    const [x, y] = ["params", "tokens"].map((key) => spread(lines.map((r) => r[key]), 1));
    const inside = (r) => r.params >= x[0] && r.params <= x[1] && r.tokens >= y[0] && r.tokens <= y[1];
    const path = rows(data, "frontier_lines").filter(inside), own = path[0]?.source, sources = distinct(path.map((r) => r.source));
    const banded = path.filter((r) => r.source === own && Number.isFinite(r.params_low) && Number.isFinite(r.tokens_low));
    const edge = [...banded.map((r) => ({ params: r.params_low, tokens: r.tokens_high })), ...[...banded].reverse().map((r) => ({ params: r.params_high, tokens: r.tokens_low }))];
    const px = (r) => ((width - 110) * Math.log(r.params / x[0])) / Math.log(x[1] / x[0]), py = (r) => ((height - 66) * Math.log(r.tokens / y[0])) / Math.log(y[1] / y[0]);
    const named = (points, from, wide) => distinct(points.map((r) => r.line)).map((line) => points.filter((r) => r.line === line).reduce((a, b) => ((b.params - a.params) * from > 0 ? b : a)))
      .map((r) => ({ ...r, x: px(r) + (from < 0 ? 0 : 4), y: py(r), wide }));
    const starts = targets.filter((r) => r.source === own && inside(r));
    const said = starts.map((r) => ({ ...r, x: px(r) - 110, y: py(r), wide: 110 }));
    const labels = clear([...said, ...named(losses, 1, 44), ...named(computes, -1, 58)]);
    return plot(width, height, "Lines of equal loss over model size and tokens, with the runs and the path of the optimum", {
      marginRight: 52,
      x: logAxis(x, "Model size N (parameters)", most(width), (v) => count(v)),
      y: logAxis(y, "Training tokens D", 6, (v) => count(v)),
    }, [
      Plot.line(computes, { x: "params", y: "tokens", z: "line", stroke: "var(--line)", strokeWidth: 1.2 }),
      Plot.line(losses, { x: "params", y: "tokens", z: "line", stroke: "var(--muted)", strokeWidth: 0.9 }),
      Plot.line(edge, { x: "params", y: "tokens", fill: colour(own), fillOpacity: 0.16, stroke: "none", clip: true }),
      ...sources.map((source) => Plot.line(path.filter((r) => r.source === source), {
        x: "params", y: "tokens", stroke: colour(source), strokeWidth: 1.8, strokeDasharray: DASH[source], clip: true })),
      Plot.dot(runs, { x: "params", y: "tokens", r: 3.4, stroke: "#59636e", strokeWidth: 0.6,
        fill: (r) => (Number.isFinite(r.residual) ? d3.interpolateRdBu(0.5 - 0.5 * Math.max(-1, Math.min(1, r.residual / reach))) : "none") }),
      Plot.dot(starts, { x: "params", y: "tokens", symbol: "diamond", r: 5.5, fill: "var(--ink)", stroke: "var(--paper)" }),
      Plot.text(labels.filter((r) => r.kind === "compute"), { x: "params", y: "tokens", text: (r) => power(r.level), textAnchor: "start", dx: 3, dy: 8, fill: "var(--muted)", stroke: "var(--paper)", strokeWidth: 3, fontSize: 11 }),
      Plot.text(labels.filter((r) => r.kind === "loss"), { x: "params", y: "tokens", text: (r) => plain(r.level, 3), textAnchor: "start", dx: 4, fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 3 }),
      Plot.text(starts, { x: "params", y: "tokens", text: (r) => `${count(r.params)} on ${count(r.tokens)}`, textAnchor: "end", dx: -10, fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 4 }),
      tip(runs, { x: "params", y: "tokens", title: aboutRun }),
    ]);
  }

  const QUANTITIES = { params: "N* (parameters)", tokens: "D* (tokens)", loss: "L* (nats per token)" };
  function dial(data, width, quantity) {
    const all = rows(data, "dial"), inside = all.filter((r) => r.support);
    const best = all.reduce((a, b) => (b.distance < a.distance ? b : a));
    const form = quantity === "loss" ? (v) => v.toFixed(3) : (v) => count(v);
    const values = all.map((r) => r[quantity]), [low, high] = [Math.min(...values), Math.max(...values)];
    const wide = quantity !== "loss" && high / low > 10, room = 0.05 * (high - low) || 0.01 * high;
    const y = wide ? logAxis([low / 1.2, high * 1.2], QUANTITIES[quantity], 6, form)
      : { domain: [low - room, high + room], label: QUANTITIES[quantity], labelArrow: "none", tickFormat: form, grid: true, ticks: 6 };
    return plot(width, Math.min(360, 0.6 * width + 100), `Forecast of ${QUANTITIES[quantity]} against E`, {
      x: { label: "E held at (nats per token)", labelArrow: "none", ticks: Math.max(3, Math.floor(width / 110)) }, y,
    }, [
      Plot.rectX(inside.length ? [0] : [], { x1: inside[0]?.E, x2: inside.at(-1)?.E, fill: colour("vpnls"), fillOpacity: 0.12 }),
      Plot.line(all, { x: "E", y: quantity, stroke: colour("vpnls"), strokeWidth: 1.1, strokeOpacity: 0.7 }),
      Plot.line(inside, { x: "E", y: quantity, stroke: colour("vpnls"), strokeWidth: 2.6 }),
      Plot.dot([best], { x: "E", y: quantity, symbol: "diamond", r: 5, fill: "var(--ink)", stroke: "var(--paper)" }),
      tip(all, { x: "E", y: quantity,
        title: (r) => [`E ${r.E.toFixed(4)} nats`, `N* ${count(r.params)}, D* ${count(r.tokens)}`, `L* ${loss(r.loss)}`,
          `distance ${r.distance.toFixed(2)} (t)`, r.support ? "inside the interval" : "outside the interval"].join("\n") }, Plot.pointerX),
    ]);
  }

  function valley(data, width) {
    const all = rows(data, "valley"), [region] = rows(data, "indifference");
    const usual = region.approach2_params >= all[0].params && region.approach2_params <= all.at(-1).params ? [region] : [];
    const x = spread(all.map((r) => r.params), 1);
    const losses = all.map((r) => r.loss), room = 0.06 * (Math.max(...losses) - Math.min(...losses));
    return plot(width, Math.min(360, 0.6 * width + 100), "Loss against model size at the target budget", {
      x: logAxis(x, "Model size N (parameters)", most(width), (v) => count(v)),
      y: { label: "Loss (nats per token)", labelArrow: "none", grid: true, ticks: 6, domain: [Math.min(...losses) - room, Math.max(...losses)] },
    }, [
      Plot.rectX([0], { x1: region.params_low, x2: region.params_high, fill: colour("vpnls"), fillOpacity: 0.12 }),
      Plot.ruleY([region.loss + region.epsilon], { stroke: "var(--muted)", strokeDasharray: "2 3" }),
      Plot.line(all, { x: "params", y: "loss", stroke: colour("vpnls"), strokeWidth: 1.8 }),
      Plot.dot([region], { x: "params", y: "loss", symbol: "diamond", r: 5, fill: "var(--ink)", stroke: "var(--paper)" }),
      Plot.dot(usual, { x: "approach2_params", y: "approach2_loss", symbol: "circle", r: 5, stroke: colour("approach2"), strokeWidth: 2 }),
      tip(all, { x: "params", y: "loss",
        title: (r) => [`N ${count(r.params)}, D ${count(r.tokens)}`, `${count(r.tokens / r.params)} tokens per parameter`, `loss ${loss(r.loss)}`,
          `${r.excess.toPrecision(2)} nats above the optimum`, r.inside ? "as good as N*" : "worse than noise hides"].join("\n") }, Plot.pointerX),
    ]);
  }

  // Two or more fits: their frontiers in one figure.
  function fits(data, width, quantity) {
    const lines = rows(data, "fit_frontiers"), targets = rows(data, "fit_optima");
    const names = distinct(lines.map((r) => r.fit));
    const hue = (name) => colour(`fit-${names.indexOf(name) % 6}`);
    const dash = (name) => ["none", "6 3", "2 3", "8 3 2 3"][names.indexOf(name) % 4];
    const [low, high] = [`${quantity}_low`, `${quantity}_high`], symbolName = quantity === "params" ? "N*" : "D*";
    const title = quantity === "params" ? "Compute-optimal model size N* (parameters)" : "Compute-optimal training set D* (tokens)";
    const x = [Math.min(...lines.map((r) => r.budget)), Math.max(...lines.map((r) => r.budget))];
    const said = (r) => [`Fit ${r.fit}`, `C ${scientific(r.budget)} FLOPs`, `${symbolName} ${count(r[quantity])}`,
      ...(Number.isFinite(r[low]) ? [`${count(r[low])} to ${count(r[high])}`] : [])].join("\n");
    return plot(width, Math.min(420, 0.7 * width + 80), title, {
      x: logAxis(x, "Training compute C (FLOPs)", most(width), power),
      y: logAxis(spread(lines.map((r) => r[quantity]), 1.4), title, 6, (v) => count(v)),
    }, [
      Plot.areaY(lines.filter((r) => Number.isFinite(r[low])), { x: "budget", y1: low, y2: high, z: "fit", fill: (r) => hue(r.fit), fillOpacity: 0.15, clip: true }),
      ...names.map((name) => Plot.line(lines.filter((r) => r.fit === name), { x: "budget", y: quantity, stroke: hue(name), strokeWidth: 1.8, strokeDasharray: dash(name), clip: true })),
      Plot.dot(targets, { x: "budget", y: quantity, r: 4, fill: (r) => hue(r.fit), stroke: "var(--paper)", clip: true }),
      tip([...targets, ...lines], { x: "budget", y: quantity, title: said }),
    ]);
  }

  // What the marks of a figure mean, as entries of a list: a colour, a shape, and words.
  function legend(data, name) {
    if (name === "isoflop" || name === "residuals") {
      if (name === "residuals") return [{ fill: "var(--ink)", shape: "line", text: "median of the budget" }];
      const runs = rows(data, "isoflop_runs"), budgets = distinct(runs.map((r) => r.budget)).sort((a, b) => a - b);
      const ends = [0, budgets.length - 1].map((i) => ({ fill: colour(`budget-${i}`), shape: "dot", text: `${scientific(budgets[i])} FLOPs` }));
      const entries = budgets.length > 1 ? [{ ...ends[0], text: `runs at ${ends[0].text}` }, { ...ends[1], text: `to ${ends[1].text}` }]
        : [{ fill: colour("budget-0"), shape: "dot", text: `runs at ${ends[0].text}` }];
      const drawn = distinct(rows(data, "isoflop_curves").map((r) => r.source));
      for (const source of drawn)
        entries.push({ fill: "var(--muted)", shape: source === "approach2" ? "dashed" : "line", text: source === "approach2" ? "parabolas of Approach 2" : `${label(data, source)} law` });
      for (const source of distinct(rows(data, "isoflop_optima").map((r) => r.source)))
        entries.push({ fill: source === "approach2" ? colour(source) : "var(--ink)", shape: source === "approach2" ? "ring" : "diamond", text: `optimum, ${label(data, source)}` });
      if (runs.some((r) => typeof r.check === "string" && r.check)) entries.push({ fill: "var(--muted)", shape: "cross", text: "flagged by check" });
      return entries;
    }
    if (name === "params" || name === "tokens") {
      const sources = told(rows(data, "frontier_lines"));
      return sources.map((source) => ({ fill: colour(source), shape: DASH[source] ? "dashed" : "line", text: label(data, source) }));
    }
    if (name.startsWith("fits-")) {
      const lines = rows(data, "fit_frontiers"), fitted = distinct(lines.map((r) => r.fit));
      const drawn = new Set(lines.filter((r) => Number.isFinite(r.params)).map((r) => r.fit));
      return fitted.map((fit, i) => ({ fit, fill: colour(`fit-${i % 6}`), shape: i % 4 ? "dashed" : "line", text: `fit ${fit}` })).filter((entry) => drawn.has(entry.fit));
    }
    if (name === "surface") {
      const reach = plain(farResidual(rows(data, "isoflop_runs")), 2), sources = told(rows(data, "frontier_lines"));
      return [...sources.map((source) => ({ fill: colour(source), shape: DASH[source] ? "dashed" : "line", text: `optimum, ${label(data, source)}` })),
        { fill: d3.interpolateRdBu(0.1), shape: "dot", text: `run above the law, by ${reach} nats or more` }, { fill: d3.interpolateRdBu(0.9), shape: "dot", text: "run below it" },
        { fill: "var(--muted)", shape: "line", text: "equal loss (nats per token)" }, { fill: "var(--line)", shape: "line", text: "equal compute (FLOPs)" }];
    }
    if (name === "losses") {
      const sources = distinct(rows(data, "loss_targets").map((r) => r.source)), [fitted] = rows(data, "loss_lines");
      const entries = [{ fill: "var(--muted)", shape: "dot", text: "runs" }, { fill: colour(fitted.source), shape: "line", text: `best loss of a budget, ${label(data, fitted.source)}` }];
      if (rows(data, "loss_runs").some((r) => r.held))
        entries.push({ fill: "var(--muted)", shape: "ring", text: "runs held out" }, { fill: "var(--muted)", shape: "dashed", text: "the law fitted without them" });
      for (const source of sources)
        entries.push(source === "auto" ? { fill: "var(--ink)", shape: "square", text: "L*, average of laws" } : { fill: colour(source), shape: "diamond", text: `L*, ${label(data, source)}` });
      return entries;
    }
    if (name === "valley") {
      const [region] = rows(data, "indifference");
      return Number.isFinite(region?.approach2_params) ? [{ fill: "var(--ink)", shape: "diamond", text: `N* ${count(region.params)}` },
        { fill: colour("approach2"), shape: "ring", text: `Approach 2 ${count(region.approach2_params)}` }] : [];
    }
    return [];
  }

  return {
    legend,
    rows, count, scientific,
    draw: {
      isoflop: (data, width, choice) => isoflop(data, width, choice ?? "params"),
      losses: lossByCompute,
      surface,
      params: (data, width) => frontier(data, width, "params"),
      tokens: (data, width) => frontier(data, width, "tokens"),
      residuals,
      dial: (data, width, choice) => dial(data, width, choice ?? "params"),
      valley,
      "fits-params": (data, width) => fits(data, width, "params"),
      "fits-tokens": (data, width) => fits(data, width, "tokens"),
    },
    choices: { dial: QUANTITIES, isoflop: ACROSS },
  };
})();
