"""Published figures of study 11 (arXiv:2603.22339 and its repository)."""

OUTCOMES = {
    ("empirical", "VPNLS"): "10.2e12 16.1e12 621.6e9 393.3e9 0.630631 0.630895 2.39e24 6.3",
    ("empirical", "Approach 3"): "10.1e12 16.1e12 628.3e9 393.3e9 0.628918 0.629199 2.48e24 6.5",
    ("simulated", "Llama 3"): "10.2e12 10.8e12 621.6e9 584.5e9 0.630631 0.630635 4.50e22 0.1",
    ("simulated", "Chinchilla"): "29.7e12 33.5e12 213.5e9 189.3e9 1.816533 1.816620 1.70e23 0.4",
    ("simulated", "SODA"): "28.8e12 42.1e12 220.2e9 150.5e9 3.178630 3.178847 3.04e24 8.0",
    ("simulated", "Sparse-NMM"): "176.5e12 272.3e12 35.9e9 23.3e9 2.193603 2.194537 3.82e24 10.1",
}
"""True and inferred D*, N* and loss, the deadweight in FLOPs and in percent, as printed."""

PRICES = {
    ("empirical", "VPNLS"): (1e6, "1.3"),
    ("empirical", "Approach 3"): (1e6, "1.4"),
    ("simulated", "Llama 3"): (1e3, "25"),
    ("simulated", "Chinchilla"): (1e3, "95"),
    ("simulated", "SODA"): (1e6, "1.7"),
    ("simulated", "Sparse-NMM"): (1e6, "2.1"),
}
"""Unit and dollars at the rate with sparsity, as printed."""

COEFFICIENTS = {
    "VPNLS": "0.6047 59.1 155.1 0.3100 0.3136 0.5029 0.4971",
    "Approach 3": "0.6021 56.2 147.3 0.3068 0.3110 0.5034 0.4966",
}
"""E, A, B, alpha, beta, a, b of the Llama 3 runs."""

EXPONENTS = {"a": "0.4632", "b": "0.5368"}
"""Approach 2 on the Llama 3 runs."""

INTERVALS = {"VPNLS": ("381414", "2826425"), "Approach 3": ("411664", "2883366")}
"""90% of 100 draws in dollars; the abstract prints 412 thousand to 2.9 million."""

LOST_DRAWS = 18
"""Draws that fail and are left out."""

STAGED = {
    ("Llama 3", "runs"): "133 131 126 116 116",
    ("Llama 3", "budgets"): "10 10 10 8 8",
    ("Llama 3", "dcl_percent_all_runs"): "6.30 6.26 4.28 0.04 0.04",
    ("Llama 3", "dcl_percent_approach3"): "6.53 6.48 4.48 0.02 0.02",
    ("Chinchilla (Epoch AI)", "runs"): "123 116 90 85 85",
    ("Chinchilla (Epoch AI)", "dcl_percent_all_runs"): "42.99 42.57 31.59 16.81 16.81",
    ("Chinchilla (Epoch AI)", "dcl_percent_approach3"): "37.86 37.43 26.47 12.50 12.50",
}
"""Stage by stage."""

GRIDS = {
    ("offset 3×", "llama-3"): (3.826933575307032, 3.375546142495810, 2.633033354237599, 1.613555897558270),
    ("offset 3×", "chinchilla"): (7.110118943792227, 5.690942262865139, 3.376107789049476, 0.237880848496492),
    ("offset 3×", "soda"): (23.641308504188178, 18.860143491083527, 11.482695071423539, 2.248470237879939),
    ("offset 3×", "sparse-nmm"): (26.902788946348640, 21.139924818989297, 12.389103023292197, 1.680516080657596),
    ("drift to 3×", "llama-3"): (6.358146653594028, 5.423414729444628, 3.894234009769677, 1.811717957218136),
    ("drift to 3×", "chinchilla"): (12.765258783874216, 10.907726977182385, 7.896343698285654, 3.850529394051585),
    ("drift to 3×", "soda"): (46.316101597347554, 40.636266235030597, 32.007217806814303, 21.431430096445659),
    ("drift to 3×", "sparse-nmm"): (54.310918516902404, 48.354854509684834, 39.405061592658960, 28.590981401448413),
}
"""Error of D* at 3.8e25 FLOPs in percent at XS, S, L, XL."""
