"""The claims ledger: what the papers say, what was measured, and whether they agree.

The rows are in `book/claims/*.yml`. A notebook records a measurement with `record`; the rule of
its row is evaluated on the spot and must agree with the committed verdict, so a number that stops
being true stops the build.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import yaml

from nnmoments.validation import check_choice, check_number

__all__ = [
    "LEVEL",
    "MIME",
    "VERDICTS",
    "Claim",
    "LedgerError",
    "Pending",
    "Rule",
    "load",
    "pending",
    "project_root",
    "record",
]

#: Confidence level of every interval in the book: one false alarm in a million intervals.
LEVEL = 1.0 - 1e-6

#: Mime type under which a notebook's output carries a record.
MIME = "application/vnd.nnmoments.claim+json"

_PENDING = "pending.yml"

VERDICTS = ("reproduced", "reproduced-with-correction", "not-reproduced", "extended")


class LedgerError(RuntimeError):
    """A measurement contradicts the ledger, or a row is not well formed."""


@dataclass(frozen=True)
class Rule:
    """When a measured interval satisfies a claim, and when it refutes it.

    ``at_most``, ``at_least`` and ``within`` bound the whole interval. ``equals`` asks that the
    interval holds the value and is no wider than ``resolution`` to either side, so that ignorance
    does not count as agreement. Nor does it count as refutation: that takes an interval which lies
    wholly outside the bounds. In between, nothing is decided.

    Examples
    --------
    >>> Rule.parse({"within": [-0.55, -0.45]}).holds(-0.5, -0.53, -0.47)
    True
    >>> vague = Rule.parse({"equals": 1.0, "resolution": 0.1})
    >>> vague.holds(1.0, 0.5, 1.5), vague.fails(1.0, 0.5, 1.5), vague.fails(2.0, 1.5, 2.5)
    (False, False, True)
    """

    kind: str
    bounds: tuple[float, ...]

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> "Rule":
        """Read a rule from its row."""
        match dict(raw):
            case {"at_most": bound, **rest} if not rest:
                return cls("at_most", (float(bound),))
            case {"at_least": bound, **rest} if not rest:
                return cls("at_least", (float(bound),))
            case {"within": [low, high], **rest} if not rest and float(low) < float(high):
                return cls("within", (float(low), float(high)))
            case {"equals": value, "resolution": width, **rest} if not rest and float(width) > 0:
                return cls("equals", (float(value), float(width)))
        raise LedgerError(
            "a rule is one of at_most: x, at_least: x, within: [a, b], equals: x with resolution: r; "
            f"got {raw}"
        )

    def holds(self, value: float, low: float, high: float) -> bool:
        """Say whether the interval [low, high] around the value satisfies the rule."""
        if not (math.isfinite(value) and low <= value <= high):
            return False
        match self.kind, self.bounds:
            case "at_most", (bound,):
                return high <= bound
            case "at_least", (bound,):
                return low >= bound
            case "within", (bottom, top):
                return bottom <= low and high <= top
            case _, (target, width):
                return low <= target <= high and max(high - value, value - low) <= width
        raise AssertionError(self.kind)

    def fails(self, value: float, low: float, high: float) -> bool:
        """Say whether no point of the interval [low, high] around the value satisfies the rule."""
        if not (math.isfinite(value) and low <= value <= high):
            return False
        match self.kind, self.bounds:
            case "at_most", (bound,):
                return low > bound
            case "at_least", (bound,):
                return high < bound
            case "within", (bottom, top):
                return high < bottom or low > top
            case _, (target, _):
                return not low <= target <= high
        raise AssertionError(self.kind)

    def __str__(self) -> str:
        match self.kind, self.bounds:
            case "within", (bottom, top):
                return f"in [{bottom:g}, {top:g}]"
            case "equals", (target, width):
                return f"{target:g}, known to ±{width:g}"
            case kind, (bound, *_):
                return f"{kind.replace('_', ' ')} {bound:g}"
        raise AssertionError(self.kind)


@dataclass(frozen=True)
class Claim:
    """One row of the ledger; the fields are those of the YAML files."""

    id: str
    paper: str
    locus: str
    statement: str
    paper_value: str
    measure: str
    rule: Rule
    verdict: str
    false_alarm: float
    chapter: str
    anchor: str
    function: str
    test: str
    reason: str = ""
    source: Path = field(default=Path(), repr=False, compare=False)

    @property
    def expects(self) -> bool:
        """Whether the rule is to hold: a claim that is not reproduced is to be refuted."""
        return self.verdict != "not-reproduced"


@dataclass(frozen=True)
class Pending:
    """A claim of a chapter that is not written yet."""

    id: str
    paper: str
    locus: str
    statement: str
    chapter: str


def project_root(start: Path | None = None) -> Path:
    """Return the nearest folder at or above `start` (default: cwd) that holds `book/claims`.

    Raises
    ------
    LedgerError
        If there is none: the ledger belongs to a checkout of the project.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "book" / "claims").is_dir():
            return folder
    raise LedgerError(f"no book/claims folder at or above {start}; run inside a checkout of the project")


def load(root: Path | None = None) -> dict[str, Claim]:
    """Return all rows of the ledger by id, in the files' order.

    Raises
    ------
    LedgerError
        Naming the row that is not well formed.
    """
    folder = (root or project_root()) / "book" / "claims"
    paths = tuple(path for path in sorted(folder.glob("*.yml")) if path.name != _PENDING)
    return dict(_load(paths, tuple(path.stat().st_mtime_ns for path in paths)))


def pending(root: Path | None = None) -> list[Pending]:
    """Return the claims that wait for their chapter."""
    path = (root or project_root()) / "book" / "claims" / _PENDING
    rows = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    try:
        return [Pending(**raw) for raw in rows or []]
    except TypeError as error:
        raise LedgerError(f"{path.name}: {error}") from error


@functools.lru_cache(maxsize=4)
def _load(paths: tuple[Path, ...], modified: tuple[int, ...]) -> Mapping[str, Claim]:
    """Read the files; the times at which they were modified only key the cache."""
    claims: dict[str, Claim] = {}
    for path in paths:
        for raw in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
            claim = _parse(raw, path)
            if claim.id in claims:
                raise LedgerError(f"{path.name}: claim {claim.id} stands twice in the ledger")
            claims[claim.id] = claim
    return claims


def _parse(raw: Mapping[str, Any], path: Path) -> Claim:
    if not isinstance(raw, Mapping):
        raise LedgerError(f"{path.name}: a row must be a mapping of fields, got {raw!r}")
    name = raw.get("id", "a row without an id")
    try:
        # YAML reads 1e-6, which has no point, as text.
        alarm = check_number("false_alarm", float(raw["false_alarm"]), below=1.0)
        rule = Rule.parse(raw["rule"])
        claim = Claim(**{**raw, "rule": rule, "false_alarm": alarm, "source": path})
        check_choice("verdict", claim.verdict, VERDICTS)
        check_choice("paper", claim.paper, ("SA", "ZS", "GP", "GM", "NEW"))
    except KeyError as error:
        raise LedgerError(f"{path.name}: {name}: the row has no {error}") from error
    except (TypeError, ValueError, LedgerError) as error:
        raise LedgerError(f"{path.name}: {name}: {error}") from error
    if claim.verdict != "reproduced" and not claim.reason:
        raise LedgerError(f"{path.name}: {name}: the verdict {claim.verdict} needs a reason")
    return claim


def record(id: str, value: float, interval: Sequence[float] | None = None) -> None:
    """Judge a measured value by the claim's rule, show one line, and glue the value under its id.

    Parameters
    ----------
    id : str
        The claim.
    value : float
        What was measured.
    interval : (low, high), optional
        Interval around it at the ledger's level; none for a deterministic quantity.

    Raises
    ------
    LedgerError
        If there is no such claim, the value or a bound of its interval is no finite number, or the
        outcome contradicts the committed verdict.
    """
    claims = load()
    if id not in claims:
        raise LedgerError(f"id must be a claim of book/claims, got {id!r}")
    claim = claims[id]
    try:
        value = float(value)
        low, high = (value, value) if interval is None else map(float, interval)
    except (TypeError, ValueError):
        raise LedgerError(
            f"{id}: the value must be a number and its interval a pair of them, got {value!r}, {interval!r}"
        ) from None
    if not (low <= value <= high and math.isfinite(low) and math.isfinite(high)):
        raise LedgerError(
            f"{id}: the value must be finite and inside its finite interval, got {value} [{low}, {high}]"
        )
    holds, fails = claim.rule.holds(value, low, high), claim.rule.fails(value, low, high)
    spread = "" if interval is None else f" [{low:.3g}, {high:.3g}]"
    found = f"{claim.measure}: {value:.3g}{spread}; rule: {claim.rule}"
    if not (holds if claim.expects else fails):
        outcome = "holds" if holds else "fails" if fails else "is left undecided by the interval"
        raise LedgerError(
            f"{id}: the rule {outcome}, but the ledger says {claim.verdict!r}. {found}. Mend what broke, "
            f"or change the verdict and say why in {claim.source.name}."
        )
    _show(claim, found, {"id": id, "value": value, "low": low, "high": high, "holds": holds})


def _show(claim: Claim, found: str, outcome: Mapping[str, Any]) -> None:
    from IPython.display import display
    from myst_nb import glue

    rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in outcome.items()}
    html = (
        f'<p class="claim claim-{claim.verdict}"><strong>{claim.id}</strong> '
        f"<em>{claim.verdict}</em>: {escape(found)}</p>"
    )
    plain = f"{claim.id} {claim.verdict}: {found}"
    display({"text/plain": plain, "text/html": html, MIME: rounded}, raw=True)
    glue(claim.id, rounded["value"], display=False)
