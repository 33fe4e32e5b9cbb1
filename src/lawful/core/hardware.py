"""Accelerators: the peak rate of matrix products, dense and with structured sparsity, each named as such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lawful.core.numbers import format_short
from lawful.errors import UnsupportedError

Rate = Literal["dense", "sparse"]


@dataclass(frozen=True, slots=True)
class Hardware:
    """
    One chip and its peak rate in bfloat16.

    Parameters
    ----------
    name : str
        As on the command line.
    dense : float
        FLOP/s of dense matrix products: what training can use.
    sparse : float or None
        FLOP/s with 2:4 structured sparsity, the larger number that vendors print
        first; None where the chip has no such mode.

    Examples
    --------
    >>> chip = HARDWARE["h100"]
    >>> print(f"{chip.dense / 1e12:g} dense, {chip.sparse / 1e12:g} with sparsity")
    989.5 dense, 1979 with sparsity
    """

    name: str
    dense: float
    sparse: float | None = None

    def peak(self, rate: Rate) -> float:
        """
        Peak FLOP/s at a rate.

        Raises
        ------
        UnsupportedError
            If the rate is unknown, or the chip has no sparse mode.
        """
        if rate not in ("dense", "sparse"):
            msg = f"A peak rate is dense or sparse, got {rate!r}."
            raise UnsupportedError(msg)
        peak = self.dense if rate == "dense" else self.sparse
        if peak is None:
            msg = f"{self.name} has no sparse rate; use its dense one, {format_short(self.dense / 1e12)} TFLOP/s."
            raise UnsupportedError(msg)
        return peak


HARDWARE: dict[str, Hardware] = {
    chip.name: chip
    for chip in (
        # NVIDIA V100 data sheet, SXM2: 125 TFLOP/s in float16; the chip has no bfloat16.
        Hardware("v100", 125e12),
        # NVIDIA A100 data sheet: 312 | 624 with sparsity.
        Hardware("a100", 312e12, 624e12),
        # NVIDIA H100 data sheet prints 1,979 for SXM and 1,513 for PCIe, both with sparsity; dense is half.
        Hardware("h100", 989.5e12, 1979e12),
        Hardware("h100-pcie", 756.5e12, 1513e12),
        # NVIDIA H200 data sheet, SXM: the same compute as the H100 SXM.
        Hardware("h200", 989.5e12, 1979e12),
        # NVIDIA HGX B200 specifications: 36 PFLOP/s bfloat16 with sparsity over 8 chips.
        Hardware("b200", 2250e12, 4500e12),
        # NVIDIA GB200 NVL72 page: 360 PFLOP/s bfloat16 with sparsity over 72 chips.
        Hardware("gb200", 2500e12, 5000e12),
        # AMD Instinct MI300X data sheet: 1,307.4 | 2,614.9 with sparsity.
        Hardware("mi300x", 1307.4e12, 2614.9e12),
        # Google Cloud TPU documentation, peak bfloat16 per chip.
        Hardware("tpu-v4", 275e12),
        Hardware("tpu-v5e", 197e12),
        Hardware("tpu-v5p", 459e12),
        Hardware("tpu-v6e", 918e12),
    )
}
"""Chips by name, bfloat16 unless the comment says otherwise."""


def find_hardware(name: str) -> Hardware:
    """
    Return a chip by name.

    Raises
    ------
    UnsupportedError
        If it is not in :data:`HARDWARE`.

    Examples
    --------
    >>> find_hardware("H200").dense
    989500000000000.0
    """
    found = HARDWARE.get(name.lower())
    if found is None:
        msg = f"Unknown hardware {name!r}; choose one of {', '.join(HARDWARE)}."
        raise UnsupportedError(msg)
    return found
