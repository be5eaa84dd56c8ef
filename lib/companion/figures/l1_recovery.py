"""Figures of chapter 2."""

import numpy as np
import pandas as pd
from matplotlib import patheffects as path_effects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from companion.figures.style import COLORS, SCALE, axes, band, reference_slope
from nnmoments.validation import Array

__all__ = [
    "beyond",
    "classifier",
    "depth",
    "expansion",
    "noise",
    "phase_size",
    "phase_theta",
    "samples",
    "scores",
    "solvers",
]

_METHODS = {
    "all": "all columns (paper)",
    "pairs": "pairs of columns (DC)",
    "fast": "fast path",
    "l4": "$\\ell_4$ directions, rounded",
    "sphere": "sphere directions, rounded",
}
_WAYS = {
    "paper": "all columns, $\\ell_0$ order (paper)",
    "plain": "plain moment, fast path",
    "control": "+ linear control",
    "refined": "+ refinement on the support",
    "learner": "both (the learner)",
}


_Curves = dict[str, tuple[Array, Array]]


def _curves(frame: pd.DataFrame, column: str) -> tuple[Array, Array]:
    """Return sizes (s,) and values (s, trials) of a column of lists."""
    return np.array(frame["n"].iloc[0]), np.array(frame[column].tolist()).T


def _sizes(ax: Axes, sizes: Array) -> None:
    """Label a logarithmic axis at the sizes that were run, at most five of them."""
    shown = sizes[:: max(1, -(-len(sizes) // 5))]
    ax.set_xticks(shown, [f"{n:,.0f}".replace(",", "\u2009") for n in shown])
    ax.set_xticks([], minor=True)


def _edge(ax: Axes, x: Array, k: Array, color: str, label: str) -> None:
    """Draw a line over a heat map, outlined so that it shows on all cells."""
    outline = [path_effects.Stroke(linewidth=3.4, foreground="white"), path_effects.Normal()]
    ax.plot(x, k, color=color, label=label, path_effects=outline)


def _edges_named(figure: Figure, ax: Axes) -> None:
    """Name the outlined lines below the panels, where no cell is hidden."""
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, handlelength=3.0)


def _heat(ax: Axes, frame: pd.DataFrame, x: str, title: str) -> None:
    """Draw the share of exact recoveries over (x, k)."""
    share = (frame["exact"] / frame["trials"]).to_numpy()
    table = frame.assign(share=share).pivot(index="k", columns=x, values="share")
    mesh = ax.pcolormesh(
        table.columns, table.index, table.to_numpy(), cmap=SCALE.reversed(), vmin=0, vmax=1, shading="nearest"
    )
    ax.grid(visible=False)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(title=title, xlim=ax.get_xlim(), ylim=ax.get_ylim())
    if ax.get_subplotspec() is not None and ax.get_subplotspec().is_last_col():  # type: ignore[union-attr]
        ax.figure.colorbar(mesh, ax=ax, label="share exact", pad=0.02)


def phase_theta(live: pd.DataFrame, stored: pd.DataFrame, alpha: float) -> Figure:
    """Exact recovery over (theta, k), with the edges 2/k and alpha / sqrt(k log k)."""
    figure, panels = axes(1, 2, height=2.9)
    for ax, frame, title in zip(panels, (live, stored), ("live run", "stored"), strict=True):
        _heat(ax, frame, "theta", title)
        bottom, top = ax.get_ylim()
        k = np.linspace(bottom, top, 200)
        _edge(ax, 2.0 / k, k, "black", "$2/k$")
        _edge(ax, alpha / np.sqrt(k * np.log(k)), k, COLORS[1], r"$\alpha/\sqrt{k \log k}$")
        ax.set(xlabel=r"density $\theta$")
    panels[0].set_ylabel("hidden units $k$")
    _edges_named(figure, panels[0])
    return figure


def phase_size(live: pd.DataFrame, stored: pd.DataFrame, edge: tuple[float, float]) -> Figure:
    """Exact recovery over (d, k) at theta = 1 / (2 sqrt k), with its edge d = a k^b and k^2 log^2 k."""
    figure, panels = axes(1, 2, height=2.9)
    for ax, frame, title in zip(panels, (live, stored), ("live run", "stored"), strict=True):
        ax.set_xscale("log")
        _heat(ax, frame, "d", title)
        k = np.linspace(max(2.0, ax.get_ylim()[0]), ax.get_ylim()[1], 200)
        _edge(ax, edge[0] * k ** edge[1], k, "black", f"${edge[0]:.2g}\\,k^{{{edge[1]:.2f}}}$")
        _edge(ax, k**2 * np.log(k) ** 2, k, COLORS[1], r"$k^2 \log^2 k$")
        ax.set(xlabel="inputs $d$")
    panels[0].set_ylabel("hidden units $k$")
    _edges_named(figure, panels[0])
    return figure


def beyond(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Share of rows found against theta, by programme and by kind of direction."""
    figure, panels = axes(1, 2, sharey=True)
    marks = ("o", "s", "^", "D", "v")
    for ax, frame, title in zip(panels, (live, stored), ("live run", "stored"), strict=True):
        for (method, name), mark, color in zip(_METHODS.items(), marks, COLORS, strict=False):
            mean = frame[frame["method"] == method].groupby("theta")["found"].mean()
            ax.plot(mean.index, mean.to_numpy(), marker=mark, color=color, label=name)
        ax.axvline(1 / np.sqrt(16), color="black", linestyle=":", linewidth=1.2)
        ax.set(xlabel=r"density $\theta$", title=title)
    panels[0].set_ylabel("share of rows found exactly")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def expansion(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Share of exact recoveries against the margin of the expansion condition."""
    figure, panels = axes(1, 2, sharey=True)
    for ax, frame, title in zip(panels, (live, stored), ("live run", "stored"), strict=True):
        margin, exact = np.concatenate(frame["margin"].tolist()), np.concatenate(frame["exact"].tolist())
        places = np.arange(-6, 13)
        clipped = np.clip(margin, -6, 12)
        share = [exact[clipped == m].mean() if np.any(clipped == m) else np.nan for m in places]
        colors = [COLORS[1] if m < 0 else COLORS[0] for m in places]
        ax.bar(places, np.nan_to_num(np.array(share)), color=colors)
        ax.axvline(-0.5, color="black", linestyle=":", linewidth=1.2)
        ax.set(xlabel=r"margin $\min_S |N(S)| - |S| - d_{\max}$", title=title)
    panels[0].set_ylabel("share exact")
    return figure


def solvers(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Milliseconds per programme, and differences of the optima, by solver."""
    figure, panels = axes(1, 2)
    names = {"cvxpy_ms": "cvxpy, parametrised", "highs_ms": "HiGHS, one model", "batched_ms": "batched"}
    for color, (column, name) in zip(COLORS, names.items(), strict=False):
        panels[0].plot(stored["d"], stored[column], marker="o", color=color, label=name)
        panels[0].plot(live["d"], live[column], marker="x", color=color, linestyle="none")
    panels[0].set(xscale="log", yscale="log", xlabel="inputs $d$", ylabel="ms per programme", title="time")
    panels[0].legend(loc="upper left")
    tiny = 1e-16
    _sizes(panels[0], np.asarray(stored["d"]))
    for color, column, name in ((COLORS[2], "error", "batched"), (COLORS[0], "cvxpy_error", "cvxpy")):
        panels[1].plot(stored["d"], stored[column] + tiny, marker="o", color=color, label=name)
        panels[1].plot(live["d"], live[column] + tiny, marker="x", color=color, linestyle="none")
    panels[1].axhline(1e-8, color="black", linestyle=":", linewidth=1.2)
    panels[1].set(
        xscale="log",
        yscale="log",
        xlabel="inputs $d$",
        ylabel="relative difference",
        title="optimum against HiGHS's",
    )
    _sizes(panels[1], np.asarray(stored["d"]))
    panels[1].legend(loc="center right")
    return figure


def noise(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Worst row error at 2 % noise against the condition number of B; crosses are the live run.

    Dots are trials with a Gaussian B, each at its own condition number.
    """
    figure, (ax,) = axes(height=2.9)
    names = {"l0": "$\\ell_0$ order (paper)", "ratio": "$\\ell_1$ rows", "refined": "refined on the support"}
    for mark, color, (column, name) in zip(("s", "o", "^"), COLORS, names.items(), strict=False):
        drawn = stored["factor"] == "gaussian"
        gaussian, spaced = stored[drawn], stored[~drawn].astype({"factor": float})
        table = spaced.pivot(index="factor", columns="trial", values=column)
        middle = table.median(axis=1)
        spread = [middle - table.min(axis=1), table.max(axis=1) - middle]
        ax.errorbar(table.index, middle, yerr=spread, marker=mark, color=color, label=name, capsize=2.5)
        ax.plot(1.12 * live["condition"], live[column], marker="x", color=color, linestyle="none")
        ax.plot(gaussian["condition"], gaussian[column], marker=".", alpha=0.6, color=color, linestyle="none")
    ax.set(xscale="log", yscale="log", xlabel="condition number of $B$", ylabel="worst row error")
    _sizes(ax, np.array([1.0, 3.0, 10.0, 30.0, 100.0]))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def samples(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Row error against n for every way to make the moment and the rows."""
    figure, panels = axes(2, 2, height=2.8, sharey="row")
    titles = {"softmax": "softmax labels", "identity": "real labels"}
    for row, (link, title) in enumerate(titles.items()):
        for ax, frame, which in zip(panels[2 * row :], (live, stored), ("live run", "stored"), strict=False):
            for name, color in zip(_WAYS, (COLORS[6], *COLORS), strict=False):
                n, errors = _curves(frame[frame["link"] == link], name)
                band(ax, n, errors, label=_WAYS[name], color=color)
            reference_slope(ax, n, 0.4, -0.5, "$n^{-1/2}$")
            ax.set(xscale="log", yscale="log", xlabel="samples $n$", title=f"{title}, {which}")
            _sizes(ax, n)
        panels[2 * row].set_ylabel("row error (r.m.s.)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _errors(live: _Curves, stored: _Curves) -> Figure:
    """Row errors against n: live and stored curves, each a name with its sizes and errors."""
    figure, panels = axes(1, 2, sharey=True)
    for ax, curves, title in zip(panels, (live, stored), ("live run", "stored"), strict=True):
        for name, (n, errors) in curves.items():
            # What lies under another curve shows on both sides of it.
            width, mark = (4.5, 8.0) if name == "true score" else (1.6, 4.0)
            band(ax, n, errors, label=name, linewidth=width, markersize=mark)
        reference_slope(ax, n, 0.06, -0.5, "$n^{-1/2}$")
        ax.set(xscale="log", yscale="log", xlabel="samples $n$", title=title)
        ax.yaxis.set_minor_formatter(NullFormatter())
        _sizes(ax, n)
    panels[0].set_ylabel("row error (r.m.s.)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def scores(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Row error on correlated inputs by the score that was used."""
    names = {"true": "true score", "fitted": "fitted score", "wrong": "wrong score"}
    return _errors(*({name: _curves(f, key) for key, name in names.items()} for f in (live, stored)))


def depth(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Row error of the first layer by the network's depth."""
    depths = (2, 3, 4)
    return _errors(
        *({f"{m} layers": _curves(f[f["layers"] == m], "error") for m in depths} for f in (live, stored))
    )


def classifier(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Test accuracy relative to the teacher's, against n."""
    figure, panels = axes(1, 2, sharey=True)
    names = {"moment": "moment, then softmax", "tuned": "+ fine-tuning", "random": "random start"}
    for ax, frame, title in zip(panels, (live, stored), ("live run", "stored"), strict=True):
        for column, name in names.items():
            values = frame.assign(share=frame[column] / frame["teacher"])
            table = values.pivot(index="n", columns="trial", values="share")
            band(ax, table.index, table.to_numpy(), label=name)
        ax.axhline(1.0, color="black", linestyle=":", linewidth=1.2, label="teacher")
        ax.set(xscale="log", xlabel="samples $n$", title=title)
        _sizes(ax, np.unique(frame["n"].to_numpy()))
    panels[0].set_ylabel("test accuracy / teacher's")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
