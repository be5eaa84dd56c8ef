"""Figures of chapter 1."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from companion.figures.style import COLORS, axes, band, reference_slope
from nnmoments.validation import Array

__all__ = ["control_variates", "convergence", "defect", "one_identity", "row_spans"]

_NAMES = {
    "gaussian": "Gaussian",
    "mixture": "mixture",
    "logistic": "logistic",
    "student": "Student t",
    "plateau": "smoothed uniform",
}


def _curves(frame: pd.DataFrame, column: str) -> tuple[Array, Array]:
    """Return sizes (s,) and values (s, trials) of a column of lists."""
    return np.array(frame["n"].iloc[0]), np.array(frame[column].tolist()).T


def _logarithmic(ax: Axes, title: str, ylabel: str = "") -> None:
    ax.set(xscale="log", yscale="log", xlabel="samples $n$", ylabel=ylabel, title=title)


def _legend_below(figure: Figure, ax: Axes) -> None:
    """Put one legend for all panels under them, where it hides no curve."""
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=6)


def one_identity() -> Figure:
    """Draw the book's structure: one identity, four decoders."""
    figure, (ax,) = axes(height=2.9)
    ax.set_axis_off()
    ax.set(xlim=(0, 10), ylim=(0, 4.1))

    def box(x: float, y: float, w: float, h: float, text: str, color: str, size: float = 9.0) -> None:
        shape = FancyBboxPatch(
            (x, y), w, h, boxstyle="round,pad=0.06", facecolor=color + "1A", edgecolor=color, linewidth=1.3
        )
        ax.add_patch(shape)
        ax.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=size)

    def arrow(start: tuple[float, float], end: tuple[float, float]) -> None:
        style: dict[str, Any] = {"arrowstyle": "-|>", "color": "#555555", "linewidth": 1.0}
        ax.annotate("", xy=end, xytext=start, arrowprops=style)

    box(0.1, 3.0, 2.6, 0.8, "density of $x$\nknown, or estimated (ch. 6)", COLORS[6])
    box(3.3, 3.0, 3.4, 0.8, "score tensors\n$S_m(x) = (-1)^m\\nabla^m f(x)/f(x)$", COLORS[6])
    box(7.6, 3.0, 2.3, 0.8, "labelled samples\n$(x, y)$", COLORS[6])
    box(2.3, 1.6, 5.4, 0.8, "$T_m = E[y\\,S_m(x)] = E[\\nabla^m E[y\\,|\\,x]]$   (ch. 1)", COLORS[0], 10.5)
    decoders = [
        ("SA (ch. 2)\n$T_1 = B A_1$\nsparse rows by $\\ell_1$", COLORS[1]),
        ("ZS (ch. 3)\n$T_2, T_3, T_4$ on a subspace\njoint diagonalisation", COLORS[2]),
        ("GP (ch. 4, 5)\n$T_2, T_4$ along $z$\nminima of $G(z)$", COLORS[3]),
        ("GM (ch. 6, 7)\n$T_4(a_i, a_i, a_j, a_j)$\nminima of $L(A)$", COLORS[4]),
    ]
    for i, (text, color) in enumerate(decoders):
        box(0.1 + 2.5 * i, 0.1, 2.2, 1.0, text, color)
        arrow((5.0, 1.52), (1.2 + 2.5 * i, 1.2))
    arrow((2.8, 3.4), (3.2, 3.4))
    arrow((5.0, 2.92), (5.0, 2.5))
    arrow((8.7, 2.92), (7.6, 2.5))
    return figure


def convergence(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Relative error of T_1..T_4 against n: the live run and the paper-size result."""
    figure, panels = axes(1, 2, sharey=True)
    for ax, frame, title in zip(
        panels, (live, stored), ("live run", f"stored, {stored['trial'].nunique()} trials"), strict=True
    ):
        for order, group in frame.groupby("order"):
            n, errors = _curves(group, "error")
            band(ax, n, errors, label=f"$T_{order}$")
            reference_slope(ax, n, float(np.median(errors[0])), -0.5, "$n^{-1/2}$" if order == 4 else "")
        _logarithmic(ax, title)
    panels[0].set_ylabel(r"$\|\hat T_m - T_m\| \,/\, \|T_m\|$")
    _legend_below(figure, panels[0])
    return figure


def defect(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Stein defect against n for the true score and for a matched Gaussian's."""
    figure, panels = axes(1, 2, sharey=True)
    titles = {"true": "true score", "gaussian": "score of the matched Gaussian"}
    for ax, (score, title) in zip(panels, titles.items(), strict=True):
        for color, (density, name) in zip(COLORS, _NAMES.items(), strict=False):
            for frame, style in ((live, "-"), (stored, "--")):
                group = frame[(frame["density"] == density) & (frame["score"] == score)]
                n, values = _curves(group, "defect")
                label = name if style == "-" else None
                band(ax, n, values, label=label, color=color, linestyle=style)
        n, values = _curves(stored[stored["score"] == "true"], "defect")
        reference_slope(ax, n, float(np.median(values[0])), -0.5, "$n^{-1/2}$")
        _logarithmic(ax, title)
    panels[0].set_ylabel(r"$\|\hat E[g\,S_1 - \nabla g]\| \,/\, \|\hat E\,\nabla g\|$")
    _legend_below(figure, panels[0])
    return figure


def row_spans(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Largest principal angle to the row span of A_1, and the price of projecting on the estimate."""
    figure, panels = axes(1, 2)
    for color, density in zip(COLORS, ("gaussian", "mixture", "logistic", "student"), strict=False):
        for frame, style in ((live, "-"), (stored, "--")):
            group = frame[(frame["density"] == density) & (frame["link"] == "softmax")]
            label = _NAMES[density] if style == "-" else None
            for ax, column in zip(panels, ("angle", "loss"), strict=True):
                n, values = _curves(group, column)
                band(ax, n, values, label=label, color=color, linestyle=style)
    for ax, column in zip(panels, ("angle", "loss"), strict=True):
        n, values = _curves(stored[stored["link"] == "softmax"], column)
        reference_slope(ax, n, float(np.median(values[0])), -0.5, "$n^{-1/2}$")
    _logarithmic(panels[0], "angle between the spans", "largest principal angle (rad)")
    _logarithmic(panels[1], "prediction from the projection", "mean total variation")
    _legend_below(figure, panels[0])
    return figure


def control_variates(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Errors with and without control variates, and the variance ratio by order."""
    figure, panels = axes(1, 2)
    for color, (order, group) in zip(COLORS, stored.groupby("order"), strict=False):
        for column, style in (("plain", "-"), ("controlled", "--")):
            table = group.pivot(index="n", columns="trial", values=column)
            label = f"$T_{order}$" if column == "plain" else None
            band(panels[0], table.index, table.to_numpy(), label=label, color=color, linestyle=style)
    _logarithmic(panels[0], "plain (solid), controlled (dashed)", "relative error")
    panels[0].legend(loc="lower left")
    for shift, frame, name, color in (
        (-0.15, live, "live run", COLORS[5]),
        (0.15, stored, "stored", COLORS[0]),
    ):
        ratios = [2.0 * np.log(group["plain"] / group["controlled"]) for _, group in frame.groupby("order")]
        centre = np.array([r.mean() for r in ratios])
        half = np.array([3.0 * r.std(ddof=1) / np.sqrt(len(r)) for r in ratios])
        panels[1].bar(
            np.arange(1, 4) + shift,
            np.exp(centre),
            0.28,
            yerr=[np.exp(centre) - np.exp(centre - half), np.exp(centre + half) - np.exp(centre)],
            color=color,
            label=name,
            capsize=2.5,
        )
    panels[1].set(
        xticks=[1, 2, 3],
        xticklabels=["$T_1$", "$T_2$", "$T_3(V,V,V)$"],
        yscale="log",
        ylabel="variance ratio",
        title="samples saved (factor)",
    )
    panels[1].axhline(1.0, color="black", linewidth=0.8)
    panels[1].legend(loc="upper left")
    return figure
