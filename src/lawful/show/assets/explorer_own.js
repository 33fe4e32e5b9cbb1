"use strict";

// The user's own runs: from a table and the rows left out to every number and sentence. Approach 2, VPNLS and the
// coupled law are fitted to what is kept; nothing else is assumed of it, and no truth is known.
const lawfulOwn = (() => {
  const M = lawfulMath;
  const { count, plain, scientific } = lawfulNumbers;

  // Approach 2 as lawful.fit_isoflop has it: wide sweeps are cut to a factor around each budget's lowest loss, and
  // budgets without a parabola that has a minimum are left out (lawful.estimate.window says where the numbers are from).
  const USUAL = 6;
  const FEWEST = 5;
  const WIDEST = 260;
  const WIDE = 64;
  const FAR_ABOVE = 1.85;
  const FARTHEST = 50;
  const LEAST = { vpnls: 5, coupled: 6 };

  const by = (runs, groups) => {
    const found = Array.from({ length: groups }, () => []);
    runs.forEach((run) => found[run.group].push(run));
    return found;
  };

  const extremes = (values) => [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];

  function isWide(curves) {
    return curves.some((curve) => {
      const [n, l] = ["params", "loss"].map((name) => extremes(curve.map((run) => run[name])));
      const span = n[1] / n[0];
      return span > WIDEST || (span > WIDE && l[1] / l[0] > FAR_ABOVE);
    });
  }

  function around(curve) {
    const lowest = curve.reduce((best, run) => (run.loss < best.loss ? run : best));
    const away = (run) => Math.abs(Math.log(run.params) - Math.log(lowest.params));
    const apart = [...new Map(curve.map((run) => [run.params, away(run)])).values()].sort((a, b) => a - b);
    const reach = Math.max(Math.log(USUAL), apart[Math.min(FEWEST, apart.length) - 1]);
    return curve.filter((run) => away(run) <= reach + 1e-9);
  }

  function approach2(budgets, runs) {
    const curves = by(runs, budgets.length);
    if (budgets.length < 2) return { curves: [], frontier: null, trouble: "Approach 2 needs two budgets or more; these runs form one." };
    const wide = isWide(curves);
    const used = wide ? curves.map(around) : curves;
    const found = [];
    const faults = [];
    used.forEach((curve, g) => {
      const sizes = new Set(curve.map((run) => run.params)).size;
      const here = curve.map((run) => ({ ...run, group: 0 }));
      const one = sizes < 3 ? null : M.approach2([budgets[g]], here).curves[0];
      const far = one !== null && Math.max(Math.abs(one.inParams.vertex), Math.abs(one.inTokens.vertex)) > FARTHEST;
      if (one !== null && one.upward && !far) found.push({ ...one, group: g, runs: curve });
      else faults.push(`${scientific(budgets[g])} FLOPs (${sizes < 3 ? `${sizes} model size${sizes === 1 ? "" : "s"}` : "no minimum"})`);
    });
    const said = faults.length ? `Approach 2 leaves out ${faults.length} of ${budgets.length} budgets: ${faults.slice(0, 5).join("; ")}.` : null;
    if (found.length < 2) return { curves: found, frontier: null, wide, trouble: `${said ?? ""} So it draws no line.` };
    const logs = found.map((c) => Math.log10(c.budget));
    const n = M.line(logs, found.map((c) => c.inParams.vertex));
    const d = M.line(logs, found.map((c) => c.inTokens.vertex));
    const frontier = { a: n.slope, b: d.slope, log10_a0: n.intercept, log10_b0: d.intercept };
    return { curves: found, frontier, wide, trouble: said };
  }

  function identified(runs, name, least) {
    if (runs.length < least) return `${name} needs ${least} runs, and ${runs.length} ${runs.length === 1 ? "is" : "are"} kept.`;
    for (const [quantity, what] of [["params", "model size N"], ["tokens", "token count D"]]) {
      if (new Set(runs.map((run) => run[quantity])).size < 2) return `All runs kept share one ${what}, so ${name} cannot tell what it does.`;
    }
    return null;
  }

  function vpnls(runs, k) {
    const trouble = identified(runs, "VPNLS", LEAST.vpnls);
    if (trouble) return { surface: null, trouble };
    const { surface, value: squares, atBound } = lawfulFit.fit(runs);
    const zero = ["A", "B"].filter((name) => surface[name] === 0);
    const whole = !zero.length;
    const words = zero.length ? `VPNLS puts ${zero.join(" and ")} at zero: these runs do not tell a compute-optimal size.` :
      atBound.length ? `VPNLS finds ${atBound.join(" and ")} on the bound of its search (0.01 to 2): these runs hardly determine it.` : null;
    return { surface, squares, whole, trouble: words, loss: M.loss, at: (budget) => (whole ? M.optimum(surface, budget, k) : null) };
  }

  function coupled(runs, k, near) {
    const trouble = identified(runs, "The coupled law", LEAST.coupled);
    if (trouble) return { surface: null, trouble };
    const { surface, value: squares, atBound } = lawfulCoupled.fit(runs, near);
    const words = atBound.length ? `The coupled law ends on a bound of its search (${atBound.join(", ")}): these runs hardly determine it.` : null;
    const at = (budget) => {
      const best = M.optimum(surface, budget, k);
      return { ...best, loss: lawfulCoupled.loss(surface, best.params, best.tokens) };
    };
    const usable = [surface.A, surface.B].every((v) => v > 0 && Number.isFinite(v));
    return { surface, squares, whole: usable, trouble: words, loss: lawfulCoupled.loss, at: (budget) => (usable ? at(budget) : null) };
  }

  const both = (point) => point !== null && [point.params, point.tokens].every((v) => v > 0 && Number.isFinite(v));

  // The sentence that opens a report of VPNLS on these runs, without intervals: lawful.show.report.decision. What the
  // choice of Approach 2 costs is said in nats: whether runs could tell it apart takes the law's own test, not made here.
  function headline(budget, laws, withheld) {
    const [two, best] = [laws.approach2, laws.vpnls];
    const asked = `At ${scientific(budget)} FLOPs`;
    if (!both(best)) return `${asked} VPNLS has no compute-optimal choice on the runs that are kept.`;
    const doubt = withheld ? "Doubtful, since by the report the runs do not tell the optimum. " : "";
    const words = `${doubt}By VPNLS alone, on the runs that are kept: at ${scientific(budget)} FLOPs train ${count(best.params)} parameters on ${count(best.tokens)} tokens, expected loss ${plain(best.loss)} nats per token`;
    if (!both(two)) return `${words}; Approach 2 has no answer.`;
    return `${words}; Approach 2 would have chosen ${count(two.params)} parameters on ${count(two.tokens)} tokens.`;
  }

  const isChosen = (line, table, { only }) => only === "" || (line.cells[table.experiments?.at] ?? "").trim() === only;

  // The fits follow the runs that are kept and nothing else, so a target is dragged without fitting.
  /** @type {any} */
  let last = null;

  function fitted(table, settings, chosen, kept, k) {
    const key = JSON.stringify([settings.out, settings.only]);
    if (last !== null && last.table === table && last.key === key) return last.made;
    const stays = new Set(kept.map((run) => run.row));
    const { group, budgets } = lawfulTable.budgetsOf(kept, table.named);
    const runs = kept.map((run, i) => ({ ...run, group: group[i] }));
    // A run that is left out stands with the budget nearest to its compute.
    const nearest = (compute) => budgets.reduce((best, b, i) =>
      (Math.abs(Math.log(b / compute)) < Math.abs(Math.log(budgets[best] / compute)) ? i : best), 0);
    const out = chosen.filter((run) => !stays.has(run.row)).map((run) => ({ ...run, group: nearest(run.budget) }));
    const two = approach2(budgets, runs);
    const one = vpnls(runs, k);
    const other = coupled(runs, k, one.surface);
    last = { table, key, made: { budgets, runs, out, two, one, other } };
    return last.made;
  }

  /**
   * Every number of the page about own runs.
   * @param {any} settings
   * @param {any} page
   * @param {any} table
   */
  function numbers(settings, page, table) {
    const k = page.flops_per_param_token;
    if (!table) return { design: "own", failure: "No runs yet: drop a CSV on the page, or choose one. It stays on this machine." };
    const gone = new Set(lawfulTable.rowsOf(settings.out) ?? []);
    const chosen = table.runs.filter((run) => isChosen(run, table, settings));
    const kept = chosen.filter((run) => !gone.has(run.row));
    if (kept.length < 3) {
      return { design: "own", failure: `${kept.length} of ${chosen.length} runs are kept; bring some back.`, all: chosen, kept, gone };
    }
    const { budgets, runs, out, two, one, other } = fitted(table, settings, chosen, kept, k);
    const at = (budget) => ({
      approach2: two.frontier && M.onFrontier(two.frontier, budget), vpnls: one.surface && one.at(budget), coupled: other.surface && other.at(budget),
    });
    const target = at(settings.target);
    const wasted = (choice) => (one.whole && both(choice) ? M.deadweight(one.surface, settings.target, choice.tokens, k) : null);
    const priced = (choice) => choice && both(choice) && {
      ...choice,
      loss: choice.loss ?? (one.whole ? one.loss(one.surface, settings.target / (k * choice.tokens), choice.tokens) : null),
      ratio: choice.tokens / choice.params, flops: wasted(choice), fraction: wasted(choice) === null ? null : wasted(choice) / settings.target,
    };
    return {
      design: "own", failure: null, budgets, runs, out, all: chosen, kept, gone, at, wide: two.wide,
      approach2: two, vpnls: one, coupled: other,
      target: { budget: settings.target, ...Object.fromEntries(Object.entries(target).map(([name, v]) => [name, priced(v) || null])) },
      headline: headline(settings.target, target, table?.report?.withheld ?? false),
      troubles: [two.trouble, one.trouble, other.trouble].filter(Boolean),
      beyond: settings.target / runs.reduce((most, run) => Math.max(most, run.budget), 0),
    };
  }

  /** The command that fits what is kept, by the file's own name, and the one for the exported CSV. */
  function command(table, found, settings, name) {
    const { shell, ranges } = lawfulTable;
    const budget = `--budget ${scientific(settings.target, 6)}`;
    if (name) return `lawful fit ${shell(name)} ${budget}`;
    const words = ["lawful fit", ...(table.arguments ?? [table.source]).map(shell)];
    if (settings.only !== "" && table.experiments) words.push("--select", shell(`${table.experiments.title}=${settings.only}`));
    const left = (found.all ?? []).filter((run) => found.gone.has(run.row));
    const lines = (table.gone ?? []).filter((line) => isChosen(line, table, settings));
    const rows = [...left, ...lines].map((line) => line.row);
    if (rows.length) words.push("--drop", ranges(rows));
    return [...words, budget].join(" ");
  }

  return { command, headline, numbers };
})();
