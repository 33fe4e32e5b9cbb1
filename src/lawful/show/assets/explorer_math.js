"use strict";

// Arithmetic of laws and sweeps, as in lawful.core: the surface, its optimum, the deadweight, the grid of
// a sweep and the parabolas of Approach 2. A surface is an object {E, A, B, alpha, beta}; k is the
// number of FLOPs per parameter and token.
const lawfulMath = (() => {
  const loss = (s, params, tokens) => s.E + s.A * params ** -s.alpha + s.B * tokens ** -s.beta;

  // N* = G (N*D*)^a with a = beta/(alpha+beta) and G = (alpha A / (beta B))^(1/(alpha+beta)).
  const exponents = (s) => ({ a: s.beta / (s.alpha + s.beta), b: s.alpha / (s.alpha + s.beta) });

  const logRatio = (s) => (Math.log(s.alpha * s.A) - Math.log(s.beta * s.B)) / (s.alpha + s.beta);

  function optimum(s, budget, k) {
    const { a, b } = exponents(s);
    const g = logRatio(s);
    const product = Math.log(budget / k);
    const params = Math.exp(g + a * product);
    const tokens = Math.exp(-g + b * product);
    return { params, tokens, loss: loss(s, params, tokens) };
  }

  // FLOPs lost by training on these tokens with N forced to C/(kD): the budget whose optimum has the
  // loss reached is smaller. In expm1 and log1p, so that a near-optimal choice keeps its digits.
  function deadweight(s, budget, tokens, k) {
    const { alpha, beta } = s;
    const u = Math.log(budget / (k * tokens)) - Math.log(optimum(s, budget, k).params);
    const excess = (beta * Math.expm1(-alpha * u) + alpha * Math.expm1(beta * u)) / (alpha + beta);
    return budget * -Math.expm1((-(alpha + beta) / (alpha * beta)) * Math.log1p(Math.max(excess, 0)));
  }

  // Tokens for which a model of this size is the compute-optimal one.
  function optimalTokens(s, params) {
    return Math.exp((Math.log(params) - logRatio(s)) / exponents(s).a) / params;
  }

  const spaced = (low, high, count) =>
    Array.from({ length: count }, (_, i) => low + ((high - low) * i) / Math.max(count - 1, 1));

  function budgetsOf(settings) {
    const found = spaced(Math.log10(settings.low), Math.log10(settings.high), settings.budgets).map((v) => 10 ** v);
    found[0] = settings.low;
    found[found.length - 1] = settings.high;
    return found;
  }

  // The grid of lawful.plan_isoflop: sizes evenly spaced in log N from centre/width to centre·width, the
  // centre misplaced by the factor offset everywhere and by drift at the highest budget, linearly in log C.
  function sweep(surface, settings, k) {
    const budgets = budgetsOf(settings);
    const first = Math.log(budgets[0]);
    const range = Math.log(budgets[budgets.length - 1]) - first;
    const half = Math.log10(settings.width);
    const runs = [];
    budgets.forEach((budget, group) => {
      const progress = (Math.log(budget) - first) / range;
      const centre =
        Math.log10(optimum(surface, budget, k).params) -
        Math.log10(settings.offset) -
        Math.log10(settings.drift) * progress;
      for (const step of spaced(-half, half, settings.points)) {
        const params = 10 ** (centre + step);
        runs.push({ group, budget, params, tokens: budget / (k * params) });
      }
    });
    return { budgets, runs };
  }

  // Half to even after scaling by a power of ten, as NumPy rounds.
  function roundTo(value, decimals) {
    const scale = 10 ** decimals;
    const scaled = value * scale;
    const low = Math.floor(scaled);
    const left = scaled - low;
    if (left !== 0.5) return Math.round(scaled) / scale;
    return (low % 2 === 0 ? low : low + 1) / scale;
  }

  // Columns orthonormalised by Gram and Schmidt, each pass done twice so that no digits are lost: the
  // q of a QR factorisation, and r. Null where a column depends on those before it.
  function factorise(columns) {
    const q = [];
    const r = columns.map(() => new Float64Array(columns.length));
    for (let j = 0; j < columns.length; j += 1) {
      const v = Float64Array.from(columns[j]);
      const before = norm(v);
      for (let pass = 0; pass < 2; pass += 1) {
        for (let i = 0; i < j; i += 1) {
          const along = dot(q[i], v);
          r[i][j] += along;
          subtract(v, along, q[i]);
        }
      }
      const length = norm(v);
      if (!(length > 1e-14 * before)) return null;
      r[j][j] = length;
      for (let i = 0; i < v.length; i += 1) v[i] /= length;
      q.push(v);
    }
    return { q, r };
  }

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i += 1) sum += a[i] * b[i];
    return sum;
  }

  const norm = (a) => Math.sqrt(dot(a, a));

  function subtract(from, amount, what) {
    for (let i = 0; i < from.length; i += 1) from[i] -= amount * what[i];
  }

  // Least squares through a factorisation: the coefficients, and the residual, projected twice.
  function project({ q, r }, y) {
    const residual = Float64Array.from(y);
    const along = new Float64Array(q.length);
    for (let pass = 0; pass < 2; pass += 1) {
      for (let i = 0; i < q.length; i += 1) {
        const amount = dot(q[i], residual);
        along[i] += amount;
        subtract(residual, amount, q[i]);
      }
    }
    const coefficients = new Float64Array(q.length);
    for (let i = q.length - 1; i >= 0; i -= 1) {
      let sum = along[i];
      for (let j = i + 1; j < q.length; j += 1) sum -= r[i][j] * coefficients[j];
      coefficients[i] = sum / r[i][i];
    }
    return { coefficients, residual };
  }

  const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;

  function parabola(x, y) {
    const centre = mean(x);
    const half = (Math.max(...x) - Math.min(...x)) / 2;
    const u = x.map((v) => (v - centre) / half);
    const factors = factorise([u.map(() => 1), u, u.map((v) => v * v)]);
    const level = mean(y);
    const [c0, c1, c2] = project(factors, y.map((v) => v - level)).coefficients;
    return { vertex: centre - (half * c1) / (2 * c2), upward: c2 > 0, centre, half, terms: [level + c0, c1, c2] };
  }

  function parabolaAt({ centre, half, terms }, log10x) {
    const u = (log10x - centre) / half;
    return terms[0] + u * (terms[1] + u * terms[2]);
  }

  function line(x, y) {
    const [mx, my] = [mean(x), mean(y)];
    const dx = x.map((v) => v - mx);
    const slope = dot(dx, y.map((v) => v - my)) / dot(dx, dx);
    return { slope, intercept: my - slope * mx };
  }

  // A vertex farther out than this many decades is the accident of a flat parabola, as in lawful.
  const FARTHEST = 50;

  // Approach 2: a parabola per budget in log N and in log D, and lines through the vertices. Where one
  // opens downward there are no lines, and the budgets at fault are listed.
  function approach2(budgets, runs) {
    const curves = budgets.map((budget, group) => {
      const here = runs.filter((run) => run.group === group);
      const y = here.map((run) => run.loss);
      const inParams = parabola(here.map((run) => Math.log10(run.params)), y);
      const inTokens = parabola(here.map((run) => Math.log10(run.tokens)), y);
      const upward = inParams.upward && inTokens.upward;
      const far = Math.max(Math.abs(inParams.vertex), Math.abs(inTokens.vertex)) > FARTHEST;
      return { budget, inParams, inTokens, upward, flat: upward && far };
    });
    const downward = curves.filter((c) => !c.upward).map((c) => c.budget);
    const flat = curves.filter((c) => c.flat).map((c) => c.budget);
    if (downward.length + flat.length) return { curves, downward, flat, frontier: null };
    const logs = budgets.map(Math.log10);
    const n = line(logs, curves.map((c) => c.inParams.vertex));
    const d = line(logs, curves.map((c) => c.inTokens.vertex));
    const frontier = { a: n.slope, b: d.slope, log10_a0: n.intercept, log10_b0: d.intercept };
    return { curves, downward, flat, frontier };
  }

  // N* and D* of a frontier of two lines.
  const onFrontier = (f, budget) => ({
    params: 10 ** (f.log10_a0 + f.a * Math.log10(budget)),
    tokens: 10 ** (f.log10_b0 + f.b * Math.log10(budget)),
  });

  return {
    approach2, budgetsOf, deadweight, dot, exponents, factorise, line, loss, mean, norm, onFrontier, optimalTokens, optimum,
    parabolaAt, project, roundTo, spaced, subtract, sweep,
  };
})();
