"use strict";

// From the settings of the page to every number on it. Pure: the page's data (unit draws of noise, the
// toy's runs, the cost of a FLOP) and settings go in, plain numbers and sentences come out.
const lawfulModel = (() => {
  const M = lawfulMath;

  const surfaceOf = ({ E, A, B, alpha, beta }) => ({ E, A, B, alpha, beta });

  const { scientific } = lawfulNumbers;

  function listed(budgets) {
    const words = budgets.map((budget) => scientific(budget));
    return words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words[0];
  }

  // What Approach 2 cannot do here, in words, or null.
  function parabolaTrouble({ downward, flat }) {
    if (downward.length) {
      const open = downward.length > 1 ? "parabolas open" : "parabola opens";
      return `The ${open} downward at ${listed(downward)} FLOPs, so Approach 2 has no optimum there and draws no line. ` +
        "Widen the grid, add points or lower the noise.";
    }
    if (flat.length) {
      return `The parabola at ${listed(flat)} FLOPs is so flat that its minimum lies beyond any model, so Approach 2 ` +
        "draws no line. Widen the grid or lower the noise.";
    }
    return null;
  }

  // What the fitted surface does not tell, in words, or null.
  function surfaceTrouble({ surface, atBound }) {
    const zero = ["A", "B"].filter((name) => surface[name] === 0);
    if (zero.length) {
      const what = zero.map((name) => (name === "A" ? "parameters" : "tokens")).join(" or ");
      return `VPNLS puts ${zero.join(" and ")} at zero: these runs do not show that more ${what} help, so it has no ` +
        "compute-optimal size. Widen the grid or lower the noise.";
    }
    if (atBound.length) {
      return `VPNLS finds ${atBound.join(" and ")} on the bound of its search (0.01 to 2): these runs hardly determine it.`;
    }
    return null;
  }

  // A choice at the target: N* and D*, how far they are off, and what training on that D* wastes.
  function judged(truth, best, chosen, budget, page) {
    if (chosen === null || !Number.isFinite(chosen.tokens) || !(chosen.tokens > 0)) return null;
    const wasted = M.deadweight(truth, budget, chosen.tokens, page.flops_per_param_token);
    return {
      params: chosen.params,
      tokens: chosen.tokens,
      params_error: chosen.params / best.params - 1,
      tokens_error: chosen.tokens / best.tokens - 1,
      flops: wasted,
      fraction: wasted / budget,
      dollars: wasted * page.cost.dollars_per_flop,
    };
  }

  function sweepNumbers(settings, page) {
    const k = page.flops_per_param_token;
    const truth = surfaceOf(settings);
    if (!(settings.high > settings.low * 1.01)) {
      const failure = "The lowest budget must lie below the highest one; move one of the two.";
      return { design: "sweep", truth, failure };
    }
    const { budgets, runs } = M.sweep(truth, settings, k);
    // The draws are those of numpy's generator, one per run in the order of the plan, times sigma.
    runs.forEach((run, i) => { run.loss = M.loss(truth, run.params, run.tokens) + settings.noise * page.draws[i]; });
    const bad = runs.filter((run) => !(run.loss > 0)).length;
    if (bad) {
      const failure = `This noise makes ${bad} of ${runs.length} losses zero or negative; use less of it or a larger E.`;
      return { design: "sweep", truth, budgets, failure };
    }
    const parabolas = M.approach2(budgets, runs);
    const found = lawfulFit.fit(runs);
    const whole = found.surface.A > 0 && found.surface.B > 0;
    const best = M.optimum(truth, settings.target, k);
    const { frontier } = parabolas;
    return {
      design: "sweep",
      failure: null,
      truth,
      budgets,
      runs,
      optima: budgets.map((budget) => M.optimum(truth, budget, k)),
      approach2: { ...parabolas, trouble: parabolaTrouble(parabolas) },
      vpnls: {
        ...found,
        trouble: surfaceTrouble(found),
        exponents: whole ? M.exponents(found.surface) : null,
        optima: whole ? budgets.map((budget) => M.optimum(found.surface, budget, k)) : null,
      },
      target: {
        budget: settings.target,
        truth: { ...best, ...M.exponents(truth) },
        approach2: judged(truth, best, frontier && M.onFrontier(frontier, settings.target), settings.target, page),
        vpnls: judged(truth, best, whole ? M.optimum(found.surface, settings.target, k) : null, settings.target, page),
      },
    };
  }

  // The toy: sizes and tokens that share no budget, so there are no parabolas, and the loss of a far
  // larger model is forecast instead.
  function toyNumbers(settings, page) {
    const truth = surfaceOf(settings);
    const { size, params, tokens, waves, bias, regions } = page.toy;
    const [first, past] = regions[settings.region];
    const all = params.map((n, i) => {
      const exact = M.loss(truth, n, tokens[i]) + waves[i] + (settings.milliloss / 1000) * bias[i];
      const loss = settings.decimals >= 0 ? M.roundTo(exact, settings.decimals) : exact;
      const budget = page.flops_per_param_token * n * tokens[i];
      return { budget, params: n, tokens: tokens[i], loss, used: size[i] >= first && size[i] < past };
    });
    const runs = all.filter((run) => run.used);
    const bad = runs.filter((run) => !(run.loss > 0)).length;
    if (bad) {
      const failure = `${bad} of ${runs.length} losses are zero or negative; use a larger E or fewer milli-nats.`;
      return { design: "toy", truth, failure };
    }
    const found = lawfulFit.fit(runs);
    const whole = found.surface.A > 0 && found.surface.B > 0;
    const goal = settings.goal;
    const best = M.optimalTokens(truth, goal);
    const exact = M.loss(truth, goal, best);
    const forecast = M.loss(found.surface, goal, best);
    return {
      design: "toy",
      failure: null,
      truth,
      runs,
      all,
      vpnls: { ...found, trouble: surfaceTrouble(found), exponents: whole ? M.exponents(found.surface) : null },
      target: {
        params: goal,
        tokens: best,
        truth: { loss: exact, ...M.exponents(truth) },
        vpnls: { loss: forecast, error: forecast - exact },
      },
    };
  }

  const numbers = (settings, page) => (settings.design === "toy" ? toyNumbers : sweepNumbers)(settings, page);

  return { listed, numbers };
})();
