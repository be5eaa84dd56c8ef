"""Figures of chapter 4."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.figures.style import COLORS, SCALE, axes, reference_slope
from nnmoments.validation import Array

__all__ = [
    "activations",
    "coefficients",
    "cotangent",
    "dimension",
    "landscape",
    "recovery",
    "refinement",
    "remainder",
    "simultaneous",
    "tangent",
]

_MARKS = ("o", "s", "^", "D")
_STAGES = {
    "plain": "active samples only",
    "polynomial": "polynomials controlled",
    "network": "+ network controlled",
    "refined": "refined from the sample",
}


def coefficients(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """|u_2| and |u_4| against the threshold: where u_4 vanishes."""
    figure, panels = axes(1, 3, sharey=True)
    for ax, (activation, part) in zip(panels, stored.groupby("activation", sort=False), strict=True):
        ours = live[live["activation"] == activation]
        for k, color in ((2, COLORS[0]), (4, COLORS[1])):
            ax.plot(part["t"], np.maximum(np.abs(part[f"u{k}"]), 1e-12), color=color, label=f"$|u_{k}|$")
            ax.plot(ours["t"], np.maximum(np.abs(ours[f"u{k}"]), 1e-12), "x", color=color)
        t, u4 = part["t"].to_numpy(), part["u4"].to_numpy()
        for i in np.flatnonzero((u4[1:] > 0) & (u4[:-1] <= 0) & (t[1:] > 0.5)):
            zero = np.interp(0.0, u4[i : i + 2], t[i : i + 2])
            ax.axvline(zero, color="black", linestyle=":", linewidth=1.2)
        ax.set(yscale="log", ylim=(1e-8, 1.0), xlabel="threshold $t$", title=activation)
    panels[0].set_ylabel("coefficient")
    panels[2].legend(loc="lower left")
    return figure


def remainder(live: pd.DataFrame, stored: pd.DataFrame, cosine: float) -> Figure:
    """E f_lin, E|Delta| and Lemma 1's bound against the threshold, with the slope of the theory."""
    figure, panels = axes(1, 3, sharey=True)
    for ax, (activation, part) in zip(panels, stored.groupby("activation", sort=False), strict=True):
        ours, t = live[live["activation"] == activation], part["t"].to_numpy()
        ax.plot(t, part["linear"], color=COLORS[0], label="$E f_{lin}$")
        ax.plot(t, part["remainder"], color=COLORS[1], label=r"$E|\Delta|$")
        ax.plot(ours["t"], ours["remainder"], "x", color=COLORS[1])
        ax.plot(t, 45.0 * part["bound"], color=COLORS[6], linestyle="-.", label="Lemma 1")
        power = {"ReLU": 4, "sign": 2}.get(str(activation), 0)
        exponent = -2.0 * t if activation == "sigmoid" else -(t**2) / (1.0 + cosine)
        late = t >= 3.0
        with np.errstate(divide="ignore"):
            theory = np.exp(exponent) * t ** -float(power)
        theory *= part["remainder"].iloc[-1] / theory[-1] * 0.3
        ax.plot(t[late], theory[late], color="black", linestyle=":", label="theory's slope")
        ax.set(yscale="log", ylim=(1e-20, 1e2), xlabel="threshold $t$", title=activation)
    panels[2].legend(loc="lower left")
    return figure


def landscape(frame: pd.DataFrame) -> Figure:
    """G on the sphere, the least value on each ray: minima and true directions."""
    row = frame.iloc[0]
    figure, (ax,) = axes(1, 1, height=3.4, subplot_kw={"projection": "mollweide"})
    G = np.asarray(row["G"], dtype=float)
    lon, lat = np.meshgrid(np.asarray(row["longitude"]), np.asarray(row["latitude"]))
    mesh = ax.contourf(lon, lat, G, levels=36, cmap=SCALE.reversed())
    ax.contour(lon, lat, G, levels=12, colors=COLORS[6], linewidths=0.4)
    for points, mark, color, label in (
        (row["minima"], "o", "white", "minima $\\pm z_i$"),
        (row["weights"], "*", COLORS[1], "weights $\\pm w_i$"),
    ):
        both = np.vstack([np.asarray(points, dtype=float), -np.asarray(points, dtype=float)])
        ax.plot(
            np.arctan2(both[:, 1], both[:, 0]),
            np.arcsin(np.clip(both[:, 2] / np.linalg.norm(both, axis=1), -1, 1)),
            mark,
            color=color,
            markeredgecolor="black",
            markersize=9 if mark == "*" else 7,
            label=label,
            linestyle="none",
        )
    ax.grid(visible=False)
    ax.set_xticklabels([])
    ax.set_yticklabels([])
    figure.colorbar(mesh, ax=ax, shrink=0.8, label=r"$\min_r G(r z)$")
    figure.legend(loc="lower left", ncols=1)
    return figure


def _stage_bands(ax: Axes, frame: pd.DataFrame, x: str, *, style: str, label: bool) -> None:
    for (name, text), color in zip(_STAGES.items(), COLORS, strict=False):
        table = frame.groupby(x)[name].agg(list)
        medians = [float(np.median(v)) for v in table]
        low, high = [min(v) for v in table], [max(v) for v in table]
        ax.plot(table.index, medians, style, color=color, label=text if label else None, marker="o")
        ax.fill_between(table.index.to_numpy(dtype=float), low, high, color=color, alpha=0.15, linewidth=0)


def recovery(
    live: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
    stored: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
) -> Figure:
    """Worst angle against the threshold (with the bias) and against n, live above, stored below."""
    figure, panels = axes(2, 2, sharey=True, height=2.5)
    for row, ((by_t, by_n, bias), title) in enumerate(((live, "live run"), (stored, "stored"))):
        left, right = panels[2 * row], panels[2 * row + 1]
        _stage_bands(left, by_t, "t", style="-", label=row == 0)
        exact = bias.groupby("t")["angle"].median()
        left.plot(exact.index, exact.to_numpy(), color="black", linestyle="--", label="exact moments")
        left.set(xlabel="threshold $t$", ylabel="worst angle (degrees)", title=_sizes(by_t, title, "n"))
        _stage_bands(right, by_n, "n", style="-", label=False)
        right.set(xscale="log", xlabel="samples $n$", title=_sizes(by_n, title, "t"))
        sizes = np.array(sorted(by_n["n"].unique()), dtype=float)
        for stage, slope, label in (("polynomial", -0.5, "$n^{-1/2}$"), ("refined", -1.0, "$n^{-1}$")):
            anchor = float(by_n[by_n["n"] == sizes[0]][stage].median())
            reference_slope(right, sizes, anchor, slope, label)
        right.lines[-1].set_linestyle("-.")
        right.set_xticks(sizes, [f"{n / 1e6:g}M" if n >= 1e6 else f"{n / 1e3:g}k" for n in sizes])
        right.set_xticks([], minor=True)
        left.set(yscale="log", ylim=(2e-3, 110.0))
    both = [panel.get_legend_handles_labels() for panel in panels[:2]]
    handles, labels = (left + right for left, right in zip(*both, strict=True))
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _sizes(frame: pd.DataFrame, title: str, other: str) -> str:
    value = frame[other].iloc[0]
    text = f"{value:,.0f}".replace(",", "\u2009") if other == "n" else f"{value:g}"
    return f"{title}: $d = {frame['d'].iloc[0]}$, ${other}$ = {text}"


def activations(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Worst angles by activation and stage."""
    figure, panels = axes(1, 2, sharey=True)
    for ax, frame, title in zip(panels, (live, stored), ("live run", "stored"), strict=True):
        names = list(dict.fromkeys(frame["activation"]))
        for place, activation in enumerate(names):
            part = frame[frame["activation"] == activation]
            for shift, ((stage, text), color) in enumerate(zip(_STAGES.items(), COLORS, strict=False)):
                if activation == "sigmoid" and stage == "refined":
                    continue
                x = place + 0.18 * (shift - 1.5)
                label = text if place == 0 and ax is panels[0] else None
                ax.plot(
                    np.full(len(part), x), part[stage], _MARKS[shift], color=color, label=label, alpha=0.8
                )
        ticks = [f"{a}, $t$ = {frame[frame['activation'] == a]['t'].iloc[0]:g}" for a in names]
        ax.set_xticks(range(len(names)), ticks)
        ax.set(yscale="log", title=f"{title}: $d = {frame['d'].iloc[0]}$", xlim=(-0.6, len(names) - 0.4))
        ax.set_ylim(5e-3, 300.0)
    panels[0].set_ylabel("worst angle (degrees)")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def simultaneous(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """Worst angle of the minimiser of G(W), with psi as printed and corrected."""
    figure, panels = axes(1, 2, sharey=True, height=2.2)
    for ax, frame, title in zip(panels, (live, stored), ("live run", "stored"), strict=True):
        for place, (psi, color) in enumerate((("printed", COLORS[1]), ("corrected", COLORS[0]))):
            values = np.maximum(frame[frame["psi"] == psi]["angle"].to_numpy(dtype=float), 1e-9)
            ax.plot(values, place + np.linspace(-0.15, 0.15, len(values)), _MARKS[place], color=color)
        ax.set_yticks([0, 1], ["printed $\\psi$", "corrected $\\psi$"])
        ax.set(xscale="log", xlabel="worst angle (degrees)", ylim=(1.5, -0.5), xlim=(1e-7, 1e3))
        ax.set_xticks([1e-6, 1e-4, 1e-2, 1.0, 1e2])
        ax.set_xticks([], minor=True)
        ax.set_title(f"{title}: $d = {frame['d'].iloc[0]}$")
    return figure


def tangent(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """The ratio of EstimateTanAlpha to the truth over six decades of angles."""
    figure, panels = axes(1, 2, sharey=True)
    looks = dict(zip(sorted(stored["t"].unique()), zip(COLORS, (*_MARKS, "v"), strict=False), strict=False))
    for ax, frame, title in zip(panels, (live, stored), ("live run", "stored"), strict=True):
        for t, part in frame.groupby("t"):
            color, mark = looks[t]
            ax.plot(part["angle"], part["ratio"], marker=mark, color=color)
        ax.axhline(1.0, color="black", linewidth=0.8)
        ax.set(xscale="log", xlabel=r"angle $\alpha$", title=f"{title}: $d = {frame['d'].iloc[0]}$")
    for t, (color, mark) in looks.items():
        panels[0].plot([], [], marker=mark, color=color, label=f"$t = {t:g}$")
    panels[0].set_ylabel(r"estimate of $\tan\alpha$ / truth")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def dimension(stored: pd.DataFrame) -> Figure:
    """Angles, and the cost of refinement, against the number of inputs; medians over single runs."""
    figure, panels = axes(1, 2)
    looks = (
        ("plain", "landscape, plain moments"),
        ("factors", "factors of $T_2$, $T_3$"),
        ("bias", "exact moments"),
    )
    costs = (("search_labels", "random search"), ("crossing_labels", "crossings"))
    for ax, columns in ((panels[0], looks), (panels[1], costs)):
        for (column, label), color, mark in zip(columns, COLORS, _MARKS, strict=False):
            ax.plot(stored["d"], stored[column], mark, color=color, alpha=0.5)
            ax.plot(stored.groupby("d")[column].median(), color=color, label=label)
        ax.set(xscale="log", yscale="log", xlabel="inputs and units $d$")
        ticks = sorted(stored["d"].unique())
        ax.set_xticks(ticks, [str(d) for d in ticks])
        ax.minorticks_off()
    panels[0].set(ylabel="worst angle, degrees", ylim=(3e-3, None))
    panels[0].legend(loc="lower left")
    panels[1].legend(loc="center right")
    panels[1].set_ylabel("labels asked for")
    return figure


_SEARCHES = {"perturbation": "random search", "crossings": "crossings", "border": "fit of the border"}


def refinement(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """True angle after each round, from a sample and with the oracle."""
    figure, panels = axes(1, 2, sharey=True, height=3.0)
    for ax, frame, title in zip(panels, (live, stored), ("live run", "stored"), strict=True):
        groups = frame.groupby(["source", "method"], sort=False)
        for ((source, method), part), color, mark in zip(groups, COLORS, _MARKS, strict=False):
            for i, trace in enumerate(part["trace"]):
                angle = np.asarray(trace, dtype=float)
                rounds = np.arange(len(angle)) + 1
                ax.plot(rounds, angle, color=color, alpha=0.8)
                ax.plot(
                    rounds[-1],
                    angle[-1],
                    mark,
                    color=color,
                    label=f"{source}: {_SEARCHES[str(method)]}" if i == 0 else None,
                )
        ax.axhline(1e-6, color="black", linestyle=":", linewidth=1.0)
        ax.set(xscale="log", yscale="log", xlabel="round", title=f"{title}: $d = {frame['d'].iloc[0]}$")
    panels[0].set_ylabel("angle (radians)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def cotangent(live: pd.DataFrame, stored: pd.DataFrame) -> Figure:
    """The correlation with delta' against the angle: minus the cotangent, with its sign."""
    figure, (ax,) = axes(1, 1, height=2.8)
    degrees: Array = np.linspace(4.0, 176.0, 400)
    cot = 1.0 / np.tan(np.deg2rad(degrees))
    ax.plot(degrees, -cot, color="black", linewidth=1.0, label=r"$-\cot\alpha$")
    ax.plot(degrees, np.abs(cot), color=COLORS[1], linestyle="--", label=r"Lemma 16: $|\cot\alpha|$")
    for frame, mark, label, color in (
        (stored, "o", "stored", COLORS[0]),
        (live, "x", "live run", COLORS[2]),
    ):
        ax.errorbar(
            frame["degrees"],
            frame["value"],
            yerr=5.0 * frame["standard_error"],
            fmt=mark,
            color=color,
            label=label,
        )
    ax.set(xlabel=r"angle $\alpha$ (degrees)", ylabel=r"$E[u\,\delta'(z\cdot x)]/\varphi(0)^2$")
    ax.set_ylim(-13, 13)
    ax.legend(loc="upper center", ncols=2)
    return figure
