"use strict";

// VPNLS, variable projection with non-negative least squares, as lawful.solve.kernel has it: given the
// exponents the law is a non-negative combination of three columns, so only (alpha, beta) is searched.
const lawfulFit = (() => {
  const { dot, factorise, mean, norm, project, subtract } = lawfulMath;

  /** @type {[number, number]} */
  const BOX = [0.01, 2];
  const GRID = 24;
  const STARTS = 6;
  const SUBSETS = [[0, 1, 2], [1, 2], [0, 1], [0, 2], [1], [2], [0]];

  // An exponent with a larger relative standard error is scanned for a better valley.
  const DOUBT = 0.1;

  const AXIS = Array.from({ length: GRID }, (_, i) => BOX[0] * (BOX[1] / BOX[0]) ** (i / (GRID - 1)));

  const power = (x, theta) => x.map((v) => Math.exp(-theta * v));

  // Everything known at one pair of exponents: the best non-negative coefficients, what is left of the
  // losses, slope and curvature in the exponents with the coefficients projected out.
  function evaluate(problem, theta) {
    const { x, y } = problem;
    const columns = [problem.ones, power(x[0], theta[0]), power(x[1], theta[1])];
    /** @type {any} */
    let best = null;
    for (const subset of SUBSETS) {
      const factors = factorise(subset.map((i) => columns[i]));
      if (factors === null) continue;
      const found = project(factors, y);
      const value = dot(found.residual, found.residual);
      const feasible = found.coefficients.every((c) => c >= 0);
      if (feasible && (best === null || value < best.value)) best = { ...found, factors, subset, value };
      // With all signs right the free solution is the best there is.
      if (feasible && subset.length === 3) break;
    }
    const linear = [0, 0, 0];
    best.subset.forEach((i, at) => { linear[i] = best.coefficients[at]; });
    return { theta, linear, value: best.value, ...derivatives(problem, columns, linear, best) };
  }

  // Of half the squares. With psi = x phi the slope is c psi·r; the Hessian is Kaufman's, the products of
  // the projected psi, and with the law's own curvature added the exact one.
  function derivatives({ x }, columns, linear, { factors, residual, subset }) {
    const { q, r } = factors;
    const parts = [0, 1].map((k) => {
      const c = linear[k + 1];
      const psi = columns[k + 1].map((v, i) => v * x[k][i]);
      const pull = dot(psi, residual);
      const outside = Float64Array.from(psi);
      const along = q.map((column) => dot(column, psi));
      q.forEach((column, i) => subtract(outside, along[i], column));
      const bend = dot(psi.map((v, i) => v * x[k][i]), residual);
      // Solves r' v = e (psi·r), e the place of this column among the active ones.
      const v = new Float64Array(q.length);
      for (let i = 0; i < q.length; i += 1) {
        let sum = subset[i] === k + 1 ? pull : 0;
        for (let j = 0; j < i; j += 1) sum -= r[j][i] * v[j];
        v[i] = sum / r[i][i];
      }
      return { c, pull, outside, along, bend, v };
    });
    const gradient = parts.map((p) => p.c * p.pull);
    const gauss = parts.map((p) => parts.map((o) => p.c * o.c * dot(p.outside, o.outside)));
    const exact = parts.map((p, k) => parts.map((o, l) =>
      gauss[k][l] + p.c * dot(p.along, o.v) + o.c * dot(p.v, o.along) - dot(p.v, o.v) - (k === l ? p.c * p.bend : 0)));
    return { gradient, gauss, exact };
  }

  // Step of the exponents that may move: Newton's where the exact Hessian is definite, else Gauss's.
  function stepOf(state, free, damping) {
    const usable = [0, 1].filter((k) => free[k]);
    for (const hessian of [state.exact, state.gauss]) {
      const h = usable.map((k) => usable.map((l) => hessian[k][l] + (k === l ? damping * state.gauss[k][k] : 0)));
      const g = usable.map((k) => -state.gradient[k]);
      const step = [0, 0];
      if (usable.length === 1 && h[0][0] > 0) {
        step[usable[0]] = g[0] / h[0][0];
        return step;
      }
      if (usable.length === 2) {
        const determinant = h[0][0] * h[1][1] - h[0][1] * h[1][0];
        if (h[0][0] > 0 && determinant > 0) {
          step[0] = (h[1][1] * g[0] - h[0][1] * g[1]) / determinant;
          step[1] = (h[0][0] * g[1] - h[1][0] * g[0]) / determinant;
          return step;
        }
      }
    }
    return [0, 0];
  }

  const clip = (value, [low, high]) => Math.min(Math.max(value, low), high);

  // Damped Newton from one start, until neither exponent moves by more than the tolerance.
  function refine(problem, start, { box = [BOX, BOX], tolerance = 1e-13, most = 100 } = {}) {
    let state = evaluate(problem, start);
    let damping = 1e-3;
    for (let i = 0; i < most; i += 1) {
      const free = state.theta.map((t, k) =>
        state.linear[k + 1] > 0 && (state.gradient[k] > 0 ? t > box[k][0] : t < box[k][1]));
      const step = stepOf(state, free, damping);
      const trial = state.theta.map((t, k) => clip(t + step[k], box[k]));
      const move = Math.max(...trial.map((t, k) => Math.abs(t - state.theta[k])));
      if (move === 0) break;
      const next = evaluate(problem, trial);
      const better = next.value <= state.value;
      if (better) state = next;
      damping = better ? (damping < 1e-8 ? 0 : damping * 0.1) : Math.max(damping * 10, 1e-4);
      if (move <= tolerance || damping > 1e12) break;
    }
    return state;
  }

  // Near the optimum the sum of squares no longer tells points apart, but its slope does: full steps are
  // taken as long as the slope falls.
  function polish(problem, found) {
    let state = found;
    for (let i = 0; i < 6; i += 1) {
      const free = state.theta.map((t, k) => state.linear[k + 1] > 0 && t > BOX[0] && t < BOX[1]);
      const step = stepOf(state, free, 0);
      const next = evaluate(problem, state.theta.map((t, k) => clip(t + step[k], BOX)));
      const slope = (s) => Math.hypot(...s.gradient.filter((_, k) => free[k]));
      if (!(slope(next) < slope(state)) || next.value > state.value * (1 + 1e-9)) break;
      state = next;
    }
    return state;
  }

  // Sum of squares at every pair of grid points. Columns and losses are centred, which keeps the digits
  // that the constant would swamp; where a sign fails, every subset of the columns is tried.
  function gridValues({ x, y }) {
    const n = y.length;
    const level = mean(y);
    const left = y.map((v) => v - level);
    const square = dot(left, left);
    const axes = x.map((column) => AXIS.map((theta) => {
      const phi = power(column, theta);
      const centre = mean(phi);
      const around = phi.map((v) => v - centre);
      return { centre, around, self: dot(around, around), moment: dot(around, left) };
    }));
    return axes[0].map((p) => axes[1].map((o) => {
      const cross = dot(p.around, o.around);
      const determinant = p.self * o.self * (1 + 2e-13) - cross * cross;
      const a = (o.self * p.moment - cross * o.moment) / determinant;
      const b = (p.self * o.moment - cross * p.moment) / determinant;
      const e = level - a * p.centre - b * o.centre;
      if (determinant > 0 && a >= 0 && b >= 0 && e >= 0) return square - a * p.moment - b * o.moment;
      let best = square + n * level * level;
      // Without the constant the plain products take the place of the centred ones.
      const plain = (one) => ({ self: one.self + n * one.centre ** 2, moment: one.moment + n * one.centre * level });
      for (const one of [p, o]) {
        const amount = one.moment / one.self;
        if (amount >= 0 && level - amount * one.centre >= 0) best = Math.min(best, square - amount * one.moment);
        const bare = plain(one);
        if (bare.moment >= 0) best = Math.min(best, square + n * level ** 2 - bare.moment ** 2 / bare.self);
      }
      best = Math.min(best, square);
      const [f, g] = [plain(p), plain(o)];
      const mixed = cross + n * p.centre * o.centre;
      const whole = f.self * g.self * (1 + 2e-13) - mixed * mixed;
      const [u, v] = [(g.self * f.moment - mixed * g.moment) / whole, (f.self * g.moment - mixed * f.moment) / whole];
      if (u >= 0 && v >= 0) best = Math.min(best, square + n * level ** 2 - u * f.moment - v * g.moment);
      return best;
    }));
  }

  // Places no neighbour beats, along either axis, the lowest first.
  function localMinima(values) {
    const found = [];
    const at = (i, j) => values[i]?.[j] ?? Infinity;
    for (let i = 0; i < GRID; i += 1) {
      for (let j = 0; j < GRID; j += 1) {
        const v = values[i][j];
        if (v < at(i - 1, j) && v <= at(i + 1, j) && v < at(i, j - 1) && v <= at(i, j + 1)) found.push({ i, j, v });
      }
    }
    return found.sort((a, b) => a.v - b.v);
  }

  // The valleys are long in one exponent and narrow in the other, so the grid can miss a better one along
  // the same valley: an exponent in doubt is scanned with the other one refined at each value.
  function otherValleys(problem, best) {
    const spread = best.value / Math.max(problem.y.length - 5, 1);
    const [[g00, g01], [, g11]] = best.gauss;
    const determinant = g00 * g11 - g01 * g01;
    const variances = [(spread * g11) / determinant, (spread * g00) / determinant];
    const starts = [];
    for (const k of [0, 1]) {
      const doubtful = best.linear[k + 1] === 0 || !(variances[k] <= (DOUBT * best.theta[k]) ** 2);
      if (!doubtful || best.value === 0) continue;
      const scan = AXIS.map((value) => {
        const theta = [...best.theta];
        theta[k] = value;
        /** @type {[number, number][]} */
        const box = [BOX, BOX].map((own, l) => (l === k ? [value, value] : own));
        return refine(problem, theta, { box, tolerance: 1e-3, most: 8 });
      });
      scan.forEach((here, i) => {
        const lowest = here.value < (scan[i - 1]?.value ?? Infinity) && here.value <= (scan[i + 1]?.value ?? Infinity);
        if (lowest && here.value < 1.5 * best.value) starts.push(here.theta);
      });
    }
    return starts;
  }

  /** Fit runs with params, tokens and loss; A or B is 0 where the data do not ask for the term. */
  function fit(runs) {
    const logs = ["params", "tokens"].map((name) => Float64Array.from(runs, (run) => Math.log(run[name])));
    const centre = logs.map(mean);
    const x = logs.map((column, k) => column.map((v) => v - centre[k]));
    const y = Float64Array.from(runs, (run) => run.loss);
    const problem = { x, y, ones: y.map(() => 1) };
    const lowest = (states) => states.reduce((a, b) => (b.value < a.value ? b : a));
    let starts = localMinima(gridValues(problem)).slice(0, STARTS).map(({ i, j }) => [AXIS[i], AXIS[j]]);
    let best = lowest((starts.length ? starts : [[0.3, 0.3]]).map((start) => refine(problem, start)));
    for (let look = 0; look < 2; look += 1) {
      starts = otherValleys(problem, best);
      if (!starts.length) break;
      const before = best.value;
      best = lowest([best, ...starts.map((start) => refine(problem, start))]);
      if (best.value === before) break;
    }
    best = polish(problem, best);
    const [alpha, beta] = best.theta;
    const E = best.linear[0];
    const A = best.linear[1] * Math.exp(alpha * centre[0]);
    const B = best.linear[2] * Math.exp(beta * centre[1]);
    const atBound = ["alpha", "beta"].filter((_, k) => best.linear[k + 1] > 0 && BOX.includes(best.theta[k]));
    return { surface: { E, A, B, alpha, beta }, value: best.value, gradient: norm(best.gradient), atBound };
  }

  return { fit };
})();
