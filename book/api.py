"""The reference pages of the library: one a package, with all that its `__all__` says is public."""

import functools
import importlib
import inspect
import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.pycode import ModuleAnalyzer

import nnmoments

# Page by page, from the learners down; small modules that all others lean on share one.
PAGES = {
    "learners": ["learners"],
    "sparse": ["sparse"],
    "tensors": ["tensors"],
    "landscapes": ["landscapes"],
    "borders": ["borders"],
    "structured": ["structured"],
    "optimize": ["optimize"],
    "moments": ["moments"],
    "scores": ["scores"],
    "densities": ["densities"],
    "networks": ["networks"],
    "activations": ["activations"],
    "hermite": ["hermite"],
    "linalg": ["linalg"],
    "common": ["validation", "results", "chunks"],
}


@dataclass(frozen=True)
class Entry:
    """A public name: the package that offers it, and the module that defines it."""

    module: str
    name: str
    home: str
    value: Any

    @property
    def anchor(self) -> str:
        """The id of its entry, on its page."""
        return f"{self.module}.{self.name}"

    @property
    def kind(self) -> str:
        """What it is, as the directives call it."""
        if inspect.isclass(self.value):
            return "class"
        return "function" if inspect.isroutine(inspect.unwrap(self.value)) else "data"

    @property
    def summary(self) -> str:
        """The first paragraph of its documentation, without footnote marks."""
        text = self.comment if self.kind == "data" else inspect.getdoc(self.value) or ""
        return re.sub(r" ?\[\d+\]_", "", " ".join(text.split("\n\n")[0].split()))

    @property
    def comment(self) -> str:
        """The `#:` comment above a name that is neither class nor function."""
        found = ModuleAnalyzer.for_module(self.home).find_attr_docs()
        return "\n".join(found.get(("", self.name), [])).strip()


def modules_of(package: ModuleType) -> list[ModuleType]:
    """Return a package's modules, or a module itself, in alphabetic order."""
    if not hasattr(package, "__path__"):
        return [package]
    names = sorted(info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
    return [importlib.import_module(name) for name in names if "._" not in name]


def home_of(name: str, value: object, package: ModuleType) -> str:
    """Return the module that defines a public name of a package."""
    if inspect.isclass(value) or inspect.isroutine(inspect.unwrap(value)):
        return value.__module__
    for module in modules_of(package):
        if ("", name) in ModuleAnalyzer.for_module(module.__name__).find_attr_docs():
            return module.__name__
    return package.__name__


@functools.cache
def entries(part: str) -> tuple[Entry, ...]:
    """Return the public names of `nnmoments.part`."""
    package = importlib.import_module(f"nnmoments.{part}")
    offered = ((name, getattr(package, name)) for name in package.__all__)
    found = (Entry(package.__name__, name, home_of(name, value, package), value) for name, value in offered)
    order = ["class", "function", "data"].index
    return tuple(sorted(found, key=lambda entry: (order(entry.kind), entry.name.lower())))


@functools.cache
def anchors() -> dict[str, str]:
    """Return for each public name, by the module that defines it, its page and anchor."""
    return {
        f"{entry.home}.{entry.name}": f"{page}.html#{entry.anchor}"
        for page, parts in PAGES.items()
        for part in parts
        for entry in entries(part)
    }


def link(function: str) -> str | None:
    """Return the page and anchor of a dotted name of the library, None if it is not public.

    The name may be that of a method, and may go through any module that offers it.
    """
    module_name, rest = function, []
    while True:
        try:
            value: object = importlib.import_module(module_name)
            break
        except ModuleNotFoundError:
            module_name, _, last = module_name.rpartition(".")
            rest.insert(0, last)
    value = getattr(value, rest[0])
    home = getattr(value, "__module__", module_name)
    found = anchors().get(f"{home}.{rest[0]}")
    return None if found is None else ".".join([found, *rest[1:]])


def directive(entry: Entry) -> list[str]:
    """Return the reStructuredText of one entry."""
    if entry.kind == "data":
        source = f"../../_modules/{entry.home.replace('.', '/')}.html"
        lines = [f".. py:data:: {entry.name}", f"   :module: {entry.module}", ""]
        return [
            *lines,
            *(f"   {line}" for line in entry.comment.splitlines()),
            f"   `[source] <{source}>`__",
            "",
        ]
    lines = [f".. auto{entry.kind}:: {entry.anchor}"]
    if entry.kind == "class":
        # scikit-learn writes its own methods for metadata into every estimator.
        foreign = [name for name in vars(entry.value) if re.fullmatch(r"set_\w+_request", name)]
        lines += ["   :members:", *([f"   :exclude-members: {', '.join(foreign)}"] if foreign else [])]
    return [*lines, ""]


def page_text(parts: list[str]) -> str:
    """Return one page: what each module is for, a table of its names, and their entries."""
    title = ", ".join(parts)
    lines = [title, "=" * len(title), ""]
    for part in parts:
        if len(parts) > 1:
            lines += [part, "-" * len(part), ""]
        lines += [f".. automodule:: nnmoments.{part}", ""]
        lines += [".. list-table::", "   :class: api-names", "   :widths: auto", ""]
        for entry in entries(part):
            role = {"class": "class", "function": "func", "data": "data"}[entry.kind]
            lines += [f"   * - :py:{role}:`{entry.name} <{entry.anchor}>`", f"     - {entry.summary}"]
        lines += [""]
        for entry in entries(part):
            lines += directive(entry)
    return "\n".join(lines)


def write_pages(folder: Path) -> None:
    """Write the reference pages; raise if a module of the library is on none of them."""
    public = {info.name for info in pkgutil.iter_modules(nnmoments.__path__) if info.name[0] != "_"}
    listed = [part for parts in PAGES.values() for part in parts]
    if sorted(listed) != sorted(public):
        raise ValueError(f"book/api.py places {sorted(listed)}, the library has {sorted(public)}")
    folder.mkdir(parents=True, exist_ok=True)
    for page, parts in PAGES.items():
        (folder / f"{page}.rst").write_text(page_text(parts), encoding="utf-8")
