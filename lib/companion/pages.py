"""What chapters show besides figures and claims: the source of what they call, as it runs."""

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Source", "source"]


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
    parts = [_bare(each, types) for each in functions]
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
