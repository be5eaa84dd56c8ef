"""The claims ledger: what the papers say, what was measured, and whether they agree.

The rows are in `book/claims/*.yml`. A notebook records a measurement with `record`; the rule of
its row is evaluated on the spot and must agree with the committed verdict, so a number that stops
being true stops the build. A rule shows that it can tell by a foil, something measured beside it
for which the outcome must be another.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import yaml

from nnmoments.validation import check_choice, check_integer, check_number

__all__ = [
    "EVIDENCE",
    "LEVEL",
    "MIME",
    "NEEDED",
    "VERDICTS",
    "Claim",
    "LedgerError",
    "Pending",
    "Rule",
    "digits",
    "load",
    "pending",
    "project_root",
    "record",
]

#: Confidence level of an interval whose row names no other: one false alarm in a million.
LEVEL = 1.0 - 1e-6

#: Mime type under which a notebook's output carries a record.
MIME = "application/vnd.nnmoments.claim+json"

_PENDING = "pending.yml"

#: The verdicts by kind of row: a statement of a paper, an assumption that is broken on purpose, and
#: a hypothesis or a finding of ours. Only what a paper itself says is refuted.
VERDICTS = {
    "claim": ("reproduced", "corrected", "refuted", "undecided"),
    "control": ("holds", "fails"),
    "ours": ("holds", "fails", "undecided"),
}

#: What must become of the rule, by verdict.
NEEDED = {
    "reproduced": "holds",
    "corrected": "holds",
    "refuted": "fails",
    "undecided": "is left undecided",
    "holds": "holds",
    "fails": "fails",
}

#: Where a row's value may come from: the live run, stored results, or the two together.
EVIDENCE = ("live", "stored", "both")


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

    def outcome(self, value: float, low: float, high: float) -> str:
        """Say what becomes of the rule: it "holds", "fails" or "is left undecided"."""
        if self.holds(value, low, high):
            return "holds"
        return "fails" if self.fails(value, low, high) else "is left undecided"

    def __str__(self) -> str:
        match self.kind, self.bounds:
            case "within", (bottom, top):
                return f"in [{_spelt(bottom)}, {_spelt(top)}]"
            case "equals", (target, width):
                return f"{_spelt(target)}, known to ±{_spelt(width)}"
            case kind, (bound, *_):
                return f"{kind.replace('_', ' ')} {_spelt(bound)}"
        raise AssertionError(self.kind)


@dataclass(frozen=True)
class Claim:
    """One row of the ledger; the fields are those of the YAML files.

    ``foil`` says for what the rule must have another outcome (see `record`), ``rule_set`` whether it
    was set before or after its results were seen, ``pooled`` that it rests on what is stored at all seeds
    together. What is below ``floor`` is zero up to rounding, and shown so.
    """

    id: str
    paper: str
    kind: str
    locus: str
    statement: str
    paper_value: str
    measure: str
    rule: Rule
    verdict: str
    false_alarm: float
    evidence: str
    chapter: str
    anchor: str
    function: str
    test: str
    reason: str = ""
    foil: str = ""
    rule_set: str = ""
    pooled: bool = False
    floor: float = 0.0
    source: Path = field(default=Path(), repr=False, compare=False)

    @property
    def needed(self) -> str:
        """What must become of the rule for the verdict to stand."""
        return NEEDED[self.verdict]


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
        floor = check_number("floor", float(raw.get("floor", 0.0)))
        numbers = {"rule": rule, "false_alarm": alarm, "floor": floor}
        claim = Claim(**{**raw, **numbers, "source": path})
        check_choice("paper", claim.paper, ("SA", "ZS", "GP", "GM", "NEW"))
        check_choice("kind", claim.kind, tuple(VERDICTS))
        check_choice(f"verdict of a row of kind {claim.kind!r}", claim.verdict, VERDICTS[claim.kind])
        check_choice("evidence", claim.evidence, EVIDENCE)
        check_choice("rule_set", claim.rule_set, ("", "before", "after"))
        check_choice("pooled", claim.pooled, (True, False) if claim.evidence == "stored" else (False,))
    except KeyError as error:
        raise LedgerError(f"{path.name}: {name}: the row has no {error}") from error
    except (TypeError, ValueError, LedgerError) as error:
        raise LedgerError(f"{path.name}: {name}: {error}") from error
    if claim.kind == "claim" and claim.paper == "NEW":
        raise LedgerError(f"{path.name}: {name}: what no paper says is a control or ours, not a claim")
    if claim.verdict not in ("reproduced", "holds") and not claim.reason:
        raise LedgerError(f"{path.name}: {name}: the verdict {claim.verdict} needs a reason")
    return claim


# What a foil leaves below this is rounding, and differs from run to run.
_ROUNDING = 1e-12

_MINUS = "\N{MINUS SIGN}"
_RAISED = dict(zip(range(ord("0"), ord("9") + 1), "⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True)) | {ord("-"): "⁻"}


def digits(value: float, floor: float = 0.0) -> str:
    """Write a number as box, prose and ledger all show it: three digits; zero up to `floor`.

    Examples
    --------
    >>> digits(0.28449), digits(26137.4), digits(-0.0), digits(-1.5), digits(-1e-16, floor=1e-12)
    ('0.284', '26100', '0', '−1.5', '<10⁻¹²')
    """
    if abs(value) < floor:
        return f"<{digits(floor)}"
    rounded = _rounded(value)
    return _spelt(rounded, ".0f" if 1e3 <= abs(rounded) < 1e6 else ".3g")


def _spelt(value: float, form: str = "g") -> str:
    """Write a number with a minus sign and a power of ten."""
    mantissa, _, exponent = format(value, form).partition("e")
    power = f" × 10{str(int(exponent)).translate(_RAISED)}" if exponent else ""
    return f"{mantissa}{power}".removeprefix("1 × ").replace("-", _MINUS)


def _measured(id: str, what: str, value: Any, interval: Sequence[float] | None) -> tuple[float, float, float]:
    """Return (value, low, high), all finite and in this order."""
    try:
        value = float(value)
        low, high = (value, value) if interval is None else map(float, interval)
    except (TypeError, ValueError):
        raise LedgerError(
            f"{id}: the {what} must be a number and its interval a pair of them, got {value!r}, {interval!r}"
        ) from None
    if not (low <= value <= high and math.isfinite(low) and math.isfinite(high)):
        raise LedgerError(
            f"{id}: the {what} must be finite and inside its finite interval, got {value} [{low}, {high}]"
        )
    return value, low, high


def record(
    id: str,
    value: float,
    interval: Sequence[float] | None = None,
    *,
    foil: float | Sequence[float] | None = None,
    trials: int | None = None,
    level: float = LEVEL,
) -> None:
    """Judge a measured value by the claim's rule, show one line, and glue the value under its id.

    Parameters
    ----------
    id : str
        The claim.
    value : float
        What was measured.
    interval : (low, high), optional
        Interval around it at the ledger's level; none for a deterministic quantity. Half its width
        is the smallest effect that could have been told.
    foil : float or (value, low, high), optional
        The same quantity measured for the row's foil: permuted labels, the wrong score, a raw
        baseline. Given if and only if the row names its foil.
    trials : int, optional
        How many trials the value rests on.
    level : float
        Level of the interval.

    Raises
    ------
    LedgerError
        If there is no such claim, the value or a bound of its interval is no finite number, the
        outcome contradicts the committed verdict, or the foil gives the outcome that the verdict
        needs: then the rule cannot tell.
    """
    claims = load()
    if id not in claims:
        raise LedgerError(f"id must be a claim of book/claims, got {id!r}")
    claim = claims[id]
    value, low, high = _measured(id, "value", value, interval)
    outcome = claim.rule.outcome(value, low, high)
    found = f"{claim.measure}: {digits(value, claim.floor)}"
    if interval is not None:
        found += f"{_interval(low, high, claim.floor)}, resolution ±{digits((high - low) / 2.0)}"
    found += f"; rule: {claim.rule}"
    if outcome != claim.needed:
        raise LedgerError(
            f"{id}: the rule {outcome}, but the ledger says {claim.verdict!r}. {found}. Mend what broke, "
            f"or change the verdict and say why in {claim.source.name}."
        )
    against = _foil(claim, foil)
    if against is not None:
        shown = digits(against[0], _ROUNDING) + (_interval(*against[1:]) if against[1] < against[2] else "")
        found += f"; foil, {claim.foil}: {shown}"
    if trials is not None:
        found += f"; {check_integer('trials', trials, 1)} trials"
    result = {
        "id": id,
        "kind": claim.kind,
        "evidence": claim.evidence,
        "value": _rounded(value, claim.floor),
        "low": _rounded(low, claim.floor),
        "high": _rounded(high, claim.floor),
        "level": None if interval is None else check_number("level", level, above=0.0, below=1.0),
        "resolution": None if interval is None else _rounded((high - low) / 2.0),
        "foil": None if against is None else [_rounded(bound, _ROUNDING) for bound in against],
        "holds": outcome == "holds",
        "trials": trials,
    }
    _show(claim, found, result)


def _foil(claim: Claim, foil: Any) -> tuple[float, float, float] | None:
    """Return what was measured for the foil, which must not have the outcome that the verdict needs."""
    if (foil is None) is not (claim.foil == ""):
        said = f"names a foil, {claim.foil}: record it" if claim.foil else "names no foil: say what it is"
        raise LedgerError(f"{claim.id}: the row {said}")
    if foil is None:
        return None
    try:
        value, *interval = foil
    except TypeError:  # one number
        value, interval = foil, []
    against = _measured(claim.id, "foil", value, interval or None)
    if claim.rule.outcome(*against) == claim.needed:
        raise LedgerError(
            f"{claim.id}: the rule ({claim.rule}) {claim.needed} for the foil too, {claim.foil}, with "
            f"{digits(against[0])}{_interval(*against[1:])}: it cannot tell"
        )
    return against


def _interval(low: float, high: float, floor: float = 0.0) -> str:
    return f" [{digits(low, floor)}, {digits(high, floor)}]"


def _rounded(value: float, floor: float = 0.0) -> float:
    """Return the number that `digits` shows."""
    return 0.0 if abs(value) < floor else float(f"{value:.3g}") + 0.0


class _Shown(str):
    """A text that notebooks show as it is, without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _show(claim: Claim, found: str, result: Mapping[str, Any]) -> None:
    from IPython.display import display
    from myst_nb import glue

    html = (
        f'<p class="claim claim-{claim.verdict}"><strong>{claim.id}</strong> '
        f"<em>{claim.verdict}</em> ({claim.kind}, {claim.evidence}): {escape(found)}</p>"
    )
    plain = f"{claim.id} {claim.verdict} ({claim.kind}, {claim.evidence}): {found}"
    display({"text/plain": plain, "text/html": html, MIME: dict(result)}, raw=True)
    glue(claim.id, _Shown(digits(result["value"], claim.floor)), display=False)
