"""What chapters show besides figures and claims: the source of what they call, as it runs."""

import ast
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pandas as pd

__all__ = ["LONGEST", "Source", "Table", "source", "table"]

#: Signs of the longest line of code that a page shows unbroken, at 1280 pixels.
LONGEST = 85


class Source:
    """Source code that a notebook shows as a highlighted block, in the page's own colours."""

    def __init__(self, code: str, origin: str) -> None:
        self.code = code
        self.origin = origin

    def __repr__(self) -> str:
        return self.code

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        # A title in the block itself: a link or a role would not work in Jupyter.
        return {"text/markdown": f"```python\n# {self.origin}\n{self.code}\n```", "text/plain": self.code}


def source(function: Callable[..., Any], *more: Callable[..., Any], types: bool = False) -> Source:
    """Show the running source of functions without their docstrings, so that page and code cannot drift.

    Parameters
    ----------
    function, *more : callable
        Functions, methods or classes of the library, public or not.
    types : bool
        Whether types stand in the signatures. They are noise to a reader of the algorithm.

    Returns
    -------
    Source
        Shown when it is the last value of a cell.

    Raises
    ------
    ValueError
        If what is given has no source in Python.

    Examples
    --------
    >>> from nnmoments.linalg import khatri_rao
    >>> "khatri_rao" in source(khatri_rao).code, "Examples" in source(khatri_rao).code
    (True, False)
    """
    functions = (function, *more)
    for index, each in enumerate(functions):
        if not (inspect.isfunction(each) or inspect.ismethod(each) or inspect.isclass(each)):
            raise ValueError(f"function {index} must be a function, method or class, got {each!r}")
    modules = dict.fromkeys(each.__module__ for each in functions)
    parts = [_fitted(_bare(each, types)) for each in functions]
    return Source("\n\n\n".join(parts), ", ".join(modules))


def _bare(function: Any, types: bool) -> str:
    """Return the source of one function without docstrings."""
    text = inspect.cleandoc("\n" + inspect.getsource(function))
    tree = ast.parse(text)
    lines: list[str | None] = list(text.splitlines())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            doc, last = node.body[0], node.body[-1]
            assert doc.end_lineno is not None
            for number in range(doc.lineno - 1, doc.end_lineno):
                lines[number] = None
            if last is not doc:  # the blank line under a docstring goes with it
                while not (lines[doc.end_lineno] or "").strip():
                    lines[doc.end_lineno] = None
                    doc.end_lineno += 1
    top = tree.body[0]
    if not types and isinstance(top, ast.FunctionDef):
        first = top.body[1 if ast.get_docstring(top) is not None else 0]
        head = [line for line in lines[: top.lineno - 1] if line is not None]
        start = first.lineno - 1
        while start and (lines[start - 1] or "").strip().startswith("#"):  # a comment above the first line
            start -= 1
        lines = [*head, _plain_signature(top), *lines[start:]]
    return "\n".join(line for line in lines if line is not None)


def _plain_signature(node: ast.FunctionDef) -> str:
    arguments = node.args
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        each.annotation = None
    for each in filter(None, (arguments.vararg, arguments.kwarg)):
        each.annotation = None
    return f"def {node.name}({ast.unparse(arguments)}):"


def _fitted(code: str) -> str:
    """Break lines that are too long for the page, within their brackets; long comments go above."""
    while True:
        lines = code.splitlines()
        tokens = list(tokenize.generate_tokens(io.StringIO(code + "\n").readline))
        for number, line in enumerate(lines):
            if len(line) > LONGEST and (parts := _broken(line, number + 1, tokens)):
                lines[number : number + 1] = parts
                break
        else:
            return code
        code = "\n".join(lines)


def _broken(line: str, row: int, tokens: list[tokenize.TokenInfo]) -> list[str]:
    """Return the lines that stand for one line of tokenised code, none if it has no place to break."""
    indent = len(line) - len(line.lstrip())
    opened: list[tuple[int, int]] = []
    formatted, parameters = 0, -1  # how deep in formatted strings, and where a lambda's names began
    places: list[tuple[bool, int, int, int, int, int]] = []
    for before, token in pairwise(tokens):
        if token.type == tokenize.COMMENT and token.start[0] == row:
            words = textwrap.wrap(token.string, LONGEST - indent, subsequent_indent="# ")
            rest = line[: token.start[1]].rstrip()
            return [" " * indent + each for each in words] + [rest] * bool(rest)
        comma, opens = before.string == ",", before.type == tokenize.OP and before.string in {"(", "[", "{"}
        word = token.string in {"for", "if", "else", "and", "or", "+", "-", "*", "/", "@", "|", "&"}
        # No place: a sign, a star of arguments.
        binary = word and not (before.type == tokenize.OP and before.string not in {")", "]", "}"})
        if before.string == "lambda":
            parameters = len(opened)
        elif before.string == ":" and parameters == len(opened):
            parameters = -1
        free = opened and not formatted and parameters < 0
        if free and before.end[0] == token.start[0] == row and (comma or opens or binary):
            end, start, (at, column) = before.end[1], token.start[1], opened[-1]
            pad = indent + 4 if opens else column + 1 if at == row else indent
            wide = pad + len(line) - start > LONGEST
            if indent + 12 < end <= LONGEST and token.string not in {")", "]", "}"}:
                places.append((wide, len(opened), 0 if comma else 2 if opens else 1, -end, start, pad))
        kind = tokenize.tok_name[token.type]
        formatted += (kind == "FSTRING_START") - (kind == "FSTRING_END")
        if token.type == tokenize.OP and token.string in {"(", "[", "{"}:
            opened.append(token.start)
        elif token.type == tokenize.OP and token.string in {")", "]", "}"}:
            opened.pop()
    if not places:
        return _literal(line)
    *_, end, start, pad = min(places)
    return [line[:-end], " " * pad + line[start:]]


def _literal(line: str) -> list[str]:
    """Break a literal that begins a line between two words: side by side the parts are the same string."""
    found = re.fullmatch(r'(\s*)(f?")([^"]*)"[^"]*', line)
    if found is None:
        return []
    indent, opening, text = found.groups()
    room = LONGEST - len(indent) - len(opening) - 1
    for end in range(min(room, len(text)), 0, -1):
        if text[end - 1] == " " and text[:end].count("{") == text[:end].count("}"):
            rest = line[len(indent) + len(opening) + end :]
            return [f'{indent}{opening}{text[:end]}"', f"{indent}{opening}{rest}"]
    return []


class Table:
    """A table that a notebook shows with typeset heads and sensible digits."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, str]:
        return {"text/markdown": repr(self), "text/plain": repr(self)}


def table(
    frame: pd.DataFrame, *, digits: int = 3, heads: Mapping[str, str] | None = None, index: bool = True
) -> Table:
    """Show a data frame as a table of the page.

    Parameters
    ----------
    frame : DataFrame
    digits : int
        Significant ones, of floating numbers.
    heads : mapping, optional
        What stands over a column (or over the index, by its name) in place of its name; ``$..$`` is
        typeset, so symbols and units are the field's.
    index : bool
        Whether the index is shown.

    Returns
    -------
    Table
        Shown when it is the last value of a cell.

    Raises
    ------
    ValueError
        If `heads` names no column.

    Examples
    --------
    >>> errors = pd.DataFrame({"n": [100, 1000], "error": [0.123456, 0.0000234]})
    >>> table(errors, heads={"n": "$n$", "error": "error (degrees)"}, index=False)
    | $n$ | error (degrees) |
    | --: | --: |
    | 100 | 0.123 |
    | 1000 | 2.34e-05 |
    """
    shown = frame.reset_index() if index else frame
    names = [" ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in shown.columns]
    unknown = set(heads or {}) - set(names)
    if unknown:
        raise ValueError(f"heads must name columns of {names}, got {sorted(unknown)}")
    values = [[_written(value, digits) for value in row] for row in shown.itertuples(index=False)]
    left = [  # a column of numbers stays one if a few entries are words or bold
        not pd.api.types.is_numeric_dtype(shown.dtypes.iloc[place])
        and all(isinstance(value, str) for value in shown.iloc[:, place])
        for place in range(shown.shape[1])
    ]
    return Table(
        [
            _row([(heads or {}).get(name, name) for name in names]),
            _row([":--" if side else "--:" for side in left]),
            *map(_row, values),
        ]
    )


def _row(entries: list[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _written(value: Any, digits: int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value + 0.0:.{digits}g}" if isinstance(value, float) else str(value)
