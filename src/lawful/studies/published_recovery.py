"""Published figures of study 5 (arXiv:2603.22339), 20 centred sweeps per row."""

NAMES = ("E", "A", "B", "alpha", "beta")

ITERATIONS = {
    ("symmetric", "approach3"): (27.0, 30.0),
    ("symmetric", "approach3 3-point"): (27.0, 32.0),
    ("symmetric", "l-bfgs-b"): (3.0, 4.0),
    ("symmetric", "l-bfgs-b 3-point"): (3.0, 4.0),
    ("symmetric", "nelder-mead"): (63.0, 66.0),
    ("chinchilla", "approach3"): (92.0, 112.0),
    ("chinchilla", "approach3 3-point"): (90.0, 115.0),
    ("chinchilla", "l-bfgs-b"): (5.0, 6.0),
    ("chinchilla", "l-bfgs-b 3-point"): (5.0, 6.0),
    ("chinchilla", "nelder-mead"): (62.0, 66.0),
}
"""Median and most iterations."""

ERRORS = {
    ("symmetric", "approach3"): (7.69e-08, 5.05e-07, 5.05e-07, 2.09e-07, 2.08e-07),
    ("symmetric", "approach3 3-point"): (0.000117, 0.000876, 0.000876, 0.000163, 0.000164),
    ("symmetric", "l-bfgs-b"): (9.67e-08, 6.37e-07, 6.37e-07, 1.22e-07, 1.22e-07),
    ("symmetric", "l-bfgs-b 3-point"): (1.67e-08, 5.3e-08, 5.3e-08, 1.21e-08, 1.21e-08),
    ("symmetric", "nelder-mead"): (9.51e-09, 5e-08, 6.13e-08, 9.67e-09, 1.22e-08),
    ("chinchilla", "approach3"): (1.09e-06, 5.03e-06, 6.57e-06, 9.62e-07, 1.33e-06),
    ("chinchilla", "approach3 3-point"): (0.000139, 0.000648, 0.00146, 0.00012, 0.000282),
    ("chinchilla", "l-bfgs-b"): (1.39e-07, 9.19e-07, 8.65e-07, 1.72e-07, 1.68e-07),
    ("chinchilla", "l-bfgs-b 3-point"): (1.89e-08, 6.37e-08, 7.75e-08, 1.29e-08, 1.6e-08),
    ("chinchilla", "nelder-mead"): (1.66e-08, 6.28e-08, 7.88e-08, 1.25e-08, 1.7e-08),
}
"""Largest error of E, A, B, alpha, beta in percent."""

GRID_TEXT = {"symmetric": "0.522 2.03 2.03 0.38 0.38", "chinchilla": "0.286 0.925 1.08 0.173 0.21"}
"""The same for the 256×256 grid alone, as printed."""
