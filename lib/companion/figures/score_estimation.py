"""Figures of chapter 6."""

from fractions import Fraction

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from companion.figures.style import COLORS, axes, band, reference_slope
from nnmoments.validation import Array

__all__ = ["NAMES", "bandwidth_rules", "degrees", "error_percentiles", "estimators", "limits", "rates"]

#: What figure and table call the methods whose names are formulas.
NAMES = {
    "GM (14), (15), h = n^(-1/8)": "as printed, $h = n^{-1/8}$",
    "LLSFE, h = 2 n^(-1/8)": "LLSFE, $h = 2 n^{-1/8}$",
}

_NORMS = {"S2": r"$\|\hat S_2 - S_2\|_{sp}$", "S4": r"$\|\hat S_4 - S_4\|_F$"}


def _sizes(ax: Axes, sizes: Array) -> None:
    """Label a logarithmic axis of sample sizes at powers of ten only."""
    low, high = np.log10(sizes.min()), np.log10(sizes.max())
    shown = 10.0 ** np.arange(np.ceil(low), np.floor(high) + 1)
    ax.set_xscale("log")
    ax.set_xticks(shown, [f"$10^{{{round(np.log10(n))}}}$" for n in shown])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("samples $n$")


def _decimals(ax: Axes, ticks: tuple[float, ...]) -> None:
    """Label a logarithmic axis of errors at a few plain numbers."""
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_yticks([], minor=True)


def rates(
    live: pd.DataFrame, stored: pd.DataFrame, widths: tuple[float, ...], exponents: pd.DataFrame
) -> Figure:
    """Bias and spread against h for p = 4 and every order, with the lines that theory predicts."""
    figure, panels = axes(1, 2, height=3.2)
    largest = stored[stored["n"] == stored["n"].max()]
    rows = exponents[exponents["p"] == 4].set_index("m")
    for ax, name in zip(panels, ("bias", "spread"), strict=True):
        theory = rows["bias: symmetric" if name == "bias" else "spread: theory"]
        for color, m in zip(COLORS, rows.index, strict=False):
            found, crosses = (
                np.median(np.array(frame.loc[frame["degree"] == 4, name].tolist())[:, :, m - 1], axis=0)
                for frame in (largest, live)
            )
            bias, spread = (Fraction(rows[name][m]) for name in ("bias: symmetric", "spread: theory"))
            powers = f"bias $h^{{{bias}}}$, spread $h^{{{spread}}}$"
            ax.plot(widths, found, marker="o", color=color, label=f"$m = {m}$: {powers}")
            ax.plot(widths, crosses, "x", color=color, markersize=6)
            # The bias has its exponent as h falls, the spread as samples abound: anchor each at that end.
            start = found[0] if name == "bias" else found[-1] * (widths[0] / widths[-1]) ** theory[m]
            reference_slope(ax, widths, start, theory[m], "")
        ax.set(xscale="log", yscale="log", xlabel="bandwidth $h$", title=f"{name} of order $m$, $p = 4$")
        ax.set_xticks(widths, [f"{h:g}" for h in widths])
        ax.set_xticks([], minor=True)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def error_percentiles(live: pd.DataFrame, stored: pd.DataFrame, density: str) -> Figure:
    """Percentiles of the errors of S_2 and S_4: Figure 1 (Gaussian) or 2 (mixture)."""
    figure, panels = axes(1, 2, height=2.8)
    for ax, name in zip(panels, ("S2", "S4"), strict=True):
        for frame, style, marker in ((stored, "-", ""), (live, "none", "o")):
            part = frame[frame["density"] == density].sort_values("n")
            values = np.array(part[name].tolist())
            for column, (color, label) in enumerate(zip(COLORS, ("95", "75", "50", "25", "5"), strict=False)):
                text = f"{label} %" if style == "-" else None
                y = values[:, column]
                ax.plot(part["n"], y, linestyle=style, color=color, marker=marker, label=text)
        ax.set(yscale="log", title=_NORMS[name])
        _sizes(ax, np.array([100, 10_000]))
        ax.set_xlim(150, 13_000)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", title="percentile")
    return figure


def bandwidth_rules(table: pd.DataFrame, printed: dict[str, tuple[float, float]]) -> Figure:
    """Slopes of the median errors under every rule, S_4 against S_2, with the printed pair."""
    figure, panels = axes(1, 2, height=3.6)
    families = {
        "fixed": ~table.index.str.contains(r"n\^|neighbour"),
        "$c\\, n^{-1/10}$": table.index.str.contains("1/10"),
        "$c\\, n^{-1/8}$ (Remark 1)": table.index.str.contains("1/8"),
        "$c\\, n^{-1/6}$": table.index.str.contains("1/6"),
        "nearest neighbours": table.index.str.contains("neighbour"),
    }
    for ax, (density, pair) in zip(panels, printed.items(), strict=True):
        for (label, chosen), color, marker in zip(families.items(), COLORS, "o^sDv", strict=False):
            part = table[chosen]
            line = "" if "neighbours" in label else "-"
            ax.plot(
                part[f"{density} S2"],
                part[f"{density} S4"],
                line,
                linewidth=0.8,
                marker=marker,
                color=color,
                label=label,
            )
        ax.plot(*pair, marker="*", markersize=10, color="black", linestyle="", label="printed", zorder=3)
        ax.add_patch(_square(pair))
        title = "Gaussian input" if density == "gaussian" else "mixture"
        edges: dict[str, tuple[float, float]] = (
            {"xlim": (-0.56, -0.02), "ylim": (-0.56, -0.06)}
            if density == "gaussian"
            else {"xlim": (-0.44, 0.01), "ylim": (-0.34, 0.0)}
        )
        ax.set(xlabel="slope of order 2", ylabel="slope of order 4", title=title, **edges)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _square(centre: tuple[float, float]) -> Rectangle:
    """The rules whose two slopes are both within 0.03 of the printed ones."""
    corner = (centre[0] - 0.03, centre[1] - 0.03)
    return Rectangle(corner, 0.06, 0.06, fill=False, edgecolor="black", linewidth=0.8, zorder=3)


def limits(table: pd.DataFrame) -> Figure:
    """Relative errors that degree 2 keeps on the mixture however many samples, against h."""
    figure, (ax,) = axes(height=2.6)
    for name, color in (("S2", COLORS[0]), ("S4", COLORS[1])):
        ax.plot(table["h"], table[name], marker="o", color=color, label=f"order {name[1]}, all points")
        central = table[f"{name} central"]
        ax.plot(
            table["h"],
            central,
            marker="s",
            linestyle="--",
            color=color,
            label=f"order {name[1]}, central 95 %",
        )
    ax.set(xlabel="bandwidth $h$", ylabel="relative error, $n = \\infty$", ylim=(0.0, None), xlim=(0.0, None))
    figure.legend(loc="outside right center")
    return figure


def degrees(live: pd.DataFrame, stored: pd.DataFrame, floor: float) -> Figure:
    """Relative errors of S_2 and S_4 at central points against n, with degree 2's least limit."""
    figure, panels = axes(1, 2, height=2.8)
    for ax, name in zip(panels, ("S2", "S4"), strict=True):
        for color, degree in zip(COLORS, (2, 4), strict=False):
            column = f"{name} central"
            table = stored[stored["degree"] == degree].pivot(index="n", columns="trial", values=column)
            band(ax, table.index, table.to_numpy(), label=f"$p = {degree}$", color=color)
            part = live[live["degree"] == degree].groupby("n")[column].median()
            ax.plot(part.index, part, "x", color=color, markersize=6, markeredgewidth=1.6)
        ax.set(yscale="log", title=f"order {name[1]}")
        _sizes(ax, np.unique(stored["n"]))
    panels[1].axhline(floor, color="black", linestyle=":", linewidth=1.2, label="least limit of $p = 2$")
    for ax, ticks in zip(panels, ((0.1, 0.2, 0.3, 0.4), (0.3, 0.4, 0.5, 0.6, 0.7)), strict=True):
        _decimals(ax, ticks)
    panels[0].set_ylabel("relative error")
    panels[1].legend(loc="lower left")
    return figure


def estimators(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Relative error of S_1 and S_4 against n, one line a method."""
    figure, panels = axes(1, 2, height=3.0)
    for ax, name in zip(panels, ("S1", "S4"), strict=True):
        for color, method in zip(COLORS, stored["method"].unique(), strict=False):
            table = stored[stored["method"] == method].pivot(index="n", columns="trial", values=name)
            if table.notna().to_numpy().all():
                band(ax, table.index, table.to_numpy(), label=NAMES.get(method, method), color=color)
                part = live.loc[live["method"] == method].groupby("n")[name].median()
                ax.plot(part.index, part, "x", color=color, markersize=6, markeredgewidth=1.6)
        ax.set(yscale="log", title=f"order {name[1]}")
        _sizes(ax, np.unique(stored["n"]))
    panels[1].set_ylim(0.08, 3.0)
    for ax, ticks in zip(panels, ((0.03, 0.05, 0.1, 0.2, 0.3, 0.5), (0.1, 0.2, 0.5, 1.0, 2.0)), strict=True):
        _decimals(ax, ticks)
    panels[0].set_ylabel("relative error")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
