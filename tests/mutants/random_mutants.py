"""Plant random errors in the library, one at a time, and count those that its tests notice.

Run ``python tests/mutants/random_mutants.py [--count N] [--seed S] [--jobs J] [package ...]``. An
operator is exchanged, a comparison turned round, a sign dropped or a constant of a formula changed.
What only tunes is left alone: module-level names in capitals, defaults of arguments, constants below
a thousandth; so are messages, representations and annotations. A mutant meets the tests of its
package, then those of the packages that build on it, then its own module's doctests. Each is listed
with its place; the last line has the seed, to run the same again. Tests that fail without any mutant
conclude nothing: they are run so first.
"""

import argparse
import ast
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from run import ROOT, copy_project, green

LIBRARY = ROOT / "lib" / "nnmoments"
#: Packages whose tests a mutant meets after those of its own.
USERS = {
    "activations": ["networks"],
    "borders": ["learners"],
    "hermite": ["activations", "networks"],
    "landscapes": ["structured", "learners"],
    "linalg": ["densities", "moments"],
    "moments": ["tensors", "learners"],
    "optimize": ["landscapes", "tensors"],
    "sparse": ["learners"],
    "tensors": ["learners"],
}
ARITHMETIC = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.Pow: ("**", "*"),
    ast.MatMult: ("@", "*"),
}
COMPARISON = {
    ast.Lt: ("<", ">="),
    ast.LtE: ("<=", ">"),
    ast.Gt: (">", "<="),
    ast.GtE: (">=", "<"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
}
LOGIC = {ast.And: ("and", "or"), ast.Or: ("or", "and")}
#: A mutant that keeps its tests busy for longer is noticed.
SECONDS = 600.0


class RandomMutant(NamedTuple):
    """A file with one error."""

    path: Path
    line: int
    change: str
    text: str


class Source:
    """A file's text, in which places are told by line and column."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.raw = path, text.encode()
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line.encode()))

    def begin(self, node: ast.expr) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr) -> int:
        return self.starts[node.end_lineno - 1] + node.end_col_offset

    def put(self, node: ast.expr, first: int, last: int, new: str) -> RandomMutant:
        """Exchange the bytes from first to last."""
        old = self.raw[first:last].decode()
        return RandomMutant(
            self.path,
            node.lineno,
            f"{old} -> {new}",
            (self.raw[:first] + new.encode() + self.raw[last:]).decode(),
        )

    def between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[RandomMutant]:
        """Exchange the operator between two operands, if it is plain which it is."""
        gap = self.raw[self.end(left) : self.begin(right)].decode()
        if gap.count(old) == 1:
            first = self.end(left) + len(gap[: gap.index(old)].encode())
            yield self.put(left, first, first + len(old), new)


def mutants(path: Path, text: str) -> Iterator[RandomMutant]:
    """Yield every mutant of a source text."""
    source = Source(path, text)

    def is_text(*nodes: ast.expr) -> bool:
        return any(isinstance(node, ast.JoinedStr | ast.Constant) and not is_number(node) for node in nodes)

    def visit(node: ast.AST) -> Iterator[RandomMutant]:
        children = list(ast.iter_child_nodes(node))
        match node:
            case ast.Raise() | ast.Assert() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
                return
            case _ if is_apart(node):
                return
            case ast.FunctionDef(body=body):
                children = list(body)
            case ast.AnnAssign(value=value):
                children = [] if value is None else [value]
            case ast.BinOp(left, op, right) if type(op) in ARITHMETIC and not is_text(left, right):
                yield from source.between(left, right, *ARITHMETIC[type(op)])
            case ast.Compare(left, [op], [right]) if type(op) in COMPARISON:
                yield from source.between(left, right, *COMPARISON[type(op)])
            case ast.BoolOp(op, [left, right, *_]):
                yield from source.between(left, right, *LOGIC[type(op)])
            case ast.UnaryOp(ast.USub(), operand) if not isinstance(operand, ast.Constant):
                yield source.put(node, source.begin(node), source.begin(node) + 1, "+")
            case ast.Constant(value=value) if is_number(node) and 1e-3 < abs(value) < 1e3:
                new = str(value + 1) if isinstance(value, int) else repr(2.0 * value)
                yield source.put(node, source.begin(node), source.end(node), new)
        for child in children:
            yield from visit(child)

    return visit(ast.parse(text))


def is_number(node: ast.AST) -> bool:
    """Say whether a node is a number; True and False are none."""
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def is_apart(node: ast.AST) -> bool:
    """Say whether a statement only shows or tunes: `__repr__`, or a constant with a name in capitals."""
    match node:
        case ast.FunctionDef(name=name):
            return name == "__repr__"
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name.lstrip("_").isupper() and len(name.lstrip("_")) > 1
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=value):
            return all(is_apart(ast.Assign(targets=[name], value=value)) for name in names)
    return False


def tests_of(package: str) -> list[str]:
    """Return the folder or file of a package's tests."""
    places = (Path("tests/library", package), Path("tests/library", f"test_{package}.py"))
    return [str(place) for place in places if (ROOT / place).exists()]


def met_by(path: Path) -> list[str]:
    """Return what a mutant of a file meets, its doctests last.

    Were the file collected first, pytest would import it apart from its package, and classes would not
    pickle: tests would fail whatever the file says.
    """
    package = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
    tests = [test for name in (package, *USERS.get(package, [])) for test in tests_of(name)]
    return [*tests, str(path.relative_to(ROOT))]


def killed(mutant: RandomMutant) -> bool:
    """Plant one mutant in a copy and say whether a test fails, or does not end."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        project = copy_project(Path(folder).resolve())
        (project / mutant.path.relative_to(ROOT)).write_text(mutant.text, encoding="utf-8")
        try:
            return not green(project, met_by(mutant.path), timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return True


def main() -> int:
    """Draw mutants, plant them, print what became of each and how many were killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", help="packages or modules of nnmoments; all by default")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    files = sorted(path for path in LIBRARY.rglob("*.py") if path.name != "__init__.py")
    if options.packages:
        names = {path: path.relative_to(LIBRARY).parts[0].removesuffix(".py") for path in files}
        files = [path for path in files if names[path] in options.packages]
    every = [mutant for path in files for mutant in mutants(path, path.read_text(encoding="utf-8"))]
    chosen = random.Random(seed).sample(every, min(options.count, len(every)))
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        met = {test for mutant in chosen for test in met_by(mutant.path)}
        if not green(copy_project(Path(folder).resolve()), sorted(met, reverse=True)):  # tests, then lib
            print("the tests fail without any mutant; nothing can be concluded")
            return 2
    start, survivors = time.perf_counter(), 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for mutant, dead in zip(chosen, pool.map(killed, chosen), strict=True):
            survivors += not dead
            outcome, place = "killed" if dead else "SURVIVED", mutant.path.relative_to(LIBRARY)
            print(f"{outcome:9} {place}:{mutant.line}: {mutant.change}", flush=True)
    seconds = time.perf_counter() - start
    dead = len(chosen) - survivors
    print(f"seed {seed}: {dead} of {len(chosen)} killed, {len(every)} possible, {seconds:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
