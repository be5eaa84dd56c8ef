"""Figures of chapter 7."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.figures.style import COLORS, axes, band, reference_slope
from nnmoments.validation import Array

__all__ = ["control_variates", "empirical", "end_points", "figure_3", "figure_4", "initialisers", "rivals"]

_FLOOR = 1e-16  # errors at rounding, on logarithmic axes


def _strip(ax: Axes, place: float, values: npt.ArrayLike, color: str, *, filled: bool = True) -> None:
    """Draw values along x as dots spread a little around y = place."""
    values = np.sort(np.maximum(np.asarray(values, dtype=float), _FLOOR))
    spread = 0.13 * np.cos(2.4 * np.arange(len(values)))  # an irregular spread without chance
    ax.plot(values, place + spread, "o", color=color, markersize=3, mfc=color if filled else "white")


def _categories(ax: Axes, names: Sequence[str]) -> None:
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)


def end_points(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Where descents on the exact loss end, and how curved its saddles are."""
    figure, (left, right) = axes(1, 2, height=2.6, width_ratios=(3, 2))
    names = ("$k = d$", "$k < d$", "$k < d$, projected")
    for frame, shift, filled in ((stored, -0.18, True), (live, 0.18, False)):
        full = frame["k"] == frame["d"]
        groups = (frame[full]["error"], frame[~full]["error"], frame[~full]["projected_error"])
        for i, values in enumerate(groups):
            _strip(left, i + shift, values, COLORS[0] if filled else COLORS[1], filled=filled)
    _categories(left, names)
    left.set(xscale="log", xlabel="$e(A)$ at the end point", xlim=(3e-17, 3.0))
    left.plot([], [], "o", color=COLORS[0], label="stored")
    left.plot([], [], "o", color=COLORS[1], mfc="white", label="live")
    left.legend(loc="lower right")
    for frame, color, label in ((stored, COLORS[0], "stored"), (live, COLORS[1], "live")):
        depths = np.sort(-frame[frame["saddle"] > 0]["curvature"])
        share = np.arange(1, len(depths) + 1) / len(depths)
        right.step(depths, share, where="post", color=color, label=label)
    right.axvline(1.0, color="black", linestyle=":", linewidth=1.2)
    right.text(1.3, 0.5, r"$\tau$ of the theorem", rotation=90, va="center")
    right.set(xscale="log", xlabel=r"$-\lambda_{\min}/\tau$ at saddles", ylabel="share of saddles")
    right.legend(loc="upper left", bbox_to_anchor=(0.12, 1.0))
    return figure


def _decimals(ax: Axes, ticks: tuple[float, ...]) -> None:
    """Label a logarithmic axis of errors at those of a few plain numbers that lie within it."""
    low, high = ax.get_ylim()
    shown = [t for t in ticks if low <= t <= high]
    ax.set_yticks(shown, [f"{t:g}" for t in shown])
    ax.set_yticks([], minor=True)


def empirical(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Row error of the minimiser of the empirical loss against n."""
    figure, (ax,) = axes(1, 1, height=2.8)
    for frame, style, label in ((live, "--", "live run"), (stored, "-", "stored")):
        table = frame.pivot(index="n", columns="trial", values="error")
        band(ax, table.index, table.to_numpy(), label=label, linestyle=style)
    table = stored.pivot(index="n", columns="trial", values="error")
    reference_slope(ax, np.array(table.index), float(np.median(table.iloc[0])), -0.5, "$n^{-1/2}$")
    ax.set(xscale="log", yscale="log", xlabel="samples $n$", ylabel="worst row error")
    _decimals(ax, (0.02, 0.05, 0.1, 0.2))
    ax.legend()
    return figure


def _curves(
    ax: Axes, frame: pd.DataFrame, variant: str, column: str, color: str, *, label: str, thin: bool
) -> None:
    for i, (_, row) in enumerate(frame[frame["variant"] == variant].iterrows()):
        x, y = np.maximum(row["iteration"], 1), np.maximum(row[column], 1e-4)
        shown = None if thin or i else label
        if len(x) == 1:
            ax.plot(
                x, y, "x", color=color, markersize=4 if thin else 7, label=shown, alpha=0.5 if thin else 1
            )
        else:
            width, alpha = (0.8, 0.5) if thin else (1.8, 1.0)
            ax.plot(x, y, color=color, linewidth=width, alpha=alpha, label=shown)


def figure_3(
    live: pd.DataFrame, stored: pd.DataFrame, smooth: pd.DataFrame, smooth_stored: pd.DataFrame
) -> Figure:
    """Figure 3 in four panels: as printed, sign corrected, rotated, and a smooth density instead."""
    figure, panels = axes(2, 2, height=2.7)
    panels_of = {
        "as printed, $A^* = I$": (
            ("L, lambda = 30", "error", r"$L$, $\lambda = 30$: diverges"),
            ("L, lambda = 1000", "error", r"$L$, $\lambda = 1000$: diverges"),
            ("L, lambda = 4000", "error", r"$L$, $\lambda = 4000$"),
            ("G", "error", "$G$: diverges"),
            ("square loss", "error", "square loss"),
        ),
        "sign corrected, $A^* = I$": (
            ("sign corrected", "error", "$e(A)$ as printed"),
            ("sign corrected", "corrected", "$e(A)$ corrected"),
        ),
        "sign corrected, $A^*$ rotated": (
            ("rotated", "error", "to $A^*$"),
            ("rotated", "to_axes", "to the axes"),
        ),
    }
    for ax, (title, curves) in zip(panels, panels_of.items(), strict=False):
        for color, (variant, column, label) in zip(COLORS, curves, strict=False):
            for frame, thin in ((live, True), (stored, False)):
                _curves(ax, frame, variant, column, color, label=label, thin=thin)
        ax.set(xscale="log", yscale="log", ylim=(1e-4, 2.0), xlabel="iteration", ylabel="$e(A)$", title=title)
        ax.legend(loc="lower left")
    ax = panels[3]
    names = list(dict.fromkeys(smooth_stored["method"]))
    sizes = sorted(smooth_stored["n"].unique())
    for i, name in enumerate(names):
        for n, shift, color in zip(sizes, (0.0, -0.28), COLORS, strict=False):
            chosen = smooth_stored[(smooth_stored["method"] == name) & (smooth_stored["n"] == n)]
            _strip(ax, i + shift, chosen["error"], color)
        _strip(ax, i + 0.28, smooth[smooth["method"] == name]["error"], COLORS[0], filled=False)
    _categories(ax, names)
    ax.axvline(0.01, color="black", linestyle=":", linewidth=1.2)
    ax.set(xscale="log", xlabel="$e(A)$", title="smooth input, $A^*$ rotated")
    for n, color in zip(sizes, COLORS, strict=False):
        ax.plot([], [], "o", color=color, label=f"n = {n:,}")
    ax.plot([], [], "o", color=COLORS[0], mfc="white", label="live")
    ax.legend(loc="upper left")
    return figure


_DENSITY_TITLES = {
    "gaussian": "Gaussian, $A^* = I$",
    "mixture": r"mixture, means $\pm(1, 1)$, $A^* = I$",
    "close mixture": r"means $\pm(.5, .5)$, $A^*$ rotated",
}


def figure_4(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Figure 4 and a third input: learning curves, and errors of the end points."""
    figure, panels = axes(2, 3, sharey="row", height=2.3)
    for column, (density, title) in enumerate(_DENSITY_TITLES.items()):
        top, bottom = panels[column], panels[3 + column]
        part = stored[stored["density"] == density]
        names = list(dict.fromkeys(part["loss"]))
        for i, (name, color) in enumerate(zip(names, COLORS, strict=False)):
            chosen = part[part["loss"] == name]
            curves = np.maximum(np.array(chosen["curve"].tolist()).T, 1e-4)
            x = np.array(chosen["iteration"].iloc[0])
            top.plot(x, np.median(curves, axis=1), color=color, label=name)
            top.fill_between(
                x, *np.quantile(curves, (0.1, 0.9), axis=1), color=color, alpha=0.15, linewidth=0
            )
            fresh = live[(live["density"] == density) & (live["loss"] == name)]
            for errors, shift, filled in ((chosen["error"], -0.17, True), (fresh["error"], 0.2, False)):
                values = np.sort(np.maximum(errors, 1e-5))
                place = i + shift + 0.1 * np.cos(2.4 * np.arange(len(values)))
                bottom.plot(place, values, "o", color=color, markersize=3, mfc=color if filled else "white")
            median = np.median(chosen["error"])
            bottom.plot([i - 0.35, i + 0.05], [median] * 2, color="black", linewidth=1.2)
        top.set(yscale="log", title=title, xlabel="iteration", ylim=(1e-4, 1.5))
        bottom.set_xticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
        bottom.set(yscale="log", xlim=(-0.6, len(names) - 0.4))
        bottom.grid(axis="x", visible=False)
    panels[0].set_ylabel("$e(A)$")
    panels[3].set_ylabel("$e(A)$, end points")
    panels[0].legend(loc="lower left")
    return figure


def rivals(stored: pd.DataFrame, costs: pd.DataFrame) -> Figure:
    """Errors of single starts in the largest dimension, and the processor time of one success in all."""
    figure, (left, right) = axes(1, 2, height=2.8, width_ratios=(3, 2))
    names = {
        "L, 0.3": r"$L$, $\mu = 0.3$",
        "L, 0.01": r"$L$, $\mu = 0.01$",
        "many": "random, 20,000 samples",
        "few": "random, 2000 samples",
    }
    largest = stored[stored["d"] == stored["d"].max()]
    for i, (way, color) in enumerate(zip(names, COLORS, strict=False)):
        errors = largest[f"{way}, then square"]
        _strip(left, i, np.concatenate([np.atleast_1d(e) for e in errors]), color)
        part = costs[costs["way"] == way]
        right.plot(part["d"], part["seconds"], "o-", color=color, label=names[way])
    _categories(left, list(names.values()))
    left.set(xscale="log", xlabel=f"$e(A)$ after the square loss, $d = {largest['d'].iloc[0]}$")
    right.set(yscale="log", xlabel="$d$", ylabel="processor seconds per success")
    right.set_xticks(sorted(costs["d"].unique()))
    return figure


def control_variates(live: pd.DataFrame, stored: pd.DataFrame, earlier: dict[str, Array]) -> Figure:
    """Factor of samples that control variates save, for the moment of each decoder."""
    figure, (ax,) = axes(1, 1, height=3.0)
    names = list(dict.fromkeys(stored["decoder"]))
    for i, ratios in enumerate(earlier.values()):
        _strip(ax, i, ratios, COLORS[6])
    for i, name in enumerate(names, start=len(earlier)):
        _strip(ax, i - 0.15, stored[stored["decoder"] == name]["ratio"], COLORS[0])
        _strip(ax, i + 0.18, live[live["decoder"] == name]["ratio"], COLORS[1], filled=False)
    _categories(ax, [*earlier, *names])
    ax.axvline(1.0, color="black", linestyle=":", linewidth=1.2)
    ax.set(xscale="log", xlabel="samples saved (factor)")
    ax.plot([], [], "o", color=COLORS[6], label="chapters 1 and 2")
    ax.plot([], [], "o", color=COLORS[0], label="stored")
    ax.plot([], [], "o", color=COLORS[1], mfc="white", label="live")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def initialisers(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Test error against training steps from each initialiser, on each data set."""
    sets = list(dict.fromkeys(stored["data"]))
    figure, panels = axes(1, len(sets), height=2.8)
    for ax, data in zip(panels, sets, strict=True):
        names = list(dict.fromkeys(stored["initialiser"]))
        for name, color in zip(names, COLORS, strict=False):
            chosen = stored[(stored["data"] == data) & (stored["initialiser"] == name)]
            band(
                ax,
                chosen["steps"].iloc[0],
                np.array(chosen["test"].tolist()).T,
                label=name,
                color=color,
                quantiles=(0.25, 0.75),
            )
            fresh = live[(live["data"] == data) & (live["initialiser"] == name)]
            if len(fresh):
                median = np.median(fresh["test"].tolist(), axis=0)
                ax.plot(fresh["steps"].iloc[0], median, "o", color=color, mfc="white", linestyle="none")
        ax.set(xscale="log", yscale="log", xlabel="steps of L-BFGS", title=data)
        _decimals(ax, (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))
    panels[0].set_ylabel("test error")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure
