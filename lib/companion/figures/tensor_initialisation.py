"""Figures of chapter 3."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from companion.figures.style import COLORS, axes, band, reference_slope

__all__ = [
    "convexity",
    "descent",
    "error_map",
    "frontiers",
    "full_tensor",
    "initialization",
    "passes",
    "rate",
    "recovery_map",
    "small_samples",
    "timing",
]

_TITLES = {"algorithm1": "Algorithm 1", "controlled": "control variates"}
_MISSING = LinearSegmentedColormap.from_list("grey", ["#202020", "#FFFFFF"])
# Cells in which a trial had wrong signs, as in the paper.
_WRONG = COLORS[0]


def _map(ax: Axes, table: pd.DataFrame, limits: tuple[float, float], cmap: Any) -> Any:
    columns, rows = table.columns.to_numpy(dtype=float), table.index.to_numpy(dtype=float)
    image = ax.imshow(
        table.to_numpy(),
        origin="lower",
        aspect="auto",
        cmap=cmap,
        vmin=limits[0],
        vmax=limits[1],
    )
    ax.set_xticks(range(len(columns)), [f"{c:g}" for c in columns])
    step = max(1, len(rows) // 5)
    ax.set_yticks(range(0, len(rows), step), [f"{r:g}" for r in rows[::step]])
    ax.set(xlabel="dimension $d$")
    ax.grid(visible=False)
    return image


def _sizes(ax: Axes, values: Any) -> None:
    """Label a logarithmic axis at the sizes of the experiment only."""
    marks = sorted({int(v) for v in values})
    ax.set_xticks(marks, [f"{m}" for m in marks])
    ax.set_xticks([], minor=True)


def recovery_map(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Figure 1(a): share of trials that recover the network, over d and n."""
    return _maps(live, stored, "recovered", (0.0, 1.0), "recovery rate")


def error_map(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Figure 1(b): mean error of the initialisation; blue where a trial had wrong signs."""
    return _maps(live, stored, "error", (0.0, 1.5), "initialisation error")


def _maps(
    live: pd.DataFrame, stored: pd.DataFrame, column: str, limits: tuple[float, float], name: str
) -> Figure:
    figure, panels = axes(2, 2, height=2.5, width_ratios=[1.0, 1.7])
    cmap = _MISSING if column == "recovered" else _MISSING.reversed()
    for row, method in enumerate(("algorithm1", "controlled")):
        for place, (frame, title) in enumerate(((live, "live"), (stored, "stored, paper size"))):
            ax = panels[2 * row + place]
            chosen = frame[frame["method"] == method]
            table = chosen.pivot_table(index="n", columns="d", values=column, aggfunc="mean")
            image = _map(ax, table, limits, cmap)
            if column == "error":
                signs = chosen.pivot_table(index="n", columns="d", values="signs", aggfunc="min")
                for i, j in zip(*np.nonzero(signs.to_numpy() == 0), strict=True):
                    ax.add_patch(_block(j, i))
            ax.set_title(f"{_TITLES[method]}: {title}", fontsize=9.0)
            if place == 0:
                ax.set_ylabel("samples $n$")
    figure.colorbar(image, ax=list(panels), label=name, shrink=0.8)
    return figure


def _block(column: int, row: int) -> Any:
    return Rectangle((column - 0.5, row - 0.5), 1.0, 1.0, facecolor=_WRONG, edgecolor="white", linewidth=0.4)


def frontiers(tables: dict[str, pd.DataFrame], curves: dict[str, Any]) -> Figure:
    """Samples at which nine in ten trials succeed, cell by cell and by the logistic model."""
    figure, (ax,) = axes(height=2.8)
    for color, (method, table) in zip(COLORS, tables.items(), strict=False):
        ax.plot(table["d"], table["n"], "o", color=color, label=_TITLES.get(method, method))
        x = np.linspace(5.0, 100.0, 96)
        ax.plot(x, curves[method].samples(x), color=color, linestyle="--")
    ax.set(xlabel="dimension $d$", ylabel="samples for 90 % recovery", xlim=(0, None), ylim=(0, None))
    ax.legend(loc="upper left")
    return figure


_APPROACHES = {
    "I": "I: tensor, Algorithm 1",
    "I controlled": "I: tensor, control variates",
    "II": "II: random $W, v$",
    "II small": "II: random $W, v$, scaled by 0.3",
    "III": "III: $v = v^*$, random $W$",
}


def descent(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Figure 1(c): log objective along gradient descent from three initialisations."""
    figure, panels = axes(1, 2, height=3.0, sharey=True)
    for ax, frame, title in zip(
        panels, (live, stored), ("live run", f"stored, {stored['trial'].nunique()} trials"), strict=True
    ):
        for color, (approach, name) in zip(COLORS, _APPROACHES.items(), strict=False):
            curves = frame[frame["approach"] == approach]["log"]
            for i, curve in enumerate(curves):
                values = np.array(curve, dtype=float)
                values[values > 25.0] = np.nan
                steps = 20 * np.arange(len(values))
                ax.plot(steps, values, color=color, linewidth=1.1, label=None if i else name)
        ax.set(xlabel="iteration", title=title, ylim=(-60, 20))
    panels[0].set_ylabel("log objective")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def initialization(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Error of the initialisation against n at d = 10, and against d at n = 20000."""
    figure, panels = axes(1, 2)
    for color, method in zip(COLORS, _TITLES, strict=False):
        for frame, style in ((live, "-"), (stored, "--")):
            chosen = frame[frame["method"] == method]
            for ax, axis, fixed, value in (
                (panels[0], "n", "d", 10),
                (panels[1], "d", "n", 20_000),
            ):
                part = chosen[chosen[fixed] == value]
                table = part.pivot_table(index=axis, columns="trial", values="error")
                label = _TITLES[method] if style == "-" else None
                band(ax, table.index, table.to_numpy(), label=label, color=color, linestyle=style)
    for ax, axis, slope, name in (
        (panels[0], "n", -0.5, "$n^{-1/2}$"),
        (panels[1], "d", 0.5, "$d^{1/2}$"),
    ):
        lines = ax.get_lines()
        reference_slope(
            ax, np.asarray(lines[1].get_xdata()), np.asarray(lines[1].get_ydata())[0], slope, name
        )
        ax.set(xscale="log", yscale="log")
        ax.set_xlabel("samples $n$ ($d = 10$)" if axis == "n" else "dimension $d$ ($n = 20\\,000$)")
    _sizes(panels[1], stored.loc[stored["n"] == 20_000, "d"])
    panels[1].set_yticks([0.05, 0.1, 0.2, 0.4], ["0.05", "0.1", "0.2", "0.4"])
    panels[1].set_yticks([], minor=True)
    panels[1].legend(handles=panels[1].get_lines()[-1:], loc="lower right")
    panels[0].set_ylabel(r"$\|W^{(0)} - W^*\|_F / \|W^*\|_F$")
    panels[0].legend(loc="lower left")
    return figure


def passes(live: pd.DataFrame, stored: pd.DataFrame, ratios: pd.DataFrame) -> Figure:
    """Error after each pass, and the factor of a pass against the number of samples."""
    figure, panels = axes(1, 2)
    for color, (n, group) in zip(COLORS, stored.groupby("n"), strict=False):
        for frame, style in ((group, "-"), (live[live["n"] == n], ":")):
            if len(frame):
                errors = np.nanmedian(np.array(frame["error"].tolist(), dtype=float), axis=0)
                steps = np.arange(1, len(errors) + 1)
                label = f"$n = {n}$" if style == "-" else None
                panels[0].plot(steps, errors, style, marker=".", color=color, label=label)
    panels[0].set(yscale="log", xlabel="pass", ylabel="worst error of a weight (median)")
    panels[0].legend(loc="lower left")
    panels[1].plot(ratios["n"], ratios["ratio"], "o", color=COLORS[0])
    last = ratios.iloc[-1]
    reference_slope(
        panels[1],
        ratios["n"].to_numpy(),
        last["ratio"] * np.sqrt(last["n"] / ratios["n"][0]),
        -0.5,
        "$n^{-1/2}$",
    )
    panels[1].set(xscale="log", xlabel="samples $n$", ylabel="factor of a pass (median)", ylim=(0, 1))
    panels[1].legend(loc="upper right")
    _sizes(panels[1], ratios["n"])
    return figure


def convexity(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Smallest eigenvalue of the Hessian against n, distance, and the theory's bound."""
    figure, panels = axes(1, 3, height=2.7)
    for color, (kappa, group) in zip(COLORS, stored.groupby("kappa"), strict=False):
        by_n = np.array(group["by_n"].tolist()) / group["m0"].to_numpy()[:, None]
        band(panels[0], group["ratios"].iloc[0], by_n.T, label=rf"$\kappa = {kappa:g}$", color=color)
        by_distance = np.array(group["by_distance"].tolist()) / group["m0"].to_numpy()[:, None]
        distances = group["distances"].iloc[0]
        low, middle, high = np.quantile(by_distance, [0.1, 0.5, 0.9], axis=0)
        panels[1].plot(distances, middle, marker="o", color=color)
        for ends in (low, high):  # filled bands would cover one another
            panels[1].plot(distances, ends, color=color, linewidth=0.8, linestyle="--")
        for frame, marker in ((stored, "."), (live, "x")):
            part = frame[frame["kappa"] == kappa]
            panels[2].plot(part["lower"], part["m0"], marker, color=color, markersize=4)
    panels[0].set(xscale="log", xlabel="$n / (dk)$", ylabel=r"$\lambda_{\min} / m_0$", title="at $W^*$")
    panels[1].set(xlabel=r"$\|W - W^*\| / \|W^*\|$", title="away from it", ylim=(-4, 1.6))
    panels[1].axhline(0.0, color="black", linewidth=0.8)
    low, high = stored["lower"].min(), stored["m0"].max()
    panels[2].plot([low, high], [low, high], color="black", linestyle=":", linewidth=1.2)
    panels[2].set(xscale="log", yscale="log", xlabel=r"$\rho(\sigma_k)/(\kappa^2\lambda)$", ylabel="$m_0$")
    panels[0].legend(loc="lower right")
    return figure


def rate(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Squared distance to the truth along gradient descent, and contraction against its bound."""
    figure, panels = axes(1, 2)
    for color, (resampled, group) in zip(COLORS, live.groupby("resampled"), strict=False):
        name = "fresh samples each step" if resampled else "one sample"
        for i, curve in enumerate(group["log"]):
            panels[0].plot(curve, color=color, linewidth=0.9, label=None if i else name)
        panels[1].plot(group["bound"], group["worst"], "x", color=color)
        kept = stored[stored["resampled"] == resampled]
        panels[1].plot(kept["bound"], kept["worst"], ".", color=color)
    panels[0].set(xlabel="iteration", ylabel=r"$\log_{10}\|W - W^*\|_F^2$")
    panels[0].legend(loc="lower left")
    ends = np.array([stored["bound"].min() - 0.02, 1.0])
    panels[1].plot(ends, ends, color="black", linestyle=":", linewidth=1.2, label="bound attained")
    panels[1].set(xlabel="$1 - m_0/M_0$", ylabel="worst contraction per step")
    panels[1].legend(loc="upper left")
    return figure


def timing(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Processor time of both stages against n d."""
    figure, panels = axes(1, 2)
    for ax, stage, title in zip(
        panels, ("initialization", "descent"), ("initialisation", "20 gradient steps"), strict=True
    ):
        for color, (frame, source) in zip(COLORS, ((live, "live run"), (stored, "stored")), strict=False):
            work = frame["n"] * frame["d"]
            ax.plot(work, frame[stage], "o", color=color, label=source, alpha=0.7)
        size = np.sort((stored["n"] * stored["d"]).unique()).astype(float)
        middle = float(np.median(stored[stage] / (stored["n"] * stored["d"])))
        reference_slope(ax, size, middle * size[0], 1.0, "linear")
        ax.set(xscale="log", yscale="log", xlabel="$n\\,d$", ylabel="processor seconds", title=title)
    panels[0].legend(loc="upper left")
    return figure


def full_tensor(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Directions from the projected tensor and from the full one: error and time."""
    figure, panels = axes(1, 2)
    for color, way in zip(COLORS, ("projected", "full"), strict=False):
        for frame, style in ((live, "-"), (stored, "--")):
            for ax, column in ((panels[0], way), (panels[1], f"{way}_seconds")):
                table = frame.pivot_table(index="d", columns="trial", values=column)
                label = way if style == "-" else None
                band(ax, table.index, table.to_numpy(), label=label, color=color, linestyle=style)
    panels[0].set(xscale="log", xlabel="dimension $d$", ylabel="worst error of a direction")
    panels[1].set(xscale="log", yscale="log", xlabel="dimension $d$", ylabel="processor seconds")
    for ax in panels:
        _sizes(ax, stored["d"])
    panels[0].legend(loc="upper left")
    return figure


def small_samples(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Recovery rate and time of the learner against random restarts, d = 10, k = 5."""
    figure, panels = axes(1, 2)
    names = {
        "gradient": "learner, gradient descent",
        "levenberg-marquardt": "learner, Levenberg-Marquardt",
        "restarts": "six random restarts",
    }
    for color, (finisher, name) in zip(COLORS, names.items(), strict=False):
        for frame, style in ((live, ":"), (stored, "-")):
            group = frame[frame["finisher"] == finisher].groupby("n")
            label = name if style == "-" else None
            for ax, column in zip(panels, ("recovered", "seconds"), strict=True):
                mean = group[column].mean()
                ax.plot(mean.index, mean, style, marker="o", color=color, label=label)
    panels[0].set(xscale="log", xlabel="samples $n$", ylabel="recovery rate", ylim=(0, 1.05))
    panels[1].set(xscale="log", xlabel="samples $n$", ylabel="processor seconds", ylim=(0, None))
    for ax in panels:
        _sizes(ax, stored["n"])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
