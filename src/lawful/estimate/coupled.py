"""The coupled law for Newton's method, with its slopes and curvature in closed form."""

from __future__ import annotations

import numpy as np

from lawful.core.typing import Array
from lawful.estimate import newton


def coupled(x: Array, y: Array, *, log: bool) -> newton.Model:
    r"""
    Model of ``E + (e^(a - alpha x) + e^(b - beta y))^k`` in ``z = (E, a, b, alpha, beta, k)``.

    With s the log of the bracket the reducible loss is g = e^(k s), and everything follows
    from ds and d²s: ``dg = g dh``, ``d²g = g (dh dh' + d²h)`` with h = k s.

    Parameters
    ----------
    x, y : array, shape (n,)
        Centred logs of N and D.
    log : bool
        Whether the value is the natural log of the law.
    """

    def model(z: Array) -> tuple[Array, Array, newton.Curvature]:
        k = z[:, 5:6]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            in_n, in_d = z[:, 1:2] - z[:, 3:4] * x, z[:, 2:3] - z[:, 4:5] * y
            s = np.logaddexp(in_n, in_d)
            share = np.nan_to_num(np.exp(in_n - s))
            g = np.exp(np.minimum(k * s, 300.0))
        rest = 1.0 - share
        # Slopes of s in (a, b, alpha, beta), and of the difference of the two logs, which bends s.
        first = np.stack([share, rest, -share * x, -rest * y], axis=1)
        across = np.stack(
            [np.ones_like(s), -np.ones_like(s), np.broadcast_to(-x, s.shape), np.broadcast_to(y, s.shape)], axis=1
        )
        slope = np.empty((len(z), 6, x.size))
        slope[:, 0] = 1.0
        slope[:, 1:5] = (g * k)[:, None] * first
        slope[:, 5] = g * s
        value = z[:, :1] + g

        def curvature(v: Array) -> Array:
            out = np.zeros((len(z), 6, 6))
            weight = v * g
            h = np.concatenate([k[:, None] * first, s[:, None]], axis=1)
            out[:, 1:, 1:] = (h * weight[:, None]) @ h.transpose(0, 2, 1)
            out[:, 1:5, 1:5] += (across * (weight * k * share * rest)[:, None]) @ across.transpose(0, 2, 1)
            cross = (first @ weight[:, :, None])[:, :, 0]
            out[:, 1:5, 5] += cross
            out[:, 5, 1:5] += cross
            return out

        if not log:
            return value, slope, curvature
        value = np.maximum(value, newton.LEAST_LOSS)
        relative = slope / value[:, None]

        def log_curvature(v: Array) -> Array:
            return np.asarray(curvature(v / value) - (relative * v[:, None]) @ relative.transpose(0, 2, 1))

        return np.log(value), relative, log_curvature

    return model
