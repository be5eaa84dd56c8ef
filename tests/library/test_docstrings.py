"""Every public name of the library is documented in numpydoc's form, which the reference pages show."""

import ast
import dataclasses
import functools
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator
from types import ModuleType

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import Validator, validate
from sphinx.pycode import ModuleAnalyzer

import nnmoments

# numpydoc's own rules: a docstring, a summary, the parameters of the signature in their order and
# no others, each with a type; what is returned or yielded.
RULES = {"GL08", "SS01", "PR01", "PR02", "PR03", "PR04", "RT01", "YD01"}

# The signs of an example's line that fit a method's entry of the reference, on a page of 1280 pixels.
WIDTH = 88

PACKAGES = [importlib.import_module(f"nnmoments.{m.name}") for m in pkgutil.iter_modules(nnmoments.__path__)]


def is_function(value: object) -> bool:
    return inspect.isfunction(inspect.unwrap(value))


def is_property(owner: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(owner, name, None), property | functools.cached_property)


def is_protocol(value: type) -> bool:
    return getattr(value, "_is_protocol", False)


def modules(package: ModuleType) -> list[ModuleType]:
    """Return a package's modules; a module is its own."""
    found = pkgutil.walk_packages(getattr(package, "__path__", []), f"{package.__name__}.")
    return [importlib.import_module(info.name) for info in found] or [package]


def offered() -> Iterator[tuple[str, str, object]]:
    """Each package, public name and its value."""
    for package in PACKAGES:
        for name in package.__all__:
            yield package.__name__, name, getattr(package, name)


def public() -> Iterator[tuple[str, object]]:
    """All public functions and classes, and the classes' own methods and properties."""
    for package, name, value in offered():
        if inspect.isclass(value) or is_function(value):
            yield f"{package}.{name}", value
        for own, member in vars(value).items() if inspect.isclass(value) else ():
            function = getattr(member, "__func__", member)  # of a static or class method
            described = is_function(function) or isinstance(member, property | functools.cached_property)
            if described and not own.startswith("_"):
                yield f"{package}.{name}.{own}", function


PUBLIC = dict(public())


def raises(function: object) -> bool:
    """Whether the body itself raises an error, or has an argument checked."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    checked = any(getattr(call, "id", "").startswith("check_") for call in calls)
    return checked or any(isinstance(node, ast.Raise) for node in ast.walk(tree))


def too_wide(text: str) -> list[str]:
    """Return the lines of a docstring's examples, and of what they print, that a page would break."""
    blocks = [block for block in text.split("\n\n") if ">>> " in block]
    return [line for block in blocks for line in block.splitlines() if len(line) > WIDTH]


def faults(value: object, *, method: bool = False) -> set[str]:
    """Return what a docstring lacks, by numpydoc's codes.

    RS01: what is raised; EX01: a doctest; EX02: lines of it that fit the page. The example of a class
    serves its methods. The fields of a result are attributes, since only its function fills them in. A
    protocol takes no arguments; private fields are nobody's to give.
    """
    text = inspect.getdoc(value)
    if not text:
        return {"GL08"}
    wide = {"EX02"} if too_wide(text) else set()
    if not (inspect.isclass(value) or is_function(value)):  # a property
        return wide
    document = get_doc_object(value)
    found = wide | {code for code, _ in validate(document)["errors"]} & RULES
    if inspect.isclass(value):
        entries = [*document["Parameters"], *document["Attributes"]]
        names = {name for entry in entries for name in entry.name.split(", ")}
        taken = () if is_protocol(value) else Validator(document).signature_parameters
        found -= {"PR01", "PR02", "PR03"}
        found |= {"PR01"} if any(name not in names and name[0] != "_" for name in taken) else set()
        # numpydoc adds properties and defaults to the attributes, whose types stand elsewhere.
        typed = {name for entry in entries if entry.type for name in entry.name.split(", ")}
        found |= {"PR04"} if any(not is_property(value, name) for name in names - typed) else set()
    elif raises(value) and not document["Raises"]:
        found.add("RS01")
    if not method and ">>> " not in "\n".join(document["Examples"]):
        found.add("EX01")
    return found


def declared(name: str) -> object | None:
    """Return the method that a class's own method overrides, and that documents it; None if none does."""
    owner, _, own = name.rpartition(".")
    for base in PUBLIC[owner].__mro__[1:]:
        if own in vars(base) and vars(base)[own].__doc__:
            return vars(base)[own]
    return None


def faults_of(name: str) -> set[str]:
    value, method = PUBLIC[name], name.rpartition(".")[0] in PUBLIC
    if method and not value.__doc__ and (base := declared(name)) is not None:
        # Documented where it is declared, so it must take the same arguments.
        if isinstance(base, property | functools.cached_property):
            return set()
        return (
            set()
            if list(inspect.signature(value).parameters) == list(inspect.signature(base).parameters)
            else {"PR01"}
        )
    return faults(value, method=method)


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_is_complete(name):
    assert not faults_of(name)


def test_constants_and_instances_have_a_comment():
    """The reference shows the `#:` comment above them."""
    commented = {
        (package.__name__, name)
        for package in PACKAGES
        for module in modules(package)
        for _, name in ModuleAnalyzer.for_module(module.__name__).find_attr_docs()
    }
    for package, name, value in offered():
        assert inspect.isclass(value) or is_function(value) or (package, name) in commented, name


def complete(n: int, scale: float = 1.0) -> float:
    """Return n times the scale.

    Parameters
    ----------
    n : int
    scale : float
        Positive.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If n is negative.

    Examples
    --------
    >>> complete(2)
    2.0
    """
    if n < 0:
        raise ValueError("n must not be negative")
    return n * scale


# What is taken out of a complete docstring, or put in its place, and the fault that must be found.
FOILS = {
    "no docstring": ("", "", "GL08"),
    "no summary": ("Return n times the scale.\n", "", "SS01"),
    "no parameter": ("n : int\n", "", "PR01"),
    "unknown parameter": ("n : int\n", "n : int\nk : int\n", "PR02"),
    "another order": (
        "n : int\nscale : float\n    Positive.\n",
        "scale : float\nn : int\n",
        "PR03",
    ),
    "no type": ("n : int\n", "n\n", "PR04"),
    "no result": ("Returns\n-------\nfloat\n", "", "RT01"),
    "no error": ("Raises\n------\nValueError\n    If n is negative.\n", "", "RS01"),
    "no example": (">>> complete(2)\n2.0", "complete(2) is 2.", "EX01"),
    "a wide example": (">>> complete(2)", ">>> complete(" + " + ".join(["0"] * WIDTH) + ")", "EX02"),
    "a wide result": ("2.0", "2.0" + WIDTH * "0", "EX02"),
}


@pytest.mark.parametrize("foil", FOILS)
def test_each_rule_has_a_docstring_that_breaks_it(foil, monkeypatch):
    assert not faults(complete)
    old, new, code = FOILS[foil]
    text = inspect.getdoc(complete)
    assert old in text
    monkeypatch.setattr(complete, "__doc__", text.replace(old, new) if old else "")
    assert faults(complete) == {code}


@dataclasses.dataclass
class Complete:
    """A number and its square.

    Parameters
    ----------
    n : int
    scale : float

    Examples
    --------
    >>> Complete(2).square
    4
    """

    n: int
    scale: float = 1.0
    _kept: int = 0

    @property
    def square(self) -> int:
        """The square."""
        return self.n**2


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [("n : int\n", "", "PR01"), ("n : int\n", "n\n", "PR04"), ("scale : float\n", "scale\n", "PR04")],
)
def test_parameters_of_a_class(old, new, code, monkeypatch):
    assert not faults(Complete)
    monkeypatch.setattr(Complete, "__doc__", Complete.__doc__.replace(old, new))
    assert faults(Complete) == {code}


def test_a_checked_argument_counts_as_an_error():
    def checked(n: int) -> None:
        check_integer("n", n)  # noqa: F821

    assert raises(checked)
    assert not raises(lambda n: n)
