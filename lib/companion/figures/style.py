"""The look of every figure: size, colours, and the few shapes that recur."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from nnmoments.validation import Array

__all__ = ["COLORS", "SCALE", "WIDTH", "axes", "band", "reference_slope"]

#: Okabe and Ito's colours, told apart by readers with any colour vision; black is for references.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")

#: Colours of a map, from blank, which is the ground, to full: in dark mode a page turns all lightness.
SCALE = LinearSegmentedColormap.from_list("full", ["white", COLORS[0]])

#: Width of the book's text column in inches.
WIDTH = 7.0

_STYLE: Any = {
    "figure.dpi": 212,  # twice the 736 pixels at which a page shows a figure
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
    "axes.prop_cycle": cycler(color=COLORS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.0,
    "mathtext.fontset": "dejavusans",  # thinner strokes, as of an equals sign, vanish at one pixel a dot
    "font.family": "DejaVu Sans",
}


def axes(
    rows: int = 1, columns: int = 1, *, height: float = 2.6, **options: Any
) -> tuple[Figure, npt.NDArray[np.object_]]:
    """Return a figure of the book's width with a flat array of axes, in the book's style.

    Parameters
    ----------
    rows, columns : int
    height : float
        Inches a row.
    **options
        Passed to `matplotlib.pyplot.subplots` (sharex, width_ratios, subplot_kw, ...).
    """
    # Not in an rc_context: the style must still hold when the figure is drawn, and the context would
    # undo what a notebook's backend sets when it is loaded by the first figure (then no other shows).
    mpl.rcdefaults()  # whatever the user's matplotlibrc says
    mpl.rcParams.update(_STYLE)
    figure, grid = plt.subplots(rows, columns, figsize=(WIDTH, rows * height), squeeze=False, **options)
    return figure, grid.reshape(-1)


def band(
    ax: Axes,
    x: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    label: str | None = None,
    color: str | None = None,
    quantiles: tuple[float, float] = (0.1, 0.9),
    **line: Any,
) -> None:
    """Draw the median of values (len(x), trials) over x, with a band between two quantiles."""
    x, values = np.asarray(x, dtype=float), np.asarray(values, dtype=float)
    (artist,) = ax.plot(x, np.median(values, axis=1), label=label, color=color, marker="o", **line)
    low, high = np.quantile(values, quantiles, axis=1)
    ax.fill_between(x, low, high, color=artist.get_color(), alpha=0.18, linewidth=0)


def reference_slope(ax: Axes, x: Sequence[float] | Array, anchor: float, slope: float, label: str) -> None:
    """Draw the line anchor * (x / x[0])^slope, dotted and black, in logarithmic axes."""
    x = np.asarray(x, dtype=float)
    ax.plot(x, anchor * (x / x[0]) ** slope, color="black", linestyle=":", linewidth=1.2, label=label)
