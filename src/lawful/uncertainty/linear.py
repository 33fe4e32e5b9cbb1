r"""
The fit linearised at its optimum: slopes, leverages, influence of each run. Batched arrays.

To first order an estimate moves by ``sum_i l_i e_i`` when run i moves by e_i. Everything
here (standard errors for equal or unequal noise, their degrees of freedom, corrected
residuals for the bootstrap) is read off these influences.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lawful.core.typing import Array, BoolArray
from lawful.estimate.solvers import Problem
from lawful.solve.small import inverse_spd

ON_BOUND = 1e-9
"""Relative distance within which a coefficient counts as sitting on its bound."""

MOST_LEVERAGE = 0.999
"""A run that the fit follows exactly says nothing about its own noise."""

WINDOW = 0.5
"""Half-width, in robust standard deviations, within which residuals tell the density at zero
where Huber's delta is narrower than that."""


class Linearised(NamedTuple):
    """
    Rows of fits linearised at their optima.

    Attributes
    ----------
    slope : array, shape (R, q, n)
        Derivatives of the fitted value (of its log for log objectives).
    inverse : array, shape (R, q, q)
        Inverse of ``slope W slope'`` over the free coefficients, zero elsewhere.
    weight : array, shape (R, n) or (1, n)
    leverage : array, shape (R, n)
        Diagonal of the hat matrix.
    residual : array, shape (R, n)
        Observed minus fitted.
    pseudo : array, shape (R, n)
        Residuals as the objective counts them: the residual itself for squares,
        psi(r) over the mean of psi' for Huber's loss.
    free : bool array, shape (R, q)
        Coefficients that are not on a bound.
    runs : array, shape (R,)
        Runs with weight.
    variance : array, shape (R,)
        Of a run of weight one, if all are equally noisy.
    inliers : array, shape (R,)
        Mean of psi': the share of runs that Huber's loss counts in full (1 for squares).
    reducible : array, shape (R, n)
        Fitted loss above E, which a noise may grow with.
    precision : array, shape (q,), or None
        What priors add to the diagonal of ``slope W slope'``: the variance over their own.
    told : float or None
        Degrees of freedom of the variance, where a prior's weight has told both.
    """

    slope: Array
    inverse: Array
    weight: Array
    leverage: Array
    residual: Array
    pseudo: Array
    free: BoolArray
    runs: Array
    variance: Array
    inliers: Array
    reducible: Array
    precision: Array | None = None
    told: float | None = None

    @property
    def freedom(self) -> Array:
        """Degrees of freedom: runs less free coefficients, less what a prior tells of them; at least 1, shape (R,)."""
        if self.told is not None:
            return np.full(len(self.free), self.told)
        taken = self.free.sum(axis=1)
        if self.precision is not None:
            taken = taken - (self.inverse.diagonal(axis1=1, axis2=2) * self.precision).sum(axis=1)
        return np.asarray(np.maximum(self.runs - taken, 1.0))

    def prior_error(self, slope: Array) -> Array:
        """Standard error that a prior's own width gives a quantity with this gradient, shape (R,)."""
        if self.precision is None:
            return np.zeros(len(self.free))
        moved = (self.inverse @ slope[:, :, None])[:, :, 0]
        return np.asarray(np.sqrt(self.variance * (moved**2 * self.precision).sum(axis=1)))


def free_coefficients(problem: Problem, z: Array) -> BoolArray:
    """Mask of coefficients inside their bounds, whose term is not zero, shape (R, q)."""
    slack = ON_BOUND * (1.0 + np.abs(z))
    free = (z - problem.lower > slack) & (problem.upper - z > slack)
    m = problem.powers + 1
    free[:, :m] |= z[:, :m] > 0
    free &= problem.lower < problem.upper
    for coefficient, exponent in problem.gates:
        free[:, exponent] &= z[:, coefficient] > 0
    return free


def linearise(
    problem: Problem,
    z: Array,
    *,
    weights: Array | None = None,
    losses: Array | None = None,
    delta: Array | None = None,
    release: int | None = None,
) -> Linearised:
    """
    Linearise fits at rows of answers.

    Parameters
    ----------
    problem : Problem
    z : array, shape (R, q)
        Answers in solver units.
    weights : array, shape (R, n), optional
        Weights per row, in place of the problem's.
    losses : array, shape (R, n), optional
        Losses per row, in place of the problem's.
    delta : array, shape (R,), optional
        Huber's delta per row, in place of the problem's.
    release : int, optional
        A coefficient that counts as free even where it sits on a bound.

    Returns
    -------
    Linearised
    """
    value, slope, _ = problem.model(z)
    observed = problem.target if losses is None else (np.log(losses) if problem.log else losses)
    given = np.ones(problem.y.size) if problem.w is None else problem.w
    weight = np.atleast_2d(given if weights is None else weights)
    free = free_coefficients(problem, z)
    if release is not None:
        free[:, release] = True
    # To first order dz = (S W S')^-1 S W e for errors e: everything else is read off this inverse. It is that of normal
    # equations, which an error bar of a few digits can afford and an estimate could not.
    gram = (slope * weight[:, None, :]) @ slope.transpose(0, 2, 1)
    pulls = [pull for pull in problem.prior if pull.sd is not None]
    precision = np.zeros(problem.lower.size) if pulls else None
    for pull in pulls:
        # A prior is one more observation, of weight s²/sd²; that of squares is known before the fit.
        precision[pull.at] = pull.weight  # type: ignore[index]
    if precision is not None:
        gram = gram + np.diag(precision)
    inverse = inverse_spd(gram, free)
    # h_i = w_i s_i' (S W S')^-1 s_i, the share of run i in its own fitted value; they add up to the free coefficients.
    leverage = np.einsum("rqn,rqn->rn", slope, inverse @ slope) * weight
    residual = observed - value
    reducible = np.maximum((np.exp(value) if problem.log else value) - problem.floor(z), 1e-12)
    count = np.broadcast_to((weight > 0).sum(axis=1).astype(float), len(z))
    freedom = np.maximum(count - free.sum(axis=1), 1.0)
    width = delta if delta is not None else problem.delta
    if width is None:
        variance = (weight * residual**2).sum(axis=1) / freedom
        told = None
        if pulls and pulls[0].freedom is not None:
            told = pulls[0].freedom
            variance = np.full(len(z), pulls[0].weight * float(pulls[0].sd or 0.0) ** 2)
        ones = np.ones(len(z))
        parts = (slope, inverse, weight, leverage, residual, residual, free, count, variance, ones, reducible)
        return Linearised(*parts, precision, told)
    width = np.broadcast_to(np.asarray(width, float), (len(z),))
    inliers, correction = _inliers(residual, weight, width, free.sum(axis=1))
    # A Newton step of an M-estimate is a least-squares step with psi(r)/mean(psi') in place of r, so pseudo-residuals
    # stand in for residuals in every formula below; the correction is Huber's (1981, section 7.6).
    pseudo = np.clip(residual, -width[:, None], width[:, None]) / inliers[:, None]
    variance = correction**2 * (weight * pseudo**2).sum(axis=1) / freedom
    if precision is not None:
        for pull in pulls:
            precision[pull.at] = float(variance.mean()) / pull.sd**2  # type: ignore[operator]
        gram = (slope * weight[:, None, :]) @ slope.transpose(0, 2, 1) + np.diag(precision)
        inverse = inverse_spd(gram, free)
    parts = (slope, inverse, weight, leverage, residual, pseudo, free, count, variance, inliers, reducible)
    return Linearised(*parts, precision)


def _inliers(residual: Array, weight: Array, width: Array, fitted: Array) -> tuple[Array, Array]:
    """
    Mean of psi' per row, and Huber's finite-sample factor on the standard error.

    Where delta is far below the noise, hardly a run lies within it, and those few are
    the ones the fit goes through; the density of residuals in a window is used instead.
    """
    used = weight > 0
    size = np.where(used, np.abs(residual), np.nan)
    count = used.sum(axis=1)
    # Half of Gaussian residuals lie within 0.6745 standard deviations.
    spread = np.nanmedian(size, axis=1) / 0.6745
    window = np.maximum(width, WINDOW * spread)
    inside = (size <= window[:, None]).sum(axis=1)
    plain = inside / count
    # A narrow delta makes the fit interpolate as many runs as it has coefficients.
    narrow = np.maximum(inside - fitted, 1) / np.maximum(count - fitted, 1) * (width / window)
    mean = np.where(window > width, narrow, plain)
    factor = 1.0 + fitted / count * (1.0 - mean) / mean
    return mean, np.where(window > width, 1.0, factor)


def sandwich_error(at: Linearised, slope: Array, times: Array | None = None) -> Array:
    """
    Standard error from each run's own residual, shape (R,).

    ``times`` says how often each run was drawn, shape (R, n): copies of a run are
    runs of their own to a bootstrap world, each with its share of influence and leverage.
    """
    l2 = influence(at, slope) ** 2
    leverage = at.leverage
    if times is not None:
        copies = np.maximum(times, 1.0)
        l2, leverage = l2 / copies, leverage / copies
    return np.asarray(np.sqrt((l2 * at.pseudo**2 / (1.0 - np.minimum(leverage, MOST_LEVERAGE))).sum(axis=1)))


def influence(at: Linearised, slope: Array) -> Array:
    """Influence l_i of each run on a quantity with this gradient, shape (R, n); not finite if no run tells it."""
    with np.errstate(over="ignore", invalid="ignore"):
        direction = (at.inverse @ slope[:, :, None])[:, None, :, 0]
        return np.asarray((direction @ at.slope)[:, 0] * at.weight)


class Spread(NamedTuple):
    """
    Uncertainty of one quantity per row.

    Attributes
    ----------
    error : array, shape (R,)
        Standard error of the working value.
    freedom : array, shape (R,)
        Degrees of freedom of Student's t.
    ratio : array, shape (R,)
        Variance over that of the inverse Gram matrix alone: what a misfit is compared with.
    known : array, shape (R,), or None
        Part of ``error`` that a prior's width makes, which is known and needs no degrees of freedom.
    """

    error: Array
    freedom: Array
    ratio: Array
    known: Array | None = None

    def reach(self, level: float) -> Array:
        """
        Half the width of an interval in standard errors, shape (R,): Student's t, or the normal for a known part.

        The half-widths of independent errors, each at its own quantile, add up in squares.
        """
        from scipy.special import ndtri, stdtrit

        t: Array = np.asarray(stdtrit(self.freedom, 0.5 + level / 2), dtype=np.float64)
        if self.known is None or not self.known.any():
            return t
        share = np.minimum((self.known / self.error) ** 2, 1.0)
        return np.asarray(np.sqrt(t**2 * (1 - share) + float(ndtri(0.5 + level / 2)) ** 2 * share))


def equal_noise(at: Linearised, slope: Array, _: Working | None = None) -> Spread:
    """Standard error where every run is equally noisy (variance inverse to its weight)."""
    form = np.einsum("rq,rqs,rs->r", slope, at.inverse, slope)
    return Spread(np.sqrt(at.variance * form), at.freedom, at.variance, at.prior_error(slope))


class Working(NamedTuple):
    """
    A working model of the noise, and what the residuals see of it.

    Attributes
    ----------
    phi : array, shape (R, n)
        Variances up to a factor, per unit of weight.
    seen : array, shape (R, n)
        Variances of the residuals under it, the diagonal of M phi M.
    full : array, shape (R, n, n), or None
        M phi M; None for very many runs.
    trend : array, shape (R, n)
        Derivative of log phi by the power.
    error : array, shape (R,)
        Standard error of the power, 0 where it was not estimated.
    power : array, shape (R,)
        Of the reducible loss, that phi follows; 0 where it was not estimated.
    """

    phi: Array
    seen: Array
    full: Array | None
    trend: Array
    error: Array
    power: Array


def work(at: Linearised) -> Working:
    """Working model of the noise; quantities of the same fit share it."""
    left = 1.0 - np.minimum(at.leverage, MOST_LEVERAGE)
    logs = np.log(at.reducible)
    power, error = variance_power(at, left)
    told = error < WEAKEST_TREND
    u = np.where(told[:, None], logs - logs.mean(axis=1, keepdims=True), 0.0)
    phi = np.exp(power[:, None] * u)
    error = np.where(told, error, 0.0)
    if at.residual.shape[1] > FULL_HAT_RUNS:
        return Working(phi, left * phi, None, u, error, np.where(told, power, 0.0))
    # In units of the square root of its weight, M = 1 - H is a projection.
    # Residuals are M e, so under variances phi theirs are the diagonal of M phi M.
    root = np.sqrt(at.weight)[:, None, :] * at.slope
    rest = -(root.transpose(0, 2, 1) @ at.inverse @ root)
    k = np.arange(rest.shape[1])
    rest[:, k, k] += 1.0
    for _ in range(SEEN_ROUNDS):
        # A noisy run lends its noise to its neighbours' residuals: what is seen of each variance
        # depends on the others, so the power is estimated again from residuals corrected for it.
        seen = np.einsum("rij,rj->ri", rest**2, phi)
        power, _ = variance_power(at, np.maximum(seen / phi, 1.0 - MOST_LEVERAGE))
        phi = np.exp(power[:, None] * u)
    power = np.where(told, power, 0.0)
    full = (rest * phi[:, None, :]) @ rest
    return Working(phi, np.maximum(full[:, k, k], (1.0 - MOST_LEVERAGE) ** 2 * phi), full, u, error, power)


def level_work(at: Linearised) -> Working:
    """Working model of equal noise: no trend is looked for."""
    left = 1.0 - np.minimum(at.leverage, MOST_LEVERAGE)
    none = np.zeros(len(left))
    return Working(np.ones_like(left), left, None, np.zeros_like(left), none, none)


SEEN_ROUNDS = 3


def working_variances(at: Linearised) -> tuple[Array, Array]:
    """Variance of each run up to a factor, following the reducible loss, and what its residual shows of it; (R, n)."""
    model = work(at)
    return model.phi, model.seen


def _per_weight(at: Linearised, l2: Array) -> Array:
    """Squared influences in units where every run has weight one."""
    return np.divide(l2, at.weight, out=np.zeros_like(l2), where=at.weight > 0)


def trend_noise(at: Linearised, slope: Array, model: Working | None = None) -> Spread:
    r"""
    Standard error where the variance follows a power of the reducible loss, estimated with the law.

    ``s^2 sum l_i^2 phi_i`` with phi = (L - E)^gamma. The estimate of gamma is uncertain
    and moves the variance V by ``d ln V / d gamma``, which joins the n - q degrees of freedom:
    ``2/df = 2/(n - q) + (d ln V / d gamma)^2 se(gamma)^2``.
    """
    share = _per_weight(at, influence(at, slope) ** 2)
    model = work(at) if model is None else model
    # r_i²/phi_i has mean s² seen_i/phi_i: their sums give s², and the factor carries over what Huber's loss corrects.
    square = at.weight * at.pseudo**2 / model.phi
    scale = square.sum(axis=1) / (np.where(at.weight > 0, model.seen / model.phi, 0.0)).sum(axis=1)
    correction = at.variance * at.freedom / np.maximum((at.weight * at.pseudo**2).sum(axis=1), 1e-300)
    parts = share * model.phi
    total = parts.sum(axis=1)
    known = at.prior_error(slope)
    if at.told is not None:
        # The variance of a run is known with the prior's weight; the trend only spreads it over the runs.
        scale, correction = at.variance * _mean_inverse(at, model), 1.0
    variance = scale * total * correction + known**2
    with np.errstate(divide="ignore", invalid="ignore"):
        # d ln V/dgamma: the mean of ln phi's slope over the runs that this quantity listens to, less that over those
        # that s² does. A log variance on f degrees of freedom has variance 2/f, so the two uncertainties add in 2/df.
        lever = (parts * model.trend).sum(axis=1) / total - (square * model.trend).sum(axis=1) / square.sum(axis=1)
        freedom = 2.0 / (2.0 / at.freedom + (lever * model.error) ** 2)
        ratio = variance / np.einsum("rq,rqs,rs->r", slope, at.inverse, slope)
    freedom = np.where(np.isfinite(freedom), np.maximum(freedom, 1.0), 1.0)
    return Spread(np.sqrt(variance), freedom, ratio, known)


def _mean_inverse(at: Linearised, model: Working) -> Array:
    """Return the mean of r²/phi over that of r²: from the variance of equal runs to that of runs with phi = 1."""
    square = at.weight * at.pseudo**2
    return np.asarray((square / model.phi).sum(axis=1) / np.maximum(square.sum(axis=1), 1e-300))


def unequal_noise(at: Linearised, slope: Array, model: Working | None = None) -> Spread:
    r"""
    Standard error from each run's own residual: the sandwich with a working variance.

    ``sum_i l_i^2 phi_i r_i^2 / (M phi M)_ii``, M = 1 - H, is unbiased where the working variances
    phi are right, and consistent where they are not (Bell & McCaffrey 2002; Pustejovsky &
    Tipton 2018; with phi = 1 it is HC2). It is a quadratic form in the noise, whose first two
    moments give the degrees of freedom of Student's t.
    """
    model = work(at) if model is None else model
    form = _per_weight(at, influence(at, slope) ** 2) * model.phi / model.seen
    if model.full is None:
        cross = ((form * model.seen) ** 2).sum(axis=1)
    else:
        # Residuals have covariance F = M phi M, so sum f_i r_i² has mean sum f_i F_ii and, for Gaussian errors, the
        # variance 2 sum f_i f_j F_ij²; Satterthwaite's degrees of freedom are twice the squared mean over the variance.
        cross = np.einsum("ri,rij,rj->r", form, model.full**2, form)
    known = at.prior_error(slope)
    variance = (form * at.weight * at.pseudo**2).sum(axis=1) + known**2
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (form * model.seen).sum(axis=1) ** 2 / cross
        ratio = variance / np.einsum("rq,rqs,rs->r", slope, at.inverse, slope)
    freedom = np.where(np.isfinite(freedom), np.maximum(freedom, 1.0), 1.0)
    return Spread(np.sqrt(variance), freedom, ratio, known)


def strays(at: Linearised, model: Working, logs: Array) -> BoolArray:
    """
    Whether the noise follows one of these columns beyond what its trend along the loss tells, shape (R,).

    Koenker's (1981) score test: n times the share of the variance of r²/phi that a column explains, the
    trend along the loss taken out of it, so heavy tails raise no alarm.

    Parameters
    ----------
    at : Linearised
    model : Working
        Its noise; see :func:`work`.
    logs : array, shape (m, n)
        Columns, such as ln N and ln D; each is judged alone.
    """
    used = np.broadcast_to(at.weight > 0, at.residual.shape).astype(float)
    count = used.sum(axis=1, keepdims=True)

    def centred(values: Array) -> Array:
        return np.asarray((values - (values * used).sum(axis=1, keepdims=True) / count) * used)

    square = centred(at.weight * at.pseudo**2 / model.seen)
    along = centred(np.log(at.reducible))
    size = np.maximum((along**2).sum(axis=1, keepdims=True), 1e-300)
    found = np.zeros(len(at.residual), bool)
    for column in logs:
        own = centred(np.broadcast_to(column, at.residual.shape))
        left = own - along * ((own * along).sum(axis=1, keepdims=True) / size)
        told = (left**2).sum(axis=1) > 1e-6 * (own**2).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            score = (square * left).sum(axis=1) ** 2 / ((square**2).sum(axis=1) * (left**2).sum(axis=1))
        found |= told & (count[:, 0] * score > STRAYS**2)
    return found


STRAYS = 1.645
"""Standard errors beyond which a trend of the noise along ln N or ln D counts: one alarm in ten for each column."""

FULL_HAT_RUNS = 400
"""Up to this many runs the whole hat matrix is formed; beyond it leverages are small and suffice."""

STEEPEST = 4.0
"""Largest power of the reducible loss that a variance is taken to follow."""


def variance_power(at: Linearised, seen: Array | None = None) -> tuple[Array, Array]:
    """
    Power of the reducible loss L - E that the variance of a run follows, and its standard error.

    Maximum likelihood for Gaussian noise: minimise ``sum log phi_i + r_i^2/phi_i`` with phi_i =
    s (L_i - E)^gamma, one Newton iteration after another in gamma alone.

    Parameters
    ----------
    at : Linearised
    seen : array, shape (R, n), optional
        Share of each run's variance that its residual shows; 1 - leverage if not given.

    Returns
    -------
    power, error : array, shape (R,)
    """
    used = np.broadcast_to(at.weight > 0, at.residual.shape).astype(float)
    count = used.sum(axis=1, keepdims=True)
    u = np.log(at.reducible)
    u = (u - (u * used).sum(axis=1, keepdims=True) / count) * used
    shown = 1.0 - np.minimum(at.leverage, MOST_LEVERAGE) if seen is None else seen
    square = at.weight * at.pseudo**2 / shown
    spread = (u**2).sum(axis=1)
    power = np.zeros(len(u))
    for _ in range(POWER_ROUNDS):
        # With s² profiled out minus the log-likelihood is n/2 ln(sum r² e^(-gamma u)), u centred: slope and curvature
        # are n/2 times minus the mean of u and its variance under weights r² e^(-gamma u). The step is held to 1,
        # since far out one run makes the whole sum.
        tilted = square * np.exp(-power[:, None] * u) * used
        total = np.maximum(tilted.sum(axis=1, keepdims=True), 1e-300)
        share = tilted / total
        mean = (share * u).sum(axis=1)
        bend = (share * u**2).sum(axis=1) - mean**2
        step = np.divide(mean, bend, out=np.zeros_like(mean), where=bend > 1e-12)
        power = np.clip(power + np.clip(step, -1.0, 1.0), -STEEPEST, STEEPEST)
    error = np.sqrt(np.divide(2.0, spread, out=np.full_like(spread, np.inf), where=spread > 0))
    return power, error


POWER_ROUNDS = 12


WEAKEST_TREND = 2.0
"""Runs whose reducible losses are too alike to tell the power within this are taken as equally noisy."""


def corrected_residuals(at: Linearised, power: float) -> Array:
    """Residuals divided by (1 - h)^power, shape (R, n): 1/2 restores their variance, 1 is the jackknife's."""
    return np.asarray(at.residual / (1.0 - np.minimum(at.leverage, MOST_LEVERAGE)) ** power)


NOISES = {"trend": trend_noise, "unequal": unequal_noise, "equal": equal_noise}
"""What runs may differ in: their variance along the reducible loss, each on its own, or not at all."""

AUTO_NOISE = "auto"
"""Along the loss, or each run on its own where that is not all."""


def spread_by(noise: str, at: Linearised, slope: Array, logs: Array, model: Working | None = None) -> Spread:
    """
    Uncertainty of one quantity under a kind of noise, per row.

    Under ``auto`` the variance follows the loss, but where it follows N or D besides (small models are noisier),
    which that trend knows nothing of, each run's own residual counts. Noise as N^(-1/4) left alpha's nominal 90% at
    79 to 84% on sweeps, and 84 to 90% so; where only the trend is there, its own estimate is narrower and steadier.

    Parameters
    ----------
    noise : str
        One of :data:`NOISES`, or ``auto``.
    at : Linearised
    slope : array, shape (R, q)
        Gradient of the quantity.
    logs : array, shape (m, n)
        Columns that the noise may follow besides the loss.
    model : Working, optional
        Working model of the noise, where it is known already.
    """
    if noise != AUTO_NOISE:
        return NOISES[noise](at, slope, model)
    model = work(at) if model is None else model
    own = strays(at, model, logs)
    if not own.any():
        return trend_noise(at, slope, model)
    each, along = unequal_noise(at, slope, model), trend_noise(at, slope, model)
    error, freedom, ratio = (np.where(own, getattr(each, k), getattr(along, k)) for k in ("error", "freedom", "ratio"))
    return Spread(error, freedom, ratio, along.known)
