"""Figures on the doubly robust moment, chapter 1."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from companion.figures.style import COLORS, axes, band, reference_slope

__all__ = ["efficiency"]

_SURROGATES = ("plain", "degree < m", "degree m", "chosen degree", "features", "network")
_UNITS = {"relu": "ReLU", "squared_relu": "ReLU$^2$", "relu at 2": "ReLU at 2"}


def efficiency(table: pd.DataFrame, noise_free: pd.DataFrame) -> Figure:
    """Draw squared errors over the limit by setting, and errors without noise against n."""
    figure, panels = axes(1, 2, height=3.9)
    shown = table.reset_index()
    shown = shown[shown["noise"] == 0.1]
    keys = ["setting", "order", "activation", "n"]
    settings: list[Any] = list(shown.groupby(keys, sort=False).groups)
    for color, name in zip(COLORS, _SURROGATES, strict=False):
        rows = shown[shown["surrogate"] == name].set_index(keys)
        panels[0].plot(rows.loc[settings, "mean"], np.arange(len(settings)), "o", color=color, label=name)
    labels = [f"{paper} $T_{m}$, {_UNITS.get(unit, unit)}, {n // 1000}k" for paper, m, unit, n in settings]
    panels[0].set(xscale="log", yticks=range(len(settings)), yticklabels=labels, title="label noise 0.1")
    panels[0].set_xlabel("mean squared error over the limit")
    panels[0].axvline(1.0, color="#555555", linewidth=0.8)
    sizes = np.array(noise_free["n"].iloc[0])
    for color, name in zip(COLORS, _SURROGATES, strict=False):
        errors = noise_free.loc[noise_free["surrogate"] == name, "error"].tolist()
        if errors:
            band(panels[1], sizes, np.array(errors).T, label=name, color=color)
    reference_slope(panels[1], sizes, 0.3, -0.5, "$n^{-1/2}$")
    panels[1].set(xscale="log", yscale="log", xlabel="samples $n$", title="labels without noise")
    panels[1].set_ylabel("relative error of $T_2$")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
