"use strict";

// The coupled law L = E + (A/N^alpha + B/D^beta)^k by least squares, as lawful fits law="skaling" with squared errors.
// Logs of N and D are taken from their means, so that A and B stand in the middle of the runs, as their logs a and b.
const lawfulCoupled = (() => {
  const { mean } = lawfulMath;

  // E, a, b, alpha, beta, k, and the box of the search.
  const SIZE = 6;
  const LOW = [0, -60, -60, 0.01, 0.01, 0.05];
  const HIGH = [Infinity, 60, 60, 4, 4, 2];
  const SLOPES = [0.06, 0.13, 0.22, 0.35, 0.55, 0.85];
  const RATIOS = [-3, -1.2, 0, 1.2, 3];
  const POWERS = [0.2, 0.45, 0.7, 1, 1.4];
  const STARTS = 8;

  // Losses, and where asked the slope and the exact Hessian of half the squares. With s the log of the bracket and h = k s,
  // g = e^h is the reducible loss: dg = g dh and d²g = g (dh dh' + d²h); share is the weight of the first term in s.
  function evaluate({ x, y, loss }, z, full = true) {
    const [E, a, b, alpha, beta, k] = z;
    const n = loss.length;
    const gradient = new Float64Array(SIZE);
    const gauss = new Float64Array(SIZE * SIZE);
    const exact = new Float64Array(SIZE * SIZE);
    const slope = new Float64Array(SIZE);
    const across = new Float64Array(SIZE);
    let value = 0;
    for (let i = 0; i < n; i += 1) {
      const inN = a - alpha * x[i];
      const inD = b - beta * y[i];
      const top = Math.max(inN, inD);
      const s = top + Math.log(Math.exp(inN - top) + Math.exp(inD - top));
      const g = Math.exp(Math.min(k * s, 300));
      const residual = loss[i] - E - g;
      value += residual * residual;
      if (!full) continue;
      const share = Math.exp(inN - s);
      const rest = 1 - share;
      // Slopes of h = k s.
      slope[1] = k * share;
      slope[2] = k * rest;
      slope[3] = -k * share * x[i];
      slope[4] = -k * rest * y[i];
      slope[5] = s;
      across[1] = 1;
      across[2] = -1;
      across[3] = -x[i];
      across[4] = y[i];
      gradient[0] -= residual;
      gauss[0] += 1;
      const bend = k * share * rest;
      for (let p = 1; p < SIZE; p += 1) {
        const gp = g * slope[p];
        gradient[p] -= residual * gp;
        gauss[p * SIZE] += gp;
        for (let q = 1; q <= p; q += 1) {
          gauss[p * SIZE + q] += gp * g * slope[q];
          let second = slope[p] * slope[q] + (p < 5 && q < 5 ? bend * across[p] * across[q] : 0);
          if (p === 5 && q < 5) second += slope[q] / k;
          exact[p * SIZE + q] -= residual * g * second;
        }
      }
    }
    for (let p = 0; p < SIZE; p += 1) {
      for (let q = 0; q <= p; q += 1) {
        exact[p * SIZE + q] += gauss[p * SIZE + q];
        gauss[q * SIZE + p] = gauss[p * SIZE + q];
        exact[q * SIZE + p] = exact[p * SIZE + q];
      }
    }
    return { z, value, gradient, gauss, exact };
  }

  // Solves for the free unknowns by Cholesky, scaled to a diagonal of ones; null where the matrix is not definite.
  function solve(matrix, gradient, free, damping, weights) {
    const m = free.length;
    const scale = free.map((p) => Math.sqrt(Math.max(weights[p * SIZE + p], 1e-300)));
    const l = Array.from({ length: m }, () => new Float64Array(m));
    for (let i = 0; i < m; i += 1) {
      for (let j = 0; j <= i; j += 1) {
        let sum = matrix[free[i] * SIZE + free[j]] / (scale[i] * scale[j]) + (i === j ? damping : 0);
        for (let t = 0; t < j; t += 1) sum -= l[i][t] * l[j][t];
        if (i !== j) l[i][j] = sum / l[j][j];
        else if (!(sum > 1e-15)) return null;
        else l[i][i] = Math.sqrt(sum);
      }
    }
    const v = new Float64Array(m);
    for (let i = 0; i < m; i += 1) {
      let sum = -gradient[free[i]] / scale[i];
      for (let j = 0; j < i; j += 1) sum -= l[i][j] * v[j];
      v[i] = sum / l[i][i];
    }
    for (let i = m - 1; i >= 0; i -= 1) {
      let sum = v[i];
      for (let j = i + 1; j < m; j += 1) sum -= l[j][i] * v[j];
      v[i] = sum / l[i][i];
    }
    return v.map((step, i) => step / scale[i]);
  }

  const movable = (state) => [...Array(SIZE).keys()].filter((p) =>
    (state.gradient[p] > 0 ? state.z[p] > LOW[p] : state.z[p] < HIGH[p]));

  function stepped(problem, state, damping) {
    const free = movable(state);
    const step = solve(state.exact, state.gradient, free, damping, state.gauss) ??
      solve(state.gauss, state.gradient, free, Math.max(damping, 1e-12), state.gauss);
    if (step === null) return null;
    const z = [...state.z];
    free.forEach((p, i) => { z[p] = Math.min(Math.max(z[p] + step[i], LOW[p]), HIGH[p]); });
    return evaluate(problem, z);
  }

  // Damped Newton from one start; ends where no step lowers the squares.
  function refine(problem, start, most) {
    let state = evaluate(problem, start);
    let damping = 1e-2;
    for (let i = 0; i < most; i += 1) {
      const next = stepped(problem, state, damping);
      if (next !== null && next.value < state.value) {
        const gain = 1 - next.value / state.value;
        state = next;
        damping = damping < 1e-9 ? 0 : damping * 0.1;
        if (gain < 1e-15) break;
      } else {
        damping = Math.max(damping * 10, 1e-8);
        if (damping > 1e6) break;
      }
    }
    return state;
  }

  // Near the minimum the squares no longer tell points apart, but their slope does.
  function polish(problem, found) {
    const size = (state) => Math.hypot(...movable(state).map((p) =>
      state.gradient[p] / Math.sqrt(Math.max(state.gauss[p * SIZE + p], 1e-300))));
    let state = found;
    for (let i = 0; i < 8; i += 1) {
      const next = stepped(problem, state, 0);
      if (next === null || !(size(next) < size(state)) || next.value > state.value * (1 + 1e-9)) break;
      state = next;
    }
    return state;
  }

  // At every place of a coarse grid E and the size of the bracket are linear: the best few are starts.
  function screened({ x, y, loss }) {
    const n = loss.length;
    const level = mean(loss);
    const found = [];
    const phi = new Float64Array(n);
    for (const p of SLOPES) for (const q of SLOPES) for (const ratio of RATIOS) for (const k of POWERS) {
      let sum = 0;
      for (let i = 0; i < n; i += 1) {
        const inN = (-p / k) * x[i];
        const inD = ratio - (q / k) * y[i];
        const top = Math.max(inN, inD);
        phi[i] = Math.exp(k * (top + Math.log1p(Math.exp(-Math.abs(inN - inD)))));
        sum += phi[i];
      }
      const centre = sum / n;
      let [cross, self, square] = [0, 0, 0];
      for (let i = 0; i < n; i += 1) {
        const around = phi[i] - centre;
        cross += around * (loss[i] - level);
        self += around * around;
        square += (loss[i] - level) ** 2;
      }
      const amount = cross / self;
      if (!(amount > 0)) continue;
      const inside = Math.log(amount) / k;
      const E = Math.max(level - amount * centre, 0);
      found.push({ value: square - amount * cross, z: [E, inside, inside + ratio, p / k, q / k, k] });
    }
    return found.sort((one, two) => one.value - two.value).slice(0, STARTS).map((one) => one.z);
  }

  const within = (z) => z.map((v, p) => Math.min(Math.max(v, LOW[p]), HIGH[p]));

  /**
   * Fit runs with params, tokens and loss. `near` is a law of two powers to start from as well, or null.
   * @param {any[]} runs
   * @param {any} near
   */
  function fit(runs, near) {
    const logs = ["params", "tokens"].map((name) => Float64Array.from(runs, (run) => Math.log(run[name])));
    const [mx, my] = logs.map(mean);
    const problem = { x: logs[0].map((v) => v - mx), y: logs[1].map((v) => v - my), loss: Float64Array.from(runs, (run) => run.loss) };
    const starts = screened(problem);
    if (near && near.A > 0 && near.B > 0) {
      starts.push([near.E, Math.log(near.A) - near.alpha * mx, Math.log(near.B) - near.beta * my, near.alpha, near.beta, 1]);
    }
    const tried = starts.map((start) => refine(problem, within(start), 40)).sort((one, two) => one.value - two.value);
    let best = tried.slice(0, 3).map((one) => refine(problem, one.z, 300)).reduce((one, two) => (two.value < one.value ? two : one));
    best = polish(problem, best);
    const [E, a, b, alpha, beta, k] = best.z;
    const surface = { E, A: Math.exp(a + alpha * mx), B: Math.exp(b + beta * my), alpha, beta, k };
    const atBound = ["E", "a", "b", "alpha", "beta", "k"].filter((_, p) => p > 0 && (best.z[p] <= LOW[p] || best.z[p] >= HIGH[p]));
    return { surface, value: best.value, atBound };
  }

  /** Loss of the law at these parameters and tokens. */
  const loss = (s, params, tokens) => s.E + (s.A * params ** -s.alpha + s.B * tokens ** -s.beta) ** s.k;

  return { fit, loss };
})();
