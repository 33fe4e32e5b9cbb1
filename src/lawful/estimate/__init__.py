"""From runs to numbers: the kernel, the solvers and the four ways to fit."""
