"""Results that are a handful of numbers, or a table of them, shown in a notebook as HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from lawful.show.printing import counted, table_html

if TYPE_CHECKING:  # the records call this module, so they are imported for the type checker only
    from lawful.approach2.bias import Bias
    from lawful.counting.compare import Conventions
    from lawful.decide.deadweight import DeadweightInterval

Rows = list[tuple[str, ...]]

MOST_ROWS = 60
"""Longer tables are cut in a notebook, with the number of rows that are left out."""


def record_html(record: Any) -> str:
    """Return a frozen record as a table of its plain values; arrays are left to code."""
    title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(record).__name__).capitalize()
    return table_html([f"{title}."], ("", "value"), _rows(record), "", getattr(record, "notes", ()), caption=title)


def _rows(record: Any) -> Rows:
    rows: Rows = []
    for one in fields(record):
        name, value = one.name.replace("_", " "), getattr(record, one.name)
        if one.name == "notes" or isinstance(value, np.ndarray):
            continue
        if isinstance(value, Mapping):
            rows += [(f"{name}: {key}", _plain(item)) for key, item in value.items()]
        elif hasattr(value, "__dataclass_fields__"):
            rows += [(f"{name}: {inner}", text) for inner, text in _rows(value)]
        else:
            rows.append((name, _plain(value)))
    return rows


def _plain(value: Any) -> str:
    """Write a flag, a number, a pair or names for people."""
    if value is None:
        return "not known"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, Real):
        number = float(value)
        return f"{number:.6g}" if np.isfinite(number) else "none"
    if isinstance(value, tuple):
        joint = " to " if len(value) == 2 and all(isinstance(v, Real) for v in value) else ", "
        return joint.join(map(_plain, value)) or "none"
    return str(value)


def conventions_html(found: Conventions) -> str:
    """Return the exponents and optima of every way to count."""
    rows: Rows = []
    for row in found.rows:
        name = f"N: {', '.join([row.params, *row.params_also])}; C: {', '.join([row.flops, *row.flops_also])}"
        optima = "; ".join(f"{counted(o.params)} at {o.budget:g} FLOPs" for o in row.optima)
        rows.append(
            (name, "n/a" if row.a is None else f"{row.a:.4f}", "n/a" if row.b is None else f"{row.b:.4f}", optima)
        )
    said = f"{len(found.rows)} way{'s' if len(found.rows) > 1 else ''} to count, by {found.method}."
    return table_html([said], ("counted", "a", "b", "N*"), rows, "", found.notes, caption="Conventions")


def deadweight_html(found: DeadweightInterval) -> str:
    """Return what Approach 2 loses with its interval, failed refits kept and left out."""
    level = f"{found.level:.0%}"
    rows: Rows = [
        ("lost by Approach 2", f"{found.flops:.3g} FLOPs"),
        (f"{level} interval, all refits", f"{found.kept[0]:.3g} to {found.kept[1]:.3g} FLOPs"),
        ("without those that open downward", f"{found.discarded[0]:.3g} to {found.discarded[1]:.3g} FLOPs"),
        ("refits that open downward", f"{found.failed:.0%}"),
    ]
    return table_html([f"Deadweight at {found.budget:g} FLOPs."], ("", "value"), rows, "", (), caption="Deadweight")


def bias_html(found: Bias) -> str:
    """Return what Approach 2 gets wrong at every budget of the sweep, by cause."""
    names = ("width", "offset", "drift", "scatter", "total")
    parts = np.stack([10.0 ** getattr(found.tokens, name) - 1 for name in names], axis=1)
    columns = zip(found.budgets.tolist(), (10.0**found.params.total - 1).tolist(), parts.tolist(), strict=True)
    rows: Rows = [(f"{c:g}", f"{n:+.2%}", *(f"{x:+.2%}" for x in d)) for c, n, d in columns]
    heads = ("budget, FLOPs", "N*", *(f"D*: {name}" for name in names))
    said = "Error of Approach 2 at the budgets of the sweep, without noise, if the losses lie on the surface."
    return table_html([said], heads, rows, "", (), caption="Bias of Approach 2")
