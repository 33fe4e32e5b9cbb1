"""The table that ``make bench`` prints: medians, and ratios to the fastest row of each group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

UNITS = ((1e-6, "µs", 1e6), (1e-3, "µs", 1e6), (1.0, "ms", 1e3), (float("inf"), "s", 1.0))


def rows_of(benchmarks: Sequence[Any]) -> list[tuple[str, str, float, float, str]]:
    """Group, name, median in seconds (scaled where only a sample ran), ratio to lawful's row, remark."""
    found = []
    for bench in benchmarks:
        scale = bench.extra_info.get("scale", 1.0)
        found.append([bench.group or "", bench.name, bench.stats.median * scale, bench.extra_info.get("remark", "")])
    base = {}
    for group, name, median, _ in found:
        if "lawful" in name and group not in base:
            base[group] = median
    return [(g, n, t, t / base.get(g, t), remark) for g, n, t, remark in found]


def text_of(rows: Sequence[tuple[str, str, float, float, str]]) -> str:
    """Lay the rows out as text."""
    lines, last = [], None
    for group, name, median, ratio, remark in rows:
        if group != last:
            lines += ["", group]
            last = group
        unit, factor = next((u, f) for limit, u, f in UNITS if median < limit)
        lines.append(f"  {name:<58} {median * factor:10.3f} {unit:<3} {ratio:10,.1f}x  {remark}".rstrip())
    return "\n".join(lines)
