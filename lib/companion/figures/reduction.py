"""Figures of chapter 8."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.figures.style import COLORS, axes

__all__ = ["angles", "coverage", "p_values", "real_data"]

_METHODS = {
    "moments": "moments",
    "ols": "least squares",
    "sir": "SIR",
    "save": "SAVE",
    "phd": "PHD",
    "pls": "PLS",
    "all inputs": "all inputs",
}
_INPUTS = {
    "gaussian": "Gaussian",
    "student": "Student t, elliptical",
    "skewed": "skewed",
    "mixture": "mixture",
}


def _dots(ax: Axes, frame: pd.DataFrame, by: str, methods: list[str], **style: Any) -> None:
    """Draw each method's mean with two standard errors, side by side for each value of a column."""
    values = list(dict.fromkeys(frame[by]))
    for i, method in enumerate(methods):
        groups = [frame[frame[by] == value][method] for value in values]
        mean = np.array([group.mean() for group in groups])
        error = np.array([2.0 * group.std(ddof=1) / np.sqrt(len(group)) for group in groups])
        place = np.arange(len(values)) + (i - (len(methods) - 1) / 2.0) * 0.12
        color = COLORS[i % len(COLORS)]
        ax.errorbar(place, mean, yerr=error, color=color, linestyle="none", label=_METHODS[method], **style)
    ax.set(xticks=range(len(values)), xticklabels=[str(value).replace(" ", "\n", 1) for value in values])


def angles(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Largest principal angle to the truth, by inputs, link and method."""
    figure, panels = axes(2, 2, sharey=True, height=2.3)
    methods = [method for method in _METHODS if method in stored]
    for ax, (density, name) in zip(panels, _INPUTS.items(), strict=True):
        for frame, n, style in (
            (stored, 2000, {"marker": "o"}),
            (stored, 500, {"marker": "o", "fillstyle": "none"}),
            (live, 500, {"marker": "x", "elinewidth": 0.0}),
        ):
            part = frame[(frame["density"] == density) & (frame["n"] == n)]
            _dots(ax, part, "link", methods, **style)
        ax.set(yscale="log", title=name)
    for ax in panels[::2]:
        ax.set_ylabel("angle to the truth (rad)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles[: len(methods)], labels[: len(methods)], loc="outside lower center", ncols=6)
    return figure


def p_values(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Share of p-values below each level, where the hypothesis is true and where it is not."""
    figure, (ax,) = axes(height=2.8)
    colors = iter(COLORS)
    for key, group in stored.groupby(["directions", "density"]):
        directions, density = np.asarray(key)
        name = f"{directions} of {directions}, {_INPUTS[str(density)]}"
        _steps(ax, group["p_value"], color=next(colors), label=name)
    wrong = live[live["directions"] > live["tested"]]
    _steps(ax, wrong["p_value"], color="black", label="1 of 2 (live)", linestyle="--")
    ax.plot([0.0, 0.3], [0.0, 0.3], color="black", linestyle=":", linewidth=1.2)
    ax.set(xlim=(0.0, 0.3), ylim=(0.0, 1.02), xlabel="level", ylabel="share rejected")
    ax.legend(loc="center right")
    return figure


def _steps(ax: Axes, p_values: pd.Series, **style: Any) -> None:
    levels = np.sort(p_values)
    ax.step(levels, np.arange(1, len(levels) + 1) / len(levels), where="post", **style)


def coverage(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Coverage of 95 % intervals of average derivatives, by order, inputs and method."""
    figure, panels = axes(1, 2, sharey=True)
    for ax, order in zip(panels, (1, 2), strict=True):
        for i, (method, color) in enumerate(zip(("doubly robust", "plain"), COLORS, strict=False)):
            for frame, marker in ((stored, "o"), (live, "x")):
                part = frame[frame["method"] == method]
                groups = [part[part["density"] == density][f"covered_{order}"] for density in _INPUTS]
                mean = [group.mean() for group in groups]
                error = [2.0 * group.std(ddof=1) / np.sqrt(len(group)) for group in groups]
                label = method if marker == "o" else None
                place = np.arange(len(mean)) + 0.2 * i - 0.1
                width = 1.2 if marker == "o" else 0.0
                ax.errorbar(
                    place,
                    mean,
                    error,
                    color=color,
                    marker=marker,
                    linestyle="none",
                    label=label,
                    elinewidth=width,
                )
        ax.axhline(0.95, color="black", linewidth=0.8, linestyle=":")
        ax.set(xticks=range(len(_INPUTS)), title=f"$T_{order}$")
        ax.set_xticklabels(["Gaussian", "Student t", "skewed", "mixture"])
    panels[0].set_ylabel("share of truths held")
    panels[0].legend(loc="lower left")
    return figure


def real_data(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Held-out error after reduction to one and two directions, by data set and method."""
    data = list(dict.fromkeys(stored["data"]))
    figure, panels = axes(1, len(data))
    methods = [method for method in _METHODS if method in stored]
    for ax, name in zip(panels, data, strict=True):
        _dots(ax, stored[stored["data"] == name], "components", methods, marker="o")
        _dots(ax, live[live["data"] == name], "components", methods, marker="x", elinewidth=0.0)
        ax.set(title=name, xlabel="directions", ylim=(0.0, None))
    panels[0].set_ylabel("held-out error over the null's")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles[: len(methods)], labels[: len(methods)], loc="outside lower center", ncols=7)
    return figure
