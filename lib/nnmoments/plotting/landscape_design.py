"""Figures of chapter 7."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nnmoments.plotting.style import COLORS, axes, band, reference_slope

__all__ = ["empirical", "figure_3", "figure_4"]


def figure_3(laplace: pd.DataFrame, smooth: pd.DataFrame) -> Figure:
    """Figure 3 in four panels: as printed, sign corrected, rotated, and a smooth density instead."""
    figure, panels = axes(2, 2, height=2.4)
    titles = ("as printed", "sign corrected", "sign corrected, network rotated")
    shown = (("printed, lambda = 30", "printed, lambda = 1000"), ("sign corrected",), ("rotated",))
    for ax, title, variants in zip(panels, titles, shown, strict=False):
        for i, variant in enumerate(variants):
            label = variant.removeprefix("printed, ").replace("lambda", r"$\lambda$")
            for j, (_, row) in enumerate(laplace[laplace["variant"] == variant].iterrows()):
                text = (label if len(variants) > 1 else "to $A^*$") if j == 0 else None
                ax.plot(row["iteration"], np.maximum(row["error"], 1e-4), color=COLORS[i], label=text)
                if len(variants) == 1:
                    text = "to $A^*$, corrected" if j == 0 else None
                    ax.plot(
                        row["iteration"], np.maximum(row["corrected"], 1e-4), ":", color=COLORS[6], label=text
                    )
                if variant == "rotated":
                    text = "to the axes" if j == 0 else None
                    axis_error = np.maximum(row["to_axes"], 1e-4)
                    ax.plot(row["iteration"], axis_error, "--", color=COLORS[1], label=text)
        ax.set(yscale="log", ylim=(5e-5, 2.0), xlabel="iteration", ylabel="$e(A)$", title=title)
        ax.legend(loc="lower left")
    ax = panels[3]
    names = list(dict.fromkeys(smooth["method"]))
    for place, (name, color) in enumerate(zip(names, COLORS, strict=False)):
        errors = np.maximum(smooth[smooth["method"] == name]["error"], 1e-9)
        ax.plot(errors, np.full(len(errors), place), "o", color=color)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set(xscale="log", xlabel="$e(A)$", title="logistic input, network rotated")
    return figure


def figure_4(frame: pd.DataFrame) -> Figure:
    """Figure 4: errors of the end points by loss, for both inputs."""
    figure, panels = axes(1, 2, sharey=True)
    for ax, (density, part) in zip(panels, frame.groupby("density"), strict=True):
        names = list(dict.fromkeys(part["loss"]))
        for place, (name, color) in enumerate(zip(names, COLORS, strict=False)):
            errors = np.sort(part[part["loss"] == name]["error"])
            ax.plot(place + np.linspace(-0.25, 0.25, len(errors)), np.maximum(errors, 1e-6), "o", color=color)
            ax.plot([place - 0.3, place + 0.3], [np.median(errors)] * 2, color="black", linewidth=1.2)
        ax.set_xticks(range(len(names)), names)
        ax.set(yscale="log", title=f"{density} input")
    panels[0].set_ylabel("$e(A)$")
    return figure


def empirical(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Row error of the minimiser of the empirical loss against n."""
    figure, (ax,) = axes(1, 1, height=2.8)
    for frame, style, label in ((live, "-", "live run"), (stored, "--", "stored")):
        table = frame.pivot(index="n", columns="trial", values="error")
        band(ax, table.index, table.to_numpy(), label=label, linestyle=style)
    table = stored.pivot(index="n", columns="trial", values="error")
    reference_slope(ax, np.array(table.index), float(np.median(table.iloc[0])), -0.5, "$n^{-1/2}$")
    ax.set(xscale="log", yscale="log", xlabel="samples $n$", ylabel="worst row error")
    ax.legend()
    return figure
