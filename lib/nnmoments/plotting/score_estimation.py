"""Figures of chapter 6."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nnmoments.plotting.style import COLORS, axes, band, reference_slope

__all__ = ["degrees", "error_percentiles", "estimators"]


def error_percentiles(live: pd.DataFrame, stored: pd.DataFrame, density: str) -> Figure:
    """Percentiles of the errors of S_2 and S_4: Figure 1 (Gaussian) or 2 (mixture)."""
    figure, panels = axes(1, 2)
    for ax, name, norm in zip(panels, ("S2", "S4"), ("_{sp}", "_F"), strict=True):
        for frame, style, marker in ((stored, "-", ""), (live, "", "o")):
            part = frame[frame["density"] == density].sort_values("n")
            values = np.array(part[name].tolist())
            for column, (color, label) in enumerate(zip(COLORS, ("95", "75", "50", "25", "5"), strict=False)):
                text = f"{label} %" if style else None
                ax.plot(part["n"], values[:, column], style, color=color, marker=marker, label=text)
        ax.set(
            xscale="log",
            yscale="log",
            xlabel="samples $n$",
            ylabel=rf"$\|\hat{{S}}_{name[1]} - S_{name[1]}\|{norm}$",
            title=f"order {name[1]}",
        )
    panels[1].legend(loc="upper right", title="percentile")
    return figure


def degrees(live: pd.DataFrame, stored: pd.DataFrame, floor: float) -> Figure:
    """Relative errors of S_2 and S_4 against n for degrees 2 and 4, with degree 2's floor."""
    figure, panels = axes(1, 2)
    for ax, name in zip(panels, ("S2", "S4"), strict=True):
        for color, degree in zip(COLORS, (2, 4), strict=False):
            for frame, style in ((live, "-"), (stored, "--")):
                table = frame[frame["degree"] == degree].pivot(index="n", columns="trial", values=name)
                label = f"$p = {degree}$" if style == "-" else None
                band(ax, table.index, table.to_numpy(), label=label, color=color, linestyle=style)
        ax.set(xscale="log", yscale="log", xlabel="samples $n$", title=f"order {name[1]}")
    panels[1].axhline(floor, color="black", linestyle=":", linewidth=1.2, label="limit of $p = 2$")
    panels[0].set_ylabel("relative error")
    panels[1].legend(loc="upper right")
    return figure


def estimators(stored: pd.DataFrame) -> Figure:
    """Relative error of S_1 and S_4 against n, one line a method."""
    figure, panels = axes(1, 2, height=2.9)
    for ax, name in zip(panels, ("S1", "S4"), strict=True):
        for color, (method, part) in zip(COLORS, stored.groupby("method", sort=False), strict=False):
            table = part.pivot(index="n", columns="trial", values=name)
            if table.notna().to_numpy().all():
                band(ax, table.index, table.to_numpy(), label=str(method), color=color)
        sizes = np.unique(stored["n"])
        ax.set(xscale="log", yscale="log", xlabel="samples $n$", title=f"order {name[1]}")
        ax.set_xticks(sizes, [f"{n:,}" for n in sizes], minor=False)
        ax.minorticks_off()
    anchor = float(stored[stored["method"] == "two-component mixture"].groupby("n")["S1"].median().iloc[0])
    reference_slope(panels[0], np.unique(stored["n"]), anchor, -0.5, "$n^{-1/2}$")
    panels[0].set_ylabel("relative error")
    panels[0].legend(loc="lower left", fontsize=6.5)
    return figure
