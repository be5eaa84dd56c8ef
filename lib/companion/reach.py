"""The code that a trial can reach, and its hash, by which a stored result is known to be current.

What is reached is read from the sources: a definition reaches the names that it uses, a name its own
definition or what it is imported from. Classes are reached whole, and so are modules that are used by
attribute. So a change makes those results stale that it can touch, and no others.
"""

import ast
import functools
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import starmap
from typing import Any

import nnmoments

__all__ = ["reached", "source_hash"]

_OWN = ("nnmoments", "companion")
_CARRIERS = (*_OWN, "companion.ledger", "companion.reach", "companion.sweep")

Target = tuple[str, str | None]  # a module and a name in it; None is all of it


def source_hash(function: Callable[..., Any]) -> str:
    """Return the hash of the code that a function can reach, of this project and of its own package.

    Comments, docstrings and blank lines do not count, types in annotations are not followed, nor the
    modules that carry results but do not make them.

    Parameters
    ----------
    function : callable
        A function or a callable object, in a module, a script, a console or a notebook; functions that
        a `functools.partial` holds are reached, too.

    Examples
    --------
    >>> from nnmoments.linalg import principal_angles
    >>> len(source_hash(principal_angles))
    64
    """
    digests = sorted({_hash(part) for part in _parts(function)})
    return digests[0] if len(digests) == 1 else _digest(digests)


def _parts(function: Any) -> Iterator[Callable[..., Any]]:
    """Yield the functions of which a callable is made."""
    if isinstance(function, functools.partial):
        for part in (function.func, *function.args, *function.keywords.values()):
            if callable(part):
                yield from _parts(part)
        return
    function = getattr(function, "__func__", function)
    yield function if isinstance(function, types.FunctionType | type) else type(function).__call__


def _hash(function: Any) -> str:
    module, name = function.__module__, function.__qualname__.partition(".")[0]
    try:
        return _hash_targets([(module, name)], {*_OWN, module.split(".")[0]})
    except (ImportError, OSError, TypeError):  # its module has no file: a notebook's, or a console's
        return _hash_unfiled(function)


def _hash_targets(targets: Iterable[Target], own: set[str]) -> str:
    found = reached(targets, own)
    texts = (f"{module}\n{_text(module, found[module])}" for module in sorted(found))
    return _digest(texts)


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


# --- what is reached ------------------------------------------------------------------------------


def reached(targets: Iterable[Target], own: Iterable[str] = _OWN) -> dict[str, set[str]]:
    """Return by module the names that can be reached from the targets, within the packages `own`.

    Parameters
    ----------
    targets : list of (module, name)
        Where to begin; a name None stands for all of the module.
    own : set of str
        Top-level packages that are followed.

    Examples
    --------
    >>> found = reached([("nnmoments.linalg", "principal_angles")])
    >>> {module: len(names) for module, names in found.items()}["nnmoments.linalg"]
    1
    """
    own, found, seen, queue = set(own), dict[str, set[str]](), set[Target](), list(starmap(_home, targets))
    while queue:
        target = module, name = queue.pop()
        if target == ("nnmoments", None):
            queue += [(inner, None) for inner in _modules("nnmoments")]
        if target in seen or module.split(".")[0] not in own or module in _CARRIERS:
            continue
        seen.add(target)
        source = _source(module)
        if name in source.imports:  # packages, above all, pass names on
            queue.append(_home(*source.imports[name]))
            continue
        if name not in source.definitions:
            queue += starmap(_home, source.imports.values())
        new = {name} if name in source.definitions else source.definitions.keys()
        new = new - found.setdefault(module, set())
        found[module] |= new
        for used in map(_used, source.statements(new)):
            queue += [(module, name) for name in used.names & source.definitions.keys()]
            queue += [_home(*source.imports[name]) for name in used.names & source.imports.keys()]
            queue += starmap(_home, used.imports.values())
    return found


@dataclass(frozen=True)
class _Source:
    """A module's statements by the names that they define, its imports, and what runs in any case."""

    lines: list[str]
    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, Target]
    always: list[ast.stmt]

    def statements(self, names: Iterable[str]) -> list[ast.stmt]:
        chosen = [statement for name in names for statement in self.definitions[name]]
        return sorted({*chosen, *self.always}, key=lambda statement: statement.lineno)


def _source(module: str) -> _Source:
    return _parsed(inspect.getsource(importlib.import_module(module)))


@functools.cache
def _parsed(text: str) -> _Source:
    source = _Source(_code_lines(text), {}, {}, [])
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            source.imports.update(_imports(statement))
        elif names := _defined(statement):
            for name in names:
                source.definitions.setdefault(name, []).append(statement)
        else:
            source.always.append(statement)
    return source


def _defined(statement: ast.stmt) -> list[str]:
    """Return the names that a statement gives, if it does nothing else."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    leaves = [leaf for target in targets for leaf in getattr(target, "elts", [target])]
    names = [leaf.id for leaf in leaves if isinstance(leaf, ast.Name)]
    return names if len(names) == len(leaves) else []


def _imports(statement: ast.Import | ast.ImportFrom) -> dict[str, Target]:
    if isinstance(statement, ast.ImportFrom):
        module = statement.module or ""
        return {alias.asname or alias.name: (module, alias.name) for alias in statement.names}
    return {
        alias.asname or alias.name.split(".")[0]: (
            alias.name if alias.asname else alias.name.split(".")[0],
            None,
        )
        for alias in statement.names
    }


class _Used(ast.NodeVisitor):
    """The names that a statement uses and what it imports; annotations change no result."""

    def __init__(self, statement: ast.stmt) -> None:
        self.names: set[str] = set()
        self.imports: dict[str, Target] = {}
        self.visit(statement)

    def visit_Name(self, node: ast.Name) -> None:
        self.names.add(node.id)

    def visit_arg(self, node: ast.arg) -> None:
        pass

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for child in (*node.decorator_list, node.args, *node.body):
            self.visit(child)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        for child in filter(None, (node.target, node.value)):
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        self.imports.update(_imports(node))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.imports.update(_imports(node))


@functools.cache
def _used(statement: ast.stmt) -> _Used:
    return _Used(statement)


def _home(module: str, name: str | None) -> Target:
    """Return where to look for what ``from module import name`` gives."""
    if name is not None and _is_module(f"{module}.{name}"):
        return f"{module}.{name}", None
    if module == "nnmoments" and name is not None:  # the front door loads late: its file shows no imports
        return str(getattr(getattr(nnmoments, name), "__module__", module)), name
    return module, name


def _modules(package: str) -> list[str]:
    path = importlib.import_module(package).__path__
    return [info.name for info in pkgutil.walk_packages(path, f"{package}.")]


def _is_module(name: str) -> bool:
    """Say whether there is such a module, imported yet or not."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False


# --- its text -------------------------------------------------------------------------------------


def _text(module: str, names: Iterable[str]) -> str:
    """Return the code of a module's names, without docstrings, comments and blank lines."""
    source = _source(module)
    rows: set[int] = set()
    for statement in source.statements(names):
        marks = [statement, *getattr(statement, "decorator_list", [])]
        rows.update(range(min(mark.lineno for mark in marks) - 1, statement.end_lineno or 0))
    return "\n".join(source.lines[row] for row in sorted(rows) if source.lines[row])


def _code_lines(text: str) -> list[str]:
    """Return the lines of a text; docstrings and comments are empty."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            for row in range(body[0].lineno - 1, body[0].end_lineno or 0):
                lines[row] = ""
    return ["" if line.lstrip().startswith("#") else line.rstrip() for line in lines]


# --- functions without a file ---------------------------------------------------------------------


def _hash_unfiled(function: Any) -> str:
    """Hash a function that has no file, all that it names beside it, and what these reach of the project."""
    texts: list[str] = []
    targets: list[Target] = []
    seen: set[int] = set()
    queue: list[Any] = [function]
    while queue:
        value = queue.pop(0)
        if id(value) in seen:
            continue
        seen.add(id(value))
        is_module = isinstance(value, types.ModuleType)
        home = str(value.__name__ if is_module else getattr(value, "__module__", None))
        if home.split(".")[0] in _OWN:
            targets.append((home, None if is_module else getattr(value, "__name__", None)))
        elif isinstance(value, types.FunctionType) and home == function.__module__:
            texts.append(_text_unfiled(value))
            names = sorted(_names(value.__code__))
            queue += [value.__globals__[name] for name in names if name in value.__globals__]
            queue += [cell.cell_contents for cell in value.__closure__ or ()]
        elif isinstance(value, type) and home == function.__module__:
            texts.append(_text_unfiled(value))
            queue += [member for member in vars(value).values() if isinstance(member, types.FunctionType)]
        elif isinstance(value, bool | int | float | str | tuple):
            texts.append(repr(value))
    return _digest([*texts, _hash_targets(targets, {*_OWN})])


def _names(code: types.CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _text_unfiled(value: Any) -> str:
    """Return the code of a function or class; its compiled form if there is no source."""
    try:
        return "\n".join(filter(None, _code_lines(textwrap.dedent(inspect.getsource(value)))))
    except (OSError, TypeError, SyntaxError):
        code = getattr(value, "__code__", None)
        return repr(value) if code is None else _compiled(code).hex()


def _compiled(code: types.CodeType) -> bytes:
    constants = [_compiled(c) if isinstance(c, types.CodeType) else repr(c).encode() for c in code.co_consts]
    return code.co_code + repr(code.co_names).encode() + b"".join(constants)
