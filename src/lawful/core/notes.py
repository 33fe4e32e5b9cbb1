"""Statuses and coded notes: trouble as a value, carried on every result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any


class Status(Enum):
    """
    How a fit ended. The value is a sentence; the lower-case name is the key in JSON.

    Examples
    --------
    >>> Status.CONVERGED.key
    'converged'
    >>> print(Status.NOT_CONVERGED.value)
    The solver stopped before its gradient vanished; treat the numbers as provisional.
    """

    CONVERGED = "The solver reached a stationary point, the best of all its starts."
    NOT_CONVERGED = "The solver stopped before its gradient vanished; treat the numbers as provisional."
    UNAVAILABLE = "This method cannot run on these data; the notes say why."

    @property
    def key(self) -> str:
        """Name used in JSON."""
        return self.name.lower()


class Verdict(StrEnum):
    """
    What an answer is worth; whether the optimiser converged is another question. It is the word in JSON.

    Examples
    --------
    >>> Verdict.LAW_REFUSED == "law refused"
    True
    """

    SUPPORTED = "supported"
    EXTRAPOLATED = "extrapolated"
    LAW_REFUSED = "law refused"
    NOT_IDENTIFIED = "not identified"


NOTE_CODES: dict[str, str] = {
    "already_run": "Candidates of a pool were left out, since they have been run.",
    "approach2_unavailable": "Approach 2 cannot run on these runs.",
    "at_bound": "A coefficient of the answer sits on a bound.",
    "best_of_cell": "The best run of every N and D was kept.",
    "best_only": "The method forecasts the best run of a budget only.",
    "better_optimum": "A profile met a lower misfit than the fit itself.",
    "bias_removed": "The bias of Approach 2 was taken out with exponents from a surface.",
    "bootstrap_rows": "The bootstrap resampled whole rows because there are no usable budget groups.",
    "bound_dropped": "A coefficient on a bound was left out of the linearised intervals.",
    "budget_groups": "Budget groups were formed from runs whose compute lies within 10%.",
    "budget_in_name": "The budgets stand in the names of the runs, in forward or in total FLOPs.",
    "check_by": "The rules of check ran on each experiment of the table apart.",
    "budget_left_out": "Budgets without a parabola that has a minimum were left out of Approach 2.",
    "check_flagged": "Runs that check flagged were left out.",
    "check_moved": "The compute-optimal size moves by more than 5% when the runs that check flagged are left out.",
    "check_surface": "Runs that do not stand in budgets were compared with the law through the others.",
    "checkpoint_budgets": "IsoFLOP points were read off training curves at these budgets.",
    "checkpoint_runs": "Checkpoints were told apart into runs by these columns.",
    "collinear_sizes": "Model sizes and tokens move together, so the terms in N and D can hardly be told apart.",
    "column_choice": "A column was taken for a quantity by a name that says less than others would.",
    "copied_rows": "Rows repeat another one in every column and were counted once.",
    "delta_auto": "Huber's delta was set from the scale of the residuals.",
    "derived_column": "A missing column was derived from C = 6ND.",
    "encoding": "A file that is not UTF-8 was read in another encoding; only names and labels depend on which.",
    "envelope_dropped": "Budgets whose best run is not on the lower envelope were left out of Approach 1.",
    "extrapolation": "The budget, or a column of the law, lies far outside the range of the runs.",
    "failed_draws": "Some bootstrap draws have no finite answer.",
    "few_budgets": "The frontier rests on very few budgets.",
    "few_sizes": "Only two distinct model sizes or token counts.",
    "few_starts": "The best answer of a search was met by few of its starts.",
    "filled_down": "Cells that stand for the value above them, as merged ones do, were read as that value.",
    "flops_mismatch": "The budget column differs from 6ND by more than 10% for some runs.",
    "header_rows": "The header takes two rows, which were read as one.",
    "hyperparameter_sweep": "Runs of one N and D differ in a hyper-parameter, so they are no replicates.",
    "lack_of_fit": "Replicates or residuals refuse the law.",
    "laws_disagree": "The laws of the average disagree too much for a single number, or one law with their average.",
    "loss_unit": "The loss is not in nats per token.",
    "members_failed": "Some laws of the average did not converge and are not used.",
    "narrow_delta": "Huber's delta is far below the noise of the runs.",
    "no_optimum": "The fitted surface has no interior compute-optimal point.",
    "not_bracketed": "An IsoFLOP minimum lies outside the sampled sizes of its budget.",
    "not_identified": "The runs do not tell the compute-optimal size, so it is not printed.",
    "not_separable": "Two coefficients occur only as one product, so no runs tell them apart.",
    "one_budget": "All runs share one budget, so nothing here tests how the optimum moves with compute.",
    "one_convention": "The table supports one convention of counting only.",
    "one_sided_draws": "Bootstrap draws of a lower envelope lie to one side of its estimate, so no interval is given.",
    "open_interval": "The data do not bound a quantity on one side.",
    "order_of_magnitude": "The budget lies so far beyond the runs that a forecast is an order of magnitude.",
    "outliers": "Some residuals are too far out for Gaussian noise.",
    "pinned": "A coefficient was held fixed at the user's request.",
    "pool_thinned": "Of a large pool of candidates only every few in order of cost were weighed.",
    "prior": "A coefficient was given a prior with a width at the user's request.",
    "profile": "The table was recognised as the log of a known program and read as its columns are meant there.",
    "recipe": "A quantity was worked out from columns by a formula.",
    "repeated_data": "Runs saw their tokens several times, which the law takes as new.",
    "replicates_flagged": "Check took seeds of one run for duplicates and kept the best of them.",
    "robust": "Squares would be led by a few runs, so a robust objective was taken.",
    "set_aside": "Rows were set aside, each with a reason.",
    "several_experiments": "The table holds several experiments that were fitted as one.",
    "shared": "Groups of runs share coefficients at the user's request; their price is told.",
    "shared_error": "Runs share an error, which the intervals allow for.",
    "tied": "Coefficients were tied to each other at the user's request.",
    "tied_checkpoints": "Repeated checkpoints leave the loss of some points open.",
    "token_cost": "FLOPs per token were taken as a smooth curve of the model size that some runs lie off.",
    "transposed": "A table whose first column holds the names was read with one run per column.",
    "unannealed": "Rows are checkpoints of unfinished runs, whose loss lies above that of an annealed run.",
    "unavailable": "The method cannot run on these runs.",
    "undertuned": "Some runs lie far above an otherwise tight IsoFLOP curve, or above the law through the others.",
    "uneven_noise": "The noise of the runs changes with their loss.",
    "unit_doubt": "Numbers are unusual for the unit that they were taken in.",
    "unit_read": "A column was read in the unit that its header or its cells state.",
    "unreached": "One recipe never reaches the loss of the other.",
    "unused_column": "A column that no part of the law reads explains what its residuals leave.",
    "whole_runs": "Rows of one training curve were held out together.",
    "wide_table": "Columns named by a budget were read as one row per run.",
    "window": "The parabolas of Approach 2 go through the sizes around each budget's lowest loss only.",
    "zero_coefficient": "A coefficient is exactly zero: non-negativity binds.",
}
"""The closed list of note codes, each with what it says in general."""

DOUBTS: dict[str, str] = {
    "several_experiments": "several experiments were fitted as one",
    "unannealed": "rows look like checkpoints of unfinished runs",
}
"""Notes of the runs that make any answer doubtful, however well the law fits, as they stand in its first line."""


REPR_LENGTH = 120
"""Characters of a message in the one line that a note is as ``repr``."""


@dataclass(frozen=True, slots=True)
class Note:
    """
    Something the reader of a result should know.

    Parameters
    ----------
    code : str
        One of :data:`NOTE_CODES`.
    message : str
        One sentence with the particulars.

    Raises
    ------
    KeyError
        If the code is not in the closed list (a bug of ours, not of the user).

    Examples
    --------
    >>> Note("one_budget", "All 12 runs share the budget 1e19.").code
    'one_budget'
    """

    code: str
    message: str

    def __post_init__(self) -> None:
        if self.code not in NOTE_CODES:
            raise KeyError(self.code)

    def __repr__(self) -> str:
        text = self.message if len(self.message) <= REPR_LENGTH else f"{self.message[:REPR_LENGTH]}…"
        return f"Note({self.code!r}, {text!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return the note as it stands in JSON."""
        return {"code": self.code, "message": self.message}


def doubt_of(notes: Iterable[Note]) -> str:
    """
    Say what makes an answer doubtful before anything is fitted; empty where nothing does.

    Examples
    --------
    >>> doubt_of([Note("several_experiments", "The table holds 2 experiments taken as one."), Note("pinned", "")])
    'several experiments were fitted as one'
    """
    codes = {note.code for note in notes}
    return " and ".join(text for code, text in DOUBTS.items() if code in codes)


def verdict_sentence(verdict: Verdict, notes: Iterable[Note] = ()) -> str:
    """
    Say what an answer is worth, and what makes it doubtful whatever it is.

    Examples
    --------
    >>> verdict_sentence(Verdict.SUPPORTED, [Note("several_experiments", "The table holds 2 experiments.")])
    'Verdict: supported, but doubtful: several experiments were fitted as one.'
    """
    doubt = doubt_of(notes)
    return f"Verdict: {verdict.value}{', but doubtful: ' if doubt else ''}{doubt}."
