"""Published figures of study 5 (arXiv:2603.22339 and its repository), 20 centred sweeps per row."""

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
    ("asymmetric", "approach3"): (91.0, 118.0),
    ("asymmetric", "approach3 3-point"): (92.0, 123.0),
    ("asymmetric", "l-bfgs-b"): (6.0, 11.0),
    ("asymmetric", "l-bfgs-b 3-point"): (6.0, 11.0),
    ("asymmetric", "nelder-mead"): (66.0, 72.0),
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
    ("asymmetric", "approach3"): (4.09e-06, 1.74e-05, 3.02e-06, 3.96e-06, 1.01e-06),
    ("asymmetric", "approach3 3-point"): (0.00158, 0.0012, 0.00258, 0.000274, 0.000727),
    ("asymmetric", "l-bfgs-b"): (8.84e-09, 3.41e-08, 2.04e-08, 7.90e-09, 5.98e-09),
    ("asymmetric", "l-bfgs-b 3-point"): (8.27e-08, 4.17e-08, 6.37e-08, 9.40e-09, 2.04e-08),
    ("asymmetric", "nelder-mead"): (5.25e-08, 4.92e-08, 6.58e-08, 1.20e-08, 2.01e-08),
}
"""Largest error of E, A, B, alpha, beta in percent."""

GRID_TEXT = {
    "symmetric": "0.522 2.03 2.03 0.38 0.38",
    "chinchilla": "0.286 0.925 1.08 0.173 0.21",
    "asymmetric": "2.58 1.89 2.00 0.443 0.569",
}
"""The same for the 256×256 grid alone, as printed."""
