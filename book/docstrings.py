"""A Sphinx extension for what the library's documentation means and Sphinx reads as something else.

A letter and a full stop that begin a line are no number of a list. Else "h.", all that there is to say of a
bandwidth, is an empty list, and so is the initial of an author. A protocol takes no arguments.
"""

import re
from typing import Any

from sphinx.application import Sphinx

LETTER = re.compile(r"^(\s*(?:\.\. \[[\w-]+\] )?[A-Za-z])\.(?=\s|$)")


def escape(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Escape the full stop, after numpydoc has made a docstring's sections."""
    lines[:] = [LETTER.sub(r"\1\\.", line) for line in lines]


def bare(
    app: Sphinx, what: str, name: str, value: object, options: object, signature: str, returned: str
) -> tuple[str, str] | None:
    """Give a protocol no signature, in place of the one that it inherits."""
    return ("", returned) if getattr(value, "_is_protocol", False) else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""
    app.connect("autodoc-process-docstring", escape, priority=900)
    app.connect("autodoc-process-signature", bare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
