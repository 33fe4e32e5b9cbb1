"""What the figures show, read from their artists: data, tick labels, places of labels. Not pixels."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import FillBetweenPolyCollection, LineCollection, PathCollection

from lawful.analysis.analysis import Analysis, analyse
from lawful.core.numbers import format_count
from lawful.data.runs import Runs
from lawful.design.plan import plan_isoflop, simulate
from lawful.errors import UnsupportedError
from lawful.estimate.fit import fit
from lawful.estimate.result import METHODS, Fit
from lawful.laws.surface import Surface
from lawful.show.figures.axes import figure_of, log_ticks, save_figure
from lawful.show.figures.curve_figure import plot_curve
from lawful.show.figures.figure_data import figure_tables, rows_where
from lawful.show.figures.figures import figures_of, plot_frontier, plot_isoflop, plot_residuals
from lawful.show.figures.loss_figure import loss_tables, plot_loss
from lawful.show.figures.palette import DARK, LIGHT, style
from lawful.uncertainty.bootstrap import quantiles

BUDGETS = (1e18, 1e19, 1e20, 1e21)
TARGETS = (1e23, 2e23, 3e23, 5e23, 1e24)


def sweep(budgets: Any = BUDGETS, points: int = 7, noise: float = 0.004) -> Any:
    truth = Surface.named("besiroglu")
    return simulate(truth, plan_isoflop(list(budgets), points, surface=truth), noise=noise, seed=5)


@pytest.fixture(scope="module")
def analyses() -> dict[str, Analysis]:
    return {m: analyse(sweep(), method=m, budgets=TARGETS, draws=60, intervals="within-budget") for m in METHODS}


@pytest.fixture(scope="module")
def analysis(analyses: dict[str, Analysis]) -> Analysis:
    return analyses["vpnls"]


def runs_drawn(ax: Any) -> Any:
    return next(c for c in ax.collections if isinstance(c, PathCollection)).get_offsets()


def line_named(ax: Any, label: str) -> Any:
    return next(line for line in ax.get_lines() if line.get_label() == label)


@pytest.mark.parametrize("method", METHODS)
def test_tables_have_columns_of_one_length_and_name_their_sources(analyses: dict[str, Analysis], method: str) -> None:
    tables = figure_tables(analyses[method])
    assert {name: len({c.size for c in table.values()}) for name, table in tables.items()} == dict.fromkeys(tables, 1)
    assert set(tables["frontier_lines"]["source"].tolist()) == {method, "approach2"}
    assert (tables["residuals"]["residual"].size == 0) == (method == "approach1")


def test_curves_of_the_law_lie_on_the_fitted_surface_and_spend_their_budget(analysis: Analysis) -> None:
    assert isinstance(analysis.fit, Fit)
    curves = rows_where(figure_tables(analysis)["isoflop_curves"], source="vpnls")
    expected = analysis.fit.surface.at_params(curves["budget"], curves["params"]).loss
    np.testing.assert_array_equal(curves["loss"], expected)


def test_a_parabola_is_lowest_at_its_marked_optimum(analysis: Analysis) -> None:
    tables = figure_tables(analysis)
    for budget in BUDGETS:
        curve = rows_where(tables["isoflop_curves"], source="approach2", budget=budget)
        best = rows_where(tables["isoflop_optima"], source="approach2", budget=budget)
        assert best["loss"][0] <= curve["loss"].min()
        step = curve["params"][1] / curve["params"][0]
        assert 1 / step <= curve["params"][np.argmin(curve["loss"])] / best["params"][0] <= step


def test_isoflop_shows_every_run_every_curve_and_both_optima(analysis: Analysis) -> None:
    assert isinstance(analysis.fit, Fit)
    ax = plot_isoflop(analysis)
    runs = analysis.fit.runs
    np.testing.assert_array_equal(runs_drawn(ax), np.column_stack([runs.N, runs.L]))
    assert sum(line.get_label().startswith("_vpnls") for line in ax.get_lines()) == len(BUDGETS)
    assert sum(line.get_label().startswith("_approach2") for line in ax.get_lines()) == len(BUDGETS)
    marked = line_named(ax, "VPNLS optimum")
    np.testing.assert_allclose(marked.get_xdata(), analysis.fit.surface.optimum(runs.budgets).params)
    assert marked.get_marker() != line_named(ax, "Approach 2 optimum").get_marker()


def test_isoflop_axes_read_in_millions_and_nats(analysis: Analysis) -> None:
    ax = plot_isoflop(analysis)
    figure_of(ax).draw_without_rendering()
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert "100M" in labels
    assert "1B" in labels
    assert ax.get_xlabel() == "Model size N (parameters)"
    assert ax.get_ylabel() == "Loss (nats per token)"


def test_of_26_budgets_those_are_named_whose_names_do_not_touch() -> None:
    found = analyse(sweep(np.geomspace(1e17, 1e21, 26), points=4), draws=0)
    ax = plot_isoflop(found)
    names = [text.get_text() for text in ax.texts]
    assert 5 <= len(names) <= 26
    assert names[0] == "10²¹ FLOPs"
    FigureCanvasAgg(figure_of(ax)).draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_colours_order_budgets_by_lightness() -> None:
    # The largest budget stands out from the paper most: darkest on white, brightest on black.
    for palette, sign in ((LIGHT, -1.0), (DARK, 1.0)):
        luminance = palette.budgets(np.geomspace(1e18, 1e22, 9))[:, :3] @ [0.2126, 0.7152, 0.0722]
        assert np.all(sign * np.diff(luminance) > 0)


def test_one_budget_is_named_on_the_axis_without_a_ladder() -> None:
    ax = plot_isoflop(analyse(sweep([1e20], points=12), draws=0))
    assert ax.child_axes == []
    assert ax.get_xlabel() == "Model size N (parameters), budget 10²⁰ FLOPs"


@pytest.mark.parametrize("quantity", ["params", "tokens"])
def test_frontier_draws_the_line_of_the_fit_and_the_interval_of_its_draws(analysis: Analysis, quantity: Any) -> None:
    assert analysis.draws is not None
    ax = plot_frontier(analysis, quantity=quantity)
    line = line_named(ax, "VPNLS")
    expected = getattr(analysis.fit.frontier, quantity)(line.get_xdata())
    np.testing.assert_allclose(line.get_ydata(), expected)
    tables = figure_tables(analysis)["frontier_lines"]
    band = rows_where(tables, source="vpnls")
    low, high = quantiles(getattr(analysis.draws, quantity)(band["budget"][40]), 0.9)
    assert (band[f"{quantity}_low"][40], band[f"{quantity}_high"][40]) == (low, high)
    assert sum(isinstance(c, FillBetweenPolyCollection) for c in ax.collections) == 1


def test_without_draws_there_is_no_band_and_without_budgets_no_target() -> None:
    found = analyse(sweep(), draws=0)
    ax = plot_frontier(found)
    assert not any(isinstance(c, FillBetweenPolyCollection) for c in ax.collections)
    assert list(ax.texts) == []
    assert ax.get_xlim()[1] == pytest.approx(10 * BUDGETS[-1])


def test_the_shade_begins_at_the_largest_training_budget_and_says_so(analysis: Analysis) -> None:
    ax = plot_frontier(analysis)
    shade = next(patch for patch in ax.patches if str(patch.get_label()).startswith("extrapolated"))
    assert shade.get_label() == "extrapolated (> 10²¹)"
    assert shade.get_extents().transformed(ax.transData.inverted()).x0 == pytest.approx(1e21)
    assert shade.get_label() in [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("quantity", ["params", "tokens"])
@pytest.mark.parametrize("method", METHODS)
def test_values_of_close_targets_are_written_inside_and_do_not_overlap(
    analyses: dict[str, Analysis], method: str, quantity: Any
) -> None:
    found = analyses[method]
    ax = plot_frontier(found, quantity=quantity)
    figure_of(ax).draw_without_rendering()
    written = [text.get_text() for text in ax.texts]
    assert {format_count(getattr(a, quantity)) for a in found.allocations} <= set(written)
    assert len(written) == len(TARGETS) * (1 if method == "approach2" else 2)
    boxes = [super(type(t), t).get_window_extent() for t in ax.texts]
    inside = ax.get_window_extent()
    for i, box in enumerate(boxes):
        assert inside.x0 <= box.x0
        assert box.x1 <= inside.x1
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_compute_axis_reads_in_powers_of_ten(analysis: Analysis) -> None:
    ax = plot_frontier(analysis)
    figure_of(ax).draw_without_rendering()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["10¹⁸", "10²⁰", "10²²", "10²⁴"]
    assert ax.get_xlabel() == "Training compute C (FLOPs)"


def test_residuals_are_observed_less_fitted_loss_in_small_units(analysis: Analysis) -> None:
    assert isinstance(analysis.fit, Fit)
    ax = plot_residuals(analysis)
    np.testing.assert_allclose(runs_drawn(ax)[:, 1], 1e3 * analysis.fit.residuals)
    assert ax.get_ylabel() == "Observed − fitted loss (10⁻³ nats per token)"
    medians = next(c for c in ax.collections if isinstance(c, LineCollection)).get_segments()
    runs = analysis.fit.runs
    expected = [1e3 * np.median(analysis.fit.residuals[runs.group == g]) for g in range(len(BUDGETS))]
    np.testing.assert_allclose([segment[0][1] for segment in medians], expected)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["10¹⁸", "10¹⁹", "10²⁰", "10²¹"]
    assert 0.0 in ax.get_lines()[0].get_ydata()


def test_within_a_budget_residuals_run_from_small_to_large_models(analysis: Analysis) -> None:
    runs = analysis.fit.runs
    place = runs_drawn(plot_residuals(analysis))[:, 0]
    for group in range(len(BUDGETS)):
        here = runs.group == group
        assert np.all(np.diff(place[here][np.argsort(runs.N[here])]) > 0)
        assert np.all(np.abs(place[here] - group) < 0.5)


def test_a_wild_residual_is_pinned_to_the_edge_with_its_number(analysis: Analysis) -> None:
    runs = analysis.fit.runs
    loss = runs.L.copy()
    loss[3] += 5.0
    wild = dataclasses.replace(
        analysis, fit=dataclasses.replace(analysis.fit, runs=dataclasses.replace(runs, L=loss)), isoflop=None
    )
    ax = plot_residuals(wild)
    assert len(runs_drawn(ax)) == len(runs) - 1
    assert line_named(ax, "1 beyond the axis").get_marker() == "^"
    assert [text.get_text() for text in ax.texts] == [f"{5.0 + analysis.fit.residuals[3]:.3g}"]
    assert ax.get_ylim()[1] < 1.0


def test_residuals_of_approach_2_are_those_of_its_parabolas(analyses: dict[str, Analysis]) -> None:
    table = figure_tables(analyses["approach2"])["residuals"]
    for budget in BUDGETS:
        here = table["budget"] == budget
        parabola = np.polynomial.Polynomial.fit(np.log10(table["params"][here]), table["residual"][here], 2)
        np.testing.assert_allclose(parabola(np.log10(table["params"][here])), 0.0, atol=1e-9)


def test_approach_1_has_no_residuals_to_plot(analyses: dict[str, Analysis]) -> None:
    with pytest.raises(UnsupportedError, match="Approach 1 predicts no loss, so it has no residuals to plot"):
        plot_residuals(analyses["approach1"])


def test_approach_1_marks_runs_of_its_envelope(analyses: dict[str, Analysis]) -> None:
    fit = analyses["approach1"].fit
    best = rows_where(figure_tables(analyses["approach1"])["isoflop_optima"], source="approach1")
    assert set(zip(best["params"], best["loss"], strict=True)) <= set(zip(fit.runs.N, fit.runs.L, strict=True))
    assert best["budget"].size == len(fit.budgets)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_its_figures(analyses: dict[str, Analysis], method: str) -> None:
    figures = figures_of(analyses[method])
    expected = {"isoflop", "frontier"} | ({"residuals"} if method != "approach1" else set())
    assert set(figures) == expected
    assert len(figures["frontier"].axes) == 2
    for figure in figures.values():
        figure.draw_without_rendering()


def test_figures_stand_where_approach_2_cannot_run(analysis: Analysis) -> None:
    figures = figures_of(dataclasses.replace(analysis, isoflop=None, truth=None))
    labels = [line.get_label() for figure in figures.values() for ax in figure.axes for line in ax.get_lines()]
    assert not any("pproach" in label for label in labels)
    assert "VPNLS" in labels


def test_a_surface_without_an_interior_optimum_still_draws_its_runs(analysis: Analysis) -> None:
    assert isinstance(analysis.fit, Fit)
    flat = Surface({**analysis.fit.surface.coefficients, "A": 0.0})
    found = dataclasses.replace(
        analysis, fit=dataclasses.replace(analysis.fit, surface=flat), draws=None, allocations=(), isoflop=None
    )
    figures = figures_of(found)
    assert len(runs_drawn(figures["isoflop"].axes[0])) == len(analysis.fit.runs)
    for figure in figures.values():
        figure.draw_without_rendering()


def test_a_parabola_that_opens_downward_has_no_optimum_to_mark(analysis: Analysis) -> None:
    assert analysis.isoflop is not None
    first, *rest = analysis.isoflop.parabolas
    capped = dataclasses.replace(first, in_params=first.in_params * [1.0, 1.0, -1.0])
    found = dataclasses.replace(analysis, isoflop=dataclasses.replace(analysis.isoflop, parabolas=(capped, *rest)))
    marked = rows_where(figure_tables(found)["isoflop_optima"], source="approach2")["budget"]
    assert marked.tolist() == list(BUDGETS[1:])


def test_plots_draw_where_they_are_told_and_leave_no_global_figure(analysis: Analysis) -> None:
    from matplotlib._pylab_helpers import Gcf
    from matplotlib.figure import Figure

    for plot in (plot_isoflop, plot_frontier, plot_residuals):
        ax = Figure(layout="constrained").subplots()
        assert plot(analysis, ax) is ax
    assert Gcf.figs == {}


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_the_same_analysis_gives_the_same_file(analysis: Analysis, tmp_path: Path, suffix: str) -> None:
    written = []
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / f"isoflop.{suffix}"
        save_figure(figure_of(plot_isoflop(analysis)), path)
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_text_in_an_svg_stays_text_and_no_date_is_written(analysis: Analysis, tmp_path: Path) -> None:
    save_figure(figure_of(plot_isoflop(analysis)), tmp_path / "isoflop.svg")
    text = (tmp_path / "isoflop.svg").read_text(encoding="utf-8")
    assert ">Loss (nats per token)</text>" in text
    assert "dc:date" not in text


@pytest.mark.parametrize(("low", "high"), [(4e8, 7e9), (1e18, 1e26), (1.0, 1.4), (3e6, 2e12), (9e9, 1.1e10)])
def test_log_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert all(low * 0.999 <= tick <= high * 1.001 for tick in ticks)
    assert all(float(f"{tick:.1e}") == pytest.approx(tick) for tick in ticks)


CURVES = {
    "hestness": ("D", "Training tokens D"),
    "kaplan-n": ("N", "Model size N (parameters)"),
    "compute": ("C", "Training compute C (FLOPs)"),
}


@pytest.mark.parametrize("law", CURVES)
def test_a_law_of_one_column_is_drawn_over_it_with_its_band(law: str) -> None:
    column, title = CURVES[law]
    x = np.geomspace(1e7, 1e10, 9)
    noise = np.random.default_rng(2).normal(0, 0.01, 9)
    n, d = (x, np.full(9, 1e9)) if column == "N" else (np.full(9, 1e8), x)
    losses = (30 / x**0.2 if law == "kaplan-n" else 1.5 + 30 / x**0.2) + noise
    found = fit(Runs.from_arrays(n, d, losses), law=law)
    ax = found.plot.curve()
    assert ax.get_xlabel() == title
    seen, curve = line_named(ax, "runs"), line_named(ax, f"{law} law")
    np.testing.assert_allclose(np.sort(seen.get_xdata()), np.sort(found.runs.column(column)))
    np.testing.assert_allclose(
        np.interp(np.log(seen.get_xdata()), np.log(curve.get_xdata()), curve.get_ydata()), losses, atol=0.06
    )
    (band,) = [c for c in ax.collections if isinstance(c, FillBetweenPolyCollection)]
    edges = band.get_paths()[0].vertices
    assert np.ptp(edges[:, 1]) > np.ptp(curve.get_ydata())
    assert set(figures_of(analyse(found.runs, law=law))) == {"curve"}


def test_a_law_of_two_columns_is_no_curve(analysis: Analysis) -> None:
    with pytest.raises(UnsupportedError, match="chinchilla law is a function of N, D, no curve over one of N, D and C"):
        plot_curve(analysis.fit)


DRAWN = ("isoflop", "frontier", "residuals", "surface", "loss")
WIDTHS = (3.25, 3.5, 5.0, 6.75, 10.0)


def texts_of(figure: Any) -> list[Any]:
    from matplotlib.text import Text

    shown = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    # Ticks beyond the limits of an axis keep their labels, which nobody sees.
    hidden = {
        label
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not min(axis.get_view_interval()) * (1 - 1e-9)
        <= tick.get_loc()
        <= max(axis.get_view_interval()) * (1 + 1e-9)
    }
    return [t for t in shown if t not in hidden]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", DRAWN)
def test_no_text_leaves_the_canvas_at_any_width_of_a_paper(analysis: Analysis, name: str, width: float) -> None:
    with style(width=width):
        figure = figure_of(getattr(analysis.plot, name)())
        assert figure.get_figwidth() == width
        FigureCanvasAgg(figure).draw()
        inside = figure.bbox
        for text in texts_of(figure):
            box = text.get_window_extent()
            spare = (box.x0, box.y0, inside.x1 - box.x1, inside.y1 - box.y1)
            assert min(spare) > -1.0, (text.get_text(), spare)


def test_a_style_ends_with_its_block_and_refuses_what_cannot_be_read(analysis: Analysis) -> None:
    with style(width=3.25, font=6):
        assert line_size(analysis) == 6.0
    assert line_size(analysis) == 9.0
    for bad in (0.5, 100.0, float("nan")):
        with pytest.raises(UnsupportedError, match="2 to 40 inches"), style(width=bad):
            pass
    with pytest.raises(UnsupportedError, match="4 to 40 points"), style(width=3.25, font=1):
        pass


def line_size(analysis: Analysis) -> float:
    return float(plot_residuals(analysis).xaxis.get_ticklabels()[0].get_fontsize())


def test_the_map_shows_every_run_and_marks_what_was_asked_for(analysis: Analysis) -> None:
    ax = analysis.plot.surface()
    runs = analysis.fit.runs
    np.testing.assert_array_equal(runs_drawn(ax), np.column_stack([runs.N, runs.D]))
    texts = [t.get_text() for t in ax.texts]
    best = analysis.allocations[0]
    assert any(t.startswith(f"{format_count(best.params)} on {format_count(best.tokens)}") for t in texts)
    # A line of equal loss holds the loss that it is labelled with.
    lines = next(c for c in ax.collections if type(c).__name__ == "QuadContourSet")
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        if len(path.vertices):
            n, d = path.vertices[len(path.vertices) // 2]
            assert float(analysis.fit.surface.loss(n, d)) == pytest.approx(level, rel=2e-3)


def test_a_map_needs_a_law_of_both_columns(analyses: dict[str, Analysis]) -> None:
    with pytest.raises(UnsupportedError, match="needs a law of both"):
        analyses["approach2"].plot.surface()


def test_isoflop_against_tokens_shows_the_same_runs_from_the_other_side(analysis: Analysis) -> None:
    assert isinstance(analysis.fit, Fit)
    runs = analysis.fit.runs
    ax = plot_isoflop(analysis, x="tokens")
    np.testing.assert_array_equal(runs_drawn(ax), np.column_stack([runs.D, runs.L]))
    marked = line_named(ax, "VPNLS optimum")
    np.testing.assert_allclose(marked.get_xdata(), analysis.fit.surface.optimum(runs.budgets).tokens)
    assert ax.get_xlabel() == "Training tokens D"
    with pytest.raises(UnsupportedError, match="drawn against params or tokens, got 'flops'"):
        plot_isoflop(analysis, x="flops")


def test_loss_against_compute_has_the_best_loss_and_the_runs_held_out(analysis: Analysis) -> None:
    assert isinstance(analysis.fit, Fit)
    runs, surface = analysis.fit.runs, analysis.fit.surface
    ax = plot_loss(analysis)
    line = line_named(ax, "best loss, VPNLS")
    compute = np.asarray(line.get_xdata())
    # The best loss of a budget by brute force over sizes, not by the closed form that the line is drawn from.
    sizes = np.geomspace(1e5, 1e14, 200_001)
    for at in (3, 40, -1):
        lowest = surface.loss(sizes, compute[at] / (6 * sizes)).min()
        assert line.get_ydata()[at] == pytest.approx(lowest, rel=1e-8)
    table = loss_tables(analysis)["loss_runs"]
    held = table["held"] == 1
    assert 0 < held.sum() <= 0.3 * len(runs)
    assert runs.C[held].min() > runs.C[~held].max()
    before = line_named(ax, "fitted without them")
    alone = fit(runs.take(~held), method="vpnls", objective=analysis.fit.objective)
    np.testing.assert_allclose(before.get_ydata(), alone.surface.optimum(before.get_xdata()).loss)
    drawn = {c.get_label(): c.get_offsets() for c in ax.collections if str(c.get_label()).startswith("runs")}
    np.testing.assert_array_equal(drawn["runs held out"], np.column_stack([runs.C, runs.L])[held])
    np.testing.assert_array_equal(drawn["runs"], np.column_stack([runs.C, runs.L])[~held])


def test_loss_against_compute_needs_a_surface(analyses: dict[str, Analysis]) -> None:
    with pytest.raises(UnsupportedError, match="no loss at the optimum"):
        plot_loss(analyses["approach2"])
