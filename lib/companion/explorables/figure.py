"""A picture that the reader moves: data of the library in the page, drawn by a script of the page."""

import base64
import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from companion.ledger import project_root

__all__ = ["Explorable", "packed", "rounded"]


class Explorable:
    """An explorable figure: what a notebook's cell shows is data and markup; the script is the book's.

    Parameters
    ----------
    name : str
        That of its script `book/_static/explorables/<name>.js`, and of the still picture beside it,
        which stands in where no script runs.
    data : mapping
        What the script draws, all of it made by the library.
    title, caption : str
        The caption says what to do and what to look for; ``$..$`` in it is typeset.
    alt : str
        What is seen, for those who do not see it.

    Examples
    --------
    >>> words = {"title": "The ball", "caption": "Turn $z$.", "alt": "A ball."}
    >>> Explorable("l1_ball", {"x": [1.0]}, **words)
    Explorable: The ball
    """

    def __init__(self, name: str, data: Mapping[str, Any], *, title: str, caption: str, alt: str) -> None:
        self.name, self.data = name, data
        self.title, self.caption, self.alt = title, caption, alt

    def __repr__(self) -> str:
        return f"Explorable: {self.title}"

    def html(self) -> str:
        """Return the figure."""
        name = self.name.replace("_", "-")
        data = json.dumps(self.data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
        still = project_root() / "book" / "_static" / "explorables" / f"{self.name}.svg"
        picture = still.read_text(encoding="utf-8") if still.is_file() else ""
        scripts = "".join(
            f'<script src="../_static/explorables/{script}.js"></script>' for script in ("kit", self.name)
        )
        return (
            f'<figure class="explorable" id="explorable-{name}" data-draw="{self.name}" role="group" '
            f'aria-label="{escape(self.alt)}">\n'
            f'<p class="ex-heading">{escape(self.title)}</p>\n<div class="ex-controls"></div>\n'
            f'<div class="ex-stage">{picture}</div>\n<p class="ex-says" role="status"></p>\n'
            f"<figcaption>{_typeset(self.caption)}</figcaption>\n"
            f'<script type="application/json">{data}</script>\n{scripts}\n</figure>'
        )

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        return {"text/html": self.html(), "text/plain": repr(self)}


def _typeset(text: str) -> str:
    """Return text for the page, with what stands between dollars as MathJax reads it."""
    maths = r'<span class="math notranslate nohighlight">\\(\1\\)</span>'
    return re.sub(r"\$([^$]+)\$", maths, escape(" ".join(text.split()), quote=False))


def rounded(values: npt.ArrayLike, digits: int = 4) -> Any:
    """Return nested lists of numbers with so many digits: short, and the same on every machine.

    Examples
    --------
    >>> rounded([[1 / 3, -1e-17], [2e5, 12345.678]])
    [[0.3333, 0.0], [200000.0, 12350.0]]
    """
    values = np.asarray(values, dtype=float)
    if values.ndim:
        return [rounded(part, digits) for part in values]
    return 0.0 if abs(values) < 1e-12 else float(f"{float(values):.{digits}g}")


def packed(values: npt.ArrayLike) -> dict[str, Any]:
    """Return a grid (rows, columns) as bytes between its ends, for a heat map.

    Examples
    --------
    >>> packed([[0.0, 1.0], [2.0, 4.0]])
    {'shape': [2, 2], 'low': 0.0, 'high': 4.0, 'bytes': 'AECA/w=='}
    """
    values = np.asarray(values, dtype=float)
    low, high = float(f"{values.min():.6g}"), float(f"{values.max():.6g}")
    scale = 255.0 / (high - low) if high > low else 0.0
    grid = np.clip(np.rint((values - low) * scale), 0, 255).astype(np.uint8)
    text = base64.b64encode(grid.tobytes()).decode()
    return {"shape": list(values.shape), "low": low, "high": high, "bytes": text}
