"""The look of the figures is the book's own."""

import subprocess
import sys

DRAWS = """
import matplotlib
matplotlib.use("Agg")
assert matplotlib.rcParams["text.usetex"] and matplotlib.rcParams["lines.linewidth"] == 9.0
from companion.figures import style
figure, (ax,) = style.axes()
style.band(ax, [1.0, 2.0], [[1.0, 2.0], [2.0, 3.0]])
figure.savefig("figure.png")
assert matplotlib.get_backend().lower() == "agg"
print(ax.lines[0].get_linewidth(), matplotlib.rcParams["text.usetex"])
"""


def test_a_users_matplotlibrc_changes_no_figure(tmp_path):
    """Without the defaults a chapter fails where TeX is asked for and is not installed."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nlines.linewidth: 9\naxes.grid: False\n")
    run = subprocess.run(
        [sys.executable, "-c", DRAWS], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["1.6", "False"]
    assert (tmp_path / "figure.png").stat().st_size > 1000
