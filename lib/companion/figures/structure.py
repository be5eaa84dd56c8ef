"""Figures of chapter 5."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from companion.figures.style import COLORS, SCALE, axes, band, reference_slope

__all__ = ["biased", "cut", "disjoint", "even", "graph", "peaks", "powers", "unions"]


def _by_size(ax: Axes, frame: pd.DataFrame, column: str, *, x: str = "n", **line: Any) -> None:
    """Draw the median and band over trials of a column against x."""
    table = frame.pivot(index=x, columns="trial", values=column)
    band(ax, table.index.to_numpy(), table.to_numpy(), **line)


def _live(ax: Axes, frame: pd.DataFrame, column: str, *, x: str = "n", color: str) -> None:
    """Mark the medians of the live run by crosses."""
    medians = frame.groupby(x)[column].median()
    ax.plot(medians.index, medians, "x", color=color, markersize=6, markeredgewidth=1.4)


def _ticks(axis: Axis, values: npt.ArrayLike) -> None:
    """Label a logarithmic axis at given values only."""
    shown = np.unique(np.asarray(values, dtype=float))
    axis.set_ticks(shown, [f"{v:,g}".replace(",", "\u2009") for v in shown])
    axis.set_ticks([], minor=True)


def peaks(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Correlations along the circle from one weight to another, live and stored."""
    figure, panels = axes(1, 2, height=2.8)
    labels = {
        ("sign", "oracle"): "sign, $\\delta'$, oracle",
        ("sign", "sample"): "sign, $\\delta'$, sample",
        ("relu", "oracle"): "ReLU, $\\delta''$, oracle",
        ("relu by first", "oracle"): "ReLU, $\\delta'$",
        ("sigmoid", "oracle"): "sigmoid, $\\delta'$",
    }
    for ax, rows, title in (
        (panels[0], list(labels)[:3], "units with an edge"),
        (panels[1], list(labels)[3:], "controls: no edge of that order"),
    ):
        for color, key in zip(COLORS, rows, strict=False):
            for frame, style in ((stored, "-"), (live, "x")):
                row = frame[(frame["unit"] == key[0]) & (frame["source"] == key[1])].iloc[0]
                name = labels[key] if style == "-" else None
                ax.plot(row["angle"], row["value"], style, color=color, label=name)
        ax.set(title=title, xlabel="angle from $w_1$ towards $w_2$ (degrees)", ylim=(-0.35, 1.45))
        ax.axhline(1.0, color="black", linestyle=":", linewidth=1.0)
        ax.set_xticks([0, 30, 60, 90])
        ax.legend(loc="upper center", ncols=2, columnspacing=1.0, handlelength=1.4)
    panels[0].set_ylabel("correlation / height of the theorem")
    return figure


def graph(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """One matrix of weights, all weights beside their formula, and the share of graphs that are right."""
    figure, panels = axes(1, 3, height=2.6, width_ratios=[1.1, 1.0, 1.0])
    most = live[(live["terms"] == "linear") & (live["n"] == live["n"].max())]
    one = most[most["trial"] == 0].iloc[0]
    ax = panels[0]
    mesh = ax.imshow(one["matrix"], cmap=SCALE)
    ax.grid(visible=False)
    ax.set(title="weights, inputs sorted", xticks=[], yticks=[], xlabel="inputs by unit")
    figure.colorbar(mesh, ax=ax, shrink=0.8)
    ax = panels[1]
    for x, (column, color) in enumerate(zip(("within", "across"), COLORS, strict=False)):
        values = np.asarray(one[column])
        ax.plot(x + np.linspace(-0.25, 0.25, len(values)), values, ".", color=color)
        ax.plot([x - 0.35, x + 0.35], 2 * [one["theory"][x]], color="black", linewidth=1.2)
    ax.axhline(one["threshold"], color="black", linestyle=":", linewidth=1.0)
    ax.set(title="all pairs", xticks=[0, 1], xticklabels=["one unit", "two units"], xlim=(-0.6, 1.6))
    ax = panels[2]
    for terms, color, name in (
        ("linear", COLORS[0], "linear terms"),
        ("products", COLORS[1], "products only"),
    ):
        for frame, style in ((stored, "o-"), (live, "x")):
            share = frame[frame["terms"] == terms].groupby("n")["found"].mean()
            ax.plot(share.index, share, style, color=color, label=name if style == "o-" else None)
    ax.set(title="share recovered", xlabel="samples", xscale="log", ylim=(-0.05, 1.35))
    ax.legend(loc="upper left")
    return figure


def disjoint(live: pd.DataFrame, stored: pd.DataFrame, ascents: Mapping[str, Any]) -> Figure:
    """The printed objective along a support, the maxima on the simplex, and the share recovered."""
    figure, panels = axes(1, 3, height=2.6)
    ax = panels[0]
    ax.plot(ascents["a"], ascents["h"], label="$\\gamma$ of Lemma 21")
    ax.plot(ascents["a"], ascents["h_small"], "--", label="a 20th of it")
    ax.set(title="printed objective", xlabel="shift $a$ of one support")
    ax.set(ylabel="$h(z) - h(0)$", yscale="symlog")
    ax.legend(loc="upper left")
    ax = panels[1]
    points = live[(live["n"] == 0) & (live["terms"] == "separated") & (live["trial"] == 0)].iloc[0]["points"]
    ax.imshow(points, cmap=SCALE, aspect="auto")
    ax.grid(visible=False)
    ax.set(title="maxima on the simplex", xlabel="inputs by unit", ylabel="maxima found")
    ax.set(xticks=[], yticks=[])
    ax = panels[2]
    for frame, style in ((stored, "o-"), (live, "x")):
        sampled = frame[(frame["terms"] == "separated") & (frame["n"] > 0)]
        share = sampled.groupby("n")["found"].mean()
        ax.plot(share.index, share, style, color=COLORS[0])
    ax.set(title="share recovered", xlabel="points of the oracle", xscale="log", ylim=(-0.05, 1.05))
    return figure


def even(live: pd.DataFrame, stored: pd.DataFrame, circles: Mapping[float, Mapping[str, Any]]) -> Figure:
    """The objective between two weights, and the angles of the maxima, against the product's coefficient."""
    figure, panels = axes(1, 2, height=2.8)
    ax = panels[0]
    for color, (c, circle) in zip(COLORS, circles.items(), strict=False):
        ax.plot(circle["angle"], circle["exact"], color=color, label=f"c = {c:g}")
        ax.plot(circle["angle"], circle["printed"], color=color, linestyle="--", linewidth=1.0)
    ax.set(title="correlation with $h_4$", xlabel="angle from $w_1$ towards $w_2$ (degrees)")
    ax.set_xticks([0, 45, 90])
    ax.set_ylim(top=1.25 * max(float(np.max(v["printed"])) for v in circles.values()))
    ax.legend(loc="upper left", ncols=2)
    ax = panels[1]
    cosine = stored[stored["activation"] == "cosine"]
    _by_size(ax, cosine, "angle", x="c", color=COLORS[0])
    _live(ax, live[live["activation"] == "cosine"], "angle", x="c", color=COLORS[0])
    for column, style, name in (
        ("printed", "--", "printed"),
        ("margin", ":", "corrected"),
    ):
        margin = cosine.groupby("c")[column].first()
        edge = float(np.interp(0.0, -margin.to_numpy(), margin.index.to_numpy()))
        ax.axvline(edge, color="black", linestyle=style, linewidth=1.0, label=name)
    ax.set(
        title="worst angle of a maximum",
        xlabel="coefficient c of the products",
        ylabel="degrees",
        ylim=(0, 62),
    )
    ax.legend(loc="lower right", title="condition ends")
    return figure


def unions(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Worst angles from samples and with the oracle."""
    figure, panels = axes(1, 2, height=2.7)
    ax = panels[0]
    for color, (t, rows) in zip(COLORS, stored[stored["t"] > 1].groupby("t"), strict=False):
        _by_size(ax, rows, "coarse", color=color, label=f"t = {t:g}")
    _live(ax, live[live["t"] == 2.5], "coarse", color=COLORS[1])
    ax.set(title="from samples", xlabel="samples", ylabel="worst angle (rad)", xscale="log", yscale="log")
    _ticks(ax.xaxis, stored[stored["t"] > 1]["n"])
    _ticks(ax.yaxis, [0.2, 0.3, 0.4, 0.6])
    ax.legend(loc="upper right")
    ax = panels[1]
    for frame, marker, color, name in ((stored, "o", COLORS[0], "stored"), (live, "x", COLORS[1], "live")):
        good = frame[frame["t"] > 1]
        refined = np.maximum(good["refined"], 1e-9)
        ax.plot(good["coarse"], refined, marker, color=color, label=name)
    ax.axhline(1e-3, color="black", linestyle=":", linewidth=1.0)
    ax.set(
        title="after the oracle", xlabel="before (rad)", ylabel="after (rad)", xscale="log", yscale="log",
        ylim=(5e-10, 10),
    )  # fmt: skip
    _ticks(ax.xaxis, [0.15, 0.3, 0.6])
    ax.legend(loc="upper left")
    return figure


def biased(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Worst angle against n for kept inputs, values and bits, at two thresholds."""
    thresholds = sorted(stored["t"].unique())
    figure, panels = axes(1, len(thresholds), height=2.7, sharey=True)
    names = {"kept": "kept by the oracle", "values": "plain, with f(x)", "bits": "plain, bits"}
    for ax, t in zip(panels, thresholds, strict=True):
        for color, (labels, name) in zip(COLORS, names.items(), strict=False):
            rows = stored[(stored["t"] == t) & (stored["labels"] == labels)]
            _by_size(ax, rows, "angle", color=color, label=name)
            now = live[(live["t"] == t) & (live["labels"] == labels)]
            if len(now):
                _live(ax, now, "angle", color=color)
        ax.set(title=f"t = {t:g}", xlabel="inputs", xscale="log", yscale="log", ylim=(0.8, 400))
        _ticks(ax.xaxis, stored["n"])
    panels[0].set_ylabel("worst angle (degrees)")
    panels[0].legend(loc="lower left")
    return figure


def powers(live: pd.DataFrame, stored: pd.DataFrame, products: pd.DataFrame) -> Figure:
    """The share of products of different units against t, and angles against n."""
    figure, panels = axes(1, 2, height=2.7)
    ax = panels[0]
    ratio = r"$\mathrm{E}|\Delta|\,/\,\mathrm{E}|f_\mathrm{uni}|$"
    _by_size(ax, products, "share", x="t", color=COLORS[0], label=ratio)
    t = np.sort(products["t"].unique())
    first = products[products["t"] == t[-1]]["share"].median()
    rate = np.exp(-0.5 * t**2)
    ax.plot(t, first * rate / rate[-1], color="black", linestyle=":", label="slope of $e^{-t^2/2}$")
    ax.set(title="products of different units", xlabel="threshold t", yscale="log")
    ax.legend(loc="lower left")
    ax = panels[1]
    for color, (t_value, rows) in zip(
        COLORS, stored[stored["kind"] == "positive"].groupby("t"), strict=False
    ):
        _by_size(ax, rows, "angle", color=color, label=f"t = {t_value:g}")
    _live(ax, live[live["kind"] == "positive"], "angle", color=COLORS[1])
    ax.set(title="worst angle", xlabel="samples", ylabel="degrees", xscale="log", yscale="log")
    _ticks(ax.xaxis, stored["n"])
    _ticks(ax.yaxis, [3, 10, 30, 90])
    ax.legend(loc="lower left")
    return figure


def cut(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Angles of the planes and the error of the whole against n."""
    figure, panels = axes(1, 2, height=2.7)
    good, bad = stored[stored["tau"] > 4], stored[stored["tau"] == 4]
    ax = panels[0]
    _by_size(ax, good, "angle", color=COLORS[0], label="$\\tau = 6$")
    _live(ax, live[live["tau"] > 4], "angle", color=COLORS[0])
    ax.plot(bad["n"], bad["angle"], "s", color=COLORS[1], label="$\\tau = 4$")
    sizes = np.sort(good["n"].unique())
    middle = good[good["n"] == sizes[1]]["angle"].median() * (sizes[1] / sizes[0]) ** 0.5
    reference_slope(ax, sizes, middle, -0.5, "$n^{-1/2}$")
    ax.set(title="planes below the cut", xlabel="samples", ylabel="worst angle (degrees)")
    ax.set(xscale="log", yscale="log", ylim=(1, 400))
    _ticks(ax.xaxis, sizes)
    ax.legend(loc="upper right")
    ax = panels[1]
    for column, color, name in (("whole", COLORS[0], "both sides"), ("additive", COLORS[1], "linear top")):
        _by_size(ax, good, column, color=color, label=name)
        _live(ax, live[live["tau"] > 4], column, color=color)
    ax.set(title="test error of the whole", xlabel="samples", ylabel="share of the variance")
    ax.set(xscale="log", yscale="log")
    _ticks(ax.xaxis, sizes)
    _ticks(ax.yaxis, [0.1, 0.2, 0.4])
    ax.legend(loc="lower left")
    return figure
