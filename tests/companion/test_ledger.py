"""The ledger's rules, its rows, and what a notebook gets to see."""

import itertools
import math
import os
import re
from pathlib import Path

import IPython.display
import myst_nb
import numpy as np
import pytest

from companion import ledger
from companion.ledger import (
    LEVEL,
    MIME,
    NEEDED,
    VERDICTS,
    LedgerError,
    Rule,
    digits,
    load,
    project_root,
    record,
)

ROOT = Path(__file__).resolve().parents[2]

ROW = """
- id: SA-P1
  paper: SA
  kind: claim
  locus: Proposition 1
  statement: Stein's lemma holds.
  paper_value: equality
  measure: worst |z| & co
  rule: {at_most: 5.5}
  verdict: reproduced
  false_alarm: 1.0e-6
  evidence: live
  chapter: 01_stein_moments
  anchor: stein-lemma
  function: nnmoments.moments.cross_moment
  test: tests/library/moments/test_estimate.py::test_stein_identity
"""
FOIL = ROW + "  foil: the wrong score\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a ledger into a fresh project and go there."""
    folder = tmp_path / "book" / "claims"
    folder.mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")

    def write(text, name="chapter.yml"):
        (folder / name).write_text(text, encoding="utf-8")
        return folder

    return write


@pytest.fixture
def shown(monkeypatch):
    """Catch what record displays and glues."""
    caught = {}
    monkeypatch.setattr(IPython.display, "display", lambda bundle, raw: caught.update(bundle=bundle, raw=raw))
    monkeypatch.setattr(
        myst_nb, "glue", lambda name, value, display: caught.update(glued=(name, value, display))
    )
    return caught


# --- rules ------------------------------------------------------------------------------------------

TRUTH = [  # rule, interval (value in its middle), holds, fails
    ({"at_most": 1.0}, (0.0, 1.0), True, False),
    ({"at_most": 1.0}, (0.0, 1.1), False, False),
    ({"at_most": 1.0}, (1.1, 2.0), False, True),
    ({"at_most": 1.0}, (1.0, 2.0), False, False),
    ({"at_most": 1.0}, (-math.inf, 1.0), True, False),
    ({"at_least": 1.0}, (1.0, 2.0), True, False),
    ({"at_least": 1.0}, (0.9, 2.0), False, False),
    ({"at_least": 1.0}, (0.0, 0.9), False, True),
    ({"at_least": 1.0}, (0.0, 1.0), False, False),
    ({"within": [0.0, 1.0]}, (0.0, 1.0), True, False),
    ({"within": [0.0, 1.0]}, (-0.1, 0.5), False, False),
    ({"within": [0.0, 1.0]}, (0.5, 1.1), False, False),
    ({"within": [0.0, 1.0]}, (-1.0, 2.0), False, False),
    ({"within": [0.0, 1.0]}, (1.1, 1.2), False, True),
    ({"within": [0.0, 1.0]}, (-0.2, -0.1), False, True),
    ({"equals": 1.0, "resolution": 0.1}, (0.95, 1.05), True, False),
    ({"equals": 1.0, "resolution": 0.1}, (1.0, 1.1), True, False),
    ({"equals": 1.0, "resolution": 0.1}, (0.8, 1.2), False, False),  # ignorance is neither
    ({"equals": 1.0, "resolution": 0.1}, (1.01, 1.05), False, True),
    ({"equals": 1.0, "resolution": 0.1}, (0.5, 0.99), False, True),
]


@pytest.mark.parametrize(("raw", "interval", "holds", "fails"), TRUTH)
def test_rules_truth_table(raw, interval, holds, fails):
    low, high = interval
    value = (low + high) / 2 if math.isfinite(low) else high
    rule = Rule.parse(raw)
    assert (rule.holds(value, low, high), rule.fails(value, low, high)) == (holds, fails)


@pytest.mark.parametrize("raw", [row[0] for row in TRUTH[::5]])
@pytest.mark.parametrize(
    "interval",
    [(math.nan, 0.0, 1.0), (0.5, math.nan, 1.0), (0.5, 0.0, math.nan), (2.0, 0.0, 1.0), (math.inf,) * 3],
)
def test_what_is_no_measurement_neither_holds_nor_fails(raw, interval):
    rule = Rule.parse(raw)
    assert not rule.holds(*interval)
    assert not rule.fails(*interval)


def test_a_rule_never_holds_and_fails():
    grid = [-1.0, 0.0, 0.5, 0.95, 1.0, 1.05, 2.0]
    for raw, low, high in itertools.product([row[0] for row in TRUTH], grid, grid):
        if low <= high:
            rule = Rule.parse(raw)
            found = (rule.holds(low, low, high), rule.fails(low, low, high))
            words = {(True, False): "holds", (False, True): "fails", (False, False): "is left undecided"}
            assert rule.outcome(low, low, high) == words[found]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"at_most": 5.5}, "at most 5.5"),
        ({"at_least": 0.1}, "at least 0.1"),
        ({"within": [-0.55, -0.45]}, "in [−0.55, −0.45]"),
        ({"equals": 0.273, "resolution": 0.01}, "0.273, known to ±0.01"),
    ],
)
def test_rules_in_words(raw, text):
    assert str(Rule.parse(raw)) == text


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"at_most": 1.0, "at_least": 0.0},
        {"at_most": 1.0, "resolution": 0.1},
        {"within": [1.0, 0.0]},
        {"within": [0.0, 0.0]},
        {"within": [1.0]},
        {"within": 1.0},
        {"equals": 1.0},
        {"equals": 1.0, "resolution": 0.0},
        {"about": 1.0},
    ],
)
def test_malformed_rules_are_refused(raw):
    with pytest.raises(LedgerError, match="a rule is one of at_most: x, at_least: x, within"):
        Rule.parse(raw)


# --- rows -------------------------------------------------------------------------------------------


def test_rows_are_read(write):
    folder = write(ROW)
    write(ROW.replace("SA-P1", "SA-T1"), "other.yml")
    write("", "empty.yml")
    claims = load()
    assert list(claims) == ["SA-P1", "SA-T1"]
    claim = claims["SA-P1"]
    assert claim.rule == Rule("at_most", (5.5,))
    assert claim.false_alarm == 1e-6
    assert claim.source == folder / "chapter.yml"
    assert claim.needed == "holds"
    assert (claim.foil, claim.rule_set, claim.pooled, claim.floor) == ("", "", False, 0.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  locus: Proposition 1\n", "", "SA-P1: .* missing 1 required .*locus"),
        ("  rule: {at_most: 5.5}\n", "", "SA-P1: the row has no 'rule'"),
        ("  false_alarm: 1.0e-6\n", "", "SA-P1: the row has no 'false_alarm'"),
        ("false_alarm: 1.0e-6", "false_alarm: 2", "SA-P1: false_alarm must be a number below 1"),
        ("false_alarm: 1.0e-6", "false_alarm: rare", "SA-P1: could not convert"),
        ("{at_most: 5.5}", "{about: 5.5}", "SA-P1: a rule is one of"),
        ("{at_most: 5.5}", "{at_most: high}", "SA-P1: could not convert"),
        ("verdict: reproduced", "verdict: fine", "SA-P1: verdict of .* 'claim' must be one of 'reproduced'"),
        ("verdict: reproduced", "verdict: holds", "SA-P1: verdict of .* 'claim' must be one of 'reproduced'"),
        ("kind: claim", "kind: control", "SA-P1: verdict of .* 'control' must be one of 'holds', 'fails'"),
        ("kind: claim", "kind: fact", "SA-P1: kind must be one of"),
        ("  kind: claim\n", "", "SA-P1: .* missing 1 required .*kind"),
        ("evidence: live", "evidence: guessed", "SA-P1: evidence must be one of"),
        ("  evidence: live\n", "", "SA-P1: .* missing 1 required .*evidence"),
        ("  chapter:", "  rule_set: later\n  chapter:", "SA-P1: rule_set must be one of"),
        ("  chapter:", "  floor: low\n  chapter:", "SA-P1: could not convert"),
        ("  chapter:", "  pooled: true\n  chapter:", "SA-P1: pooled must be"),
        ("paper: SA", "paper: XY", "SA-P1: paper must be one of"),
        (
            "verdict: reproduced",
            "verdict: refuted",
            "SA-P1: the verdict refuted needs a reason",
        ),
        ("verdict: reproduced", "verdict: corrected", "SA-P1: the verdict corrected needs a reason"),
        ("verdict: reproduced", "verdict: undecided", "SA-P1: the verdict undecided needs a reason"),
        ("paper: SA\n", "paper: NEW\n", "SA-P1: what no paper says is a control or ours, not a claim"),
        ("  chapter:", "  colour: red\n  chapter:", "SA-P1: .* unexpected keyword argument 'colour'"),
        ("- id: SA-P1\n  paper: SA", "- paper: SA", "a row without an id"),
    ],
)
def test_malformed_rows_name_the_file_the_row_and_the_fault(write, old, new, message):
    write(ROW.replace(old, new))
    with pytest.raises(LedgerError, match=f"chapter.yml: {message}"):
        load()


def test_rows_that_are_no_mapping_or_stand_twice(write):
    write("- SA-P1\n")
    with pytest.raises(LedgerError, match="a row must be a mapping of fields, got 'SA-P1'"):
        load()
    write(ROW)
    write(ROW, "other.yml")
    with pytest.raises(LedgerError, match=r"other\.yml: claim SA-P1 stands twice"):
        load()


def test_numbers_that_yaml_reads_as_text(write):
    # 1e-6 has no point, so that YAML 1.1 takes it for a string.
    write(ROW.replace("1.0e-6", "1e-6").replace("{at_most: 5.5}", "{within: [9e-1, 1e+1]}"))
    claim = load()["SA-P1"]
    assert claim.false_alarm == 1e-6
    assert claim.rule == Rule("within", (0.9, 10.0))


def test_project_root(write, tmp_path, monkeypatch):
    write(ROW)
    assert project_root() == tmp_path.resolve()
    assert project_root(tmp_path / "book") == tmp_path.resolve()
    with pytest.raises(LedgerError, match=r"no book/claims folder at or above .*; run inside a checkout"):
        project_root(tmp_path.parent)


def test_every_verdict_has_an_outcome():
    assert {verdict for verdicts in VERDICTS.values() for verdict in verdicts} == set(NEEDED)


def test_every_row_names_a_foil():
    """And `record` has it measured: a rule that nothing can fail is no rule."""
    assert [claim.id for claim in load(ROOT).values() if not claim.foil] == []


GREEK = "alpha|beta|gamma|delta|epsilon|eta|theta|kappas?|lambda|mu|nu|rho|sigma|tau|phi|psi|omega"
ASCII_MATHS = re.compile(
    r"[_^<>=~*|]|\+-|(?<![\w)])-\d|\d[eE]-\d"
    rf"|\b(?:{GREEK}|eps|lambda_\w+|l[01]|E\W?[\[|]|N\(0)(?![a-zA-Z])"
    r"|(?i:\b(?:exp|log|sqrt|sin|cos|tan|tanh|cot|poly|diag|cond|sgn|omega|theta)\()"
    r"|(?<![\w.'-])(?<!\d\()(?<!Appendix )[B-HJ-Zb-hj-z](?!\w|\.\d|-[A-Z])"  # a symbol of one letter
)


def ascii_maths(text: str) -> list[str]:
    """Return what looks like a formula outside of dollars."""
    parts = text.split("$")
    assert len(parts) % 2, f"a dollar without its other: {text}"
    assert all(part.strip() == part != "" for part in parts[1::2]), f"an empty or padded formula: {text}"
    return [found for part in parts[::2] for found in ASCII_MATHS.findall(part)]


@pytest.mark.parametrize(
    "text",
    [
        "T_1 is B A_1",
        "at the rate n^(-1/2)",
        "a step of eta <= 2",
        "d = 10",
        "E[y]",
        "E|Delta|",
        "worst |z|",
        "in kappa and lambda",
        "the kappas have one sign",
        "up to Theta(t)",
        "like exp(-t)",
        "log(d) samples",
        "grows with d",
        "($m$ or k)",
        "the k-dimensional tensor",
        "the m-th derivative",
        "A* rotated",
        "slope of -1/2",
        "to 1e-8",
        "the l1 programme",
        "under N(0, I)",
        "1 +- 2",
    ],
)
def test_a_formula_in_ascii_is_seen(text):
    assert ascii_maths(text)


@pytest.mark.parametrize(
    "text",
    [
        "a formula, $T_1 = B A_1$, and words: Student-$t$, L-BFGS, I, A",
        "Figure 1(c), Assumption A.4, Appendix B.3, Appendix E, P3(a)",
        "the unit's trials' mean at 95 % of 100 000, log-log slope, 2 to 3, 10-14-18",
        "(7) of Cauchy-Schwarz",
    ],
)
def test_words_are_no_formula(text):
    assert ascii_maths(text) == []


def test_formulas_of_the_rows_are_typeset():
    rows = [*load(ROOT).values(), *ledger.pending(ROOT)]
    fields = ("locus", "statement", "paper_value", "measure", "foil", "reason")
    found = {(row.id, name): ascii_maths(str(getattr(row, name, ""))) for row in rows for name in fields}
    assert {place: signs for place, signs in found.items() if signs} == {}


# --- numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "floor", "text"),
    [
        (0.28449, 0.0, "0.284"),
        (0.2845, 0.0, "0.284"),  # once rounded; by way of four digits it were .285
        (26137.4, 0.0, "26100"),
        (999.6, 0.0, "1000"),
        (-117215.0, 0.0, "−117000"),
        (1234567.0, 0.0, "1.23 × 10⁶"),
        (1e-9, 0.0, "10⁻⁹"),
        (-0.0, 0.0, "0"),
        (-1.93e-34, 1e-12, "<10⁻¹²"),
        (0.0, 1e-12, "<10⁻¹²"),
        (2e-12, 1e-12, "2 × 10⁻¹²"),
    ],
)
def test_digits(value, floor, text):
    assert digits(value, floor) == text
    if "<" not in text:
        assert digits(float(f"{value:.3g}")) == text  # what was rounded stays


# --- recording --------------------------------------------------------------------------------------

POINT = {"id": "SA-P1", "kind": "claim", "evidence": "live", "level": None, "resolution": None, "foil": None}
POINT |= {"trials": None}


def test_record_shows_one_line_and_glues_the_value(write, shown):
    write(ROW)
    record("SA-P1", 3.14159265, (3.0, 4.0))
    plain = "SA-P1 reproduced (claim, live): worst |z| & co: 3.14 [3, 4], resolution ±0.5; rule: at most 5.5"
    assert shown["bundle"]["text/plain"] == plain
    judged = {"value": 3.14, "low": 3.0, "high": 4.0, "level": LEVEL, "resolution": 0.5, "holds": True}
    assert shown["bundle"][MIME] == POINT | judged
    assert "worst |z| &amp; co" in shown["bundle"]["text/html"]
    assert 'class="claim claim-reproduced"' in shown["bundle"]["text/html"]
    assert shown["raw"] is True
    name, value, display = shown["glued"]
    assert (name, value, repr(value), display) == ("SA-P1", "3.14", "3.14", False)


def test_record_without_interval_is_a_point(write, shown):
    write(ROW)
    record("SA-P1", 2)
    plain = "SA-P1 reproduced (claim, live): worst |z| & co: 2; rule: at most 5.5"
    assert shown["bundle"]["text/plain"] == plain
    assert shown["bundle"][MIME] == POINT | {"value": 2.0, "low": 2.0, "high": 2.0, "holds": True}


def test_box_prose_and_ledger_show_the_same_digits(write, shown):
    write(ROW)
    record("SA-P1", 0.28449, (-1234.56, 0.28449))
    assert "0.284 [−1230, 0.284]" in shown["bundle"]["text/plain"]
    assert digits(shown["bundle"][MIME]["value"]) == shown["glued"][1] == "0.284"
    assert digits(shown["bundle"][MIME]["low"]) == "−1230"


def test_rounding_noise_is_shown_as_zero(write, shown):
    """The same is shown on every processor, whatever the last digits are."""
    write(ROW + "  floor: 1e-12\n")
    seen = []
    for noise in (1.006e-16, 3.469e-17, -1.93e-34):
        record("SA-P1", noise)
        seen.append((shown["bundle"]["text/plain"], shown["bundle"][MIME], shown["glued"][1]))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][1] == POINT | {"value": 0.0, "low": 0.0, "high": 0.0, "holds": True}
    assert seen[0][2] == "<10⁻¹²"
    assert ": <10⁻¹²; rule" in seen[0][0]


def test_trials_and_level_are_shown(write, shown):
    write(ROW)
    record("SA-P1", 2.0, (1.0, 3.0), trials=20, level=0.99)
    assert shown["bundle"]["text/plain"].endswith("rule: at most 5.5; 20 trials")
    assert {n: shown["bundle"][MIME][n] for n in ("trials", "level")} == {"trials": 20, "level": 0.99}
    for wrong in ({"trials": 0}, {"trials": 1.5}, {"level": 1.0}):
        with pytest.raises((LedgerError, ValueError), match=next(iter(wrong))):
            record("SA-P1", 2.0, (1.0, 3.0), **wrong)


def test_record_of_a_refuted_claim(write, shown):
    write(ROW.replace("verdict: reproduced", "verdict: refuted\n  reason: it is false"))
    record("SA-P1", 7.0, (6.0, 8.0))
    assert shown["bundle"][MIME]["holds"] is False


@pytest.mark.parametrize(
    ("verdict", "value", "interval", "message"),
    [
        ("reproduced", 6.0, None, "SA-P1: the rule fails, but the ledger says 'reproduced'"),
        ("reproduced", 5.0, (4.0, 6.0), "SA-P1: the rule is left undecided, but"),
        ("corrected", 6.0, None, "the rule fails"),
        ("refuted", 5.0, (4.0, 5.2), "the rule holds, but the ledger says 'refuted'"),
        ("refuted", 5.0, (4.0, 6.0), "left undecided"),
        ("undecided", 5.0, (4.0, 5.2), "the rule holds, but the ledger says 'undecided'"),
        ("undecided", 6.0, None, "the rule fails"),
        ("holds", 6.0, (5.9, 6.1), "the rule fails, but the ledger says 'holds'"),
        ("fails", 5.0, None, "the rule holds, but the ledger says 'fails'"),
    ],
)
def test_contradictions_raise(write, shown, verdict, value, interval, message):
    write(judged(ROW, verdict))
    with pytest.raises(LedgerError, match=message):
        record("SA-P1", value, interval)
    assert not shown


def judged(row, verdict):
    """Give the row a verdict, and a kind that has it."""
    kind = next(kind for kind, verdicts in VERDICTS.items() if verdict in verdicts)
    row = row.replace("kind: claim", f"kind: {kind}")
    return row.replace("verdict: reproduced", f"verdict: {verdict}\n  reason: because")


# The rule is "at most 5.5"; each foil is what another outcome looks like.
FOILS = {
    "reproduced": (1.0, None, [7.0, np.float64(7.0), (5.0, 4.0, 6.0)], [2.0, (2.0, 1.0, 3.0)]),
    "corrected": (1.0, None, [7.0], [5.5]),
    "holds": (1.0, None, [7.0], [5.5]),
    "refuted": (7.0, None, [2.0, (5.0, 4.0, 6.0)], [5.6, (7.0, 6.0, 8.0)]),
    "fails": (7.0, None, [2.0], [5.6]),
    "undecided": (5.0, (4.0, 6.0), [2.0, 7.0], [(5.0, 4.0, 6.0)]),
}


@pytest.mark.parametrize("verdict", FOILS)
def test_a_foil_has_another_outcome(write, shown, verdict):
    write(judged(FOIL, verdict))
    value, interval, telling, silent = FOILS[verdict]
    for foil in telling:
        record("SA-P1", value, interval, foil=foil)
        line = shown["bundle"]["text/plain"]
        assert "; foil, the wrong score: " in line
        assert shown["bundle"][MIME]["foil"][0] == (foil[0] if isinstance(foil, tuple) else foil)
    shown.clear()
    for foil in silent:
        with pytest.raises(LedgerError, match=r"SA-P1: .* for the foil too, the wrong score, .*cannot tell"):
            record("SA-P1", value, interval, foil=foil)
    assert not shown


def test_what_a_foil_leaves_of_rounding_is_not_shown(write, shown):
    write(judged(FOIL, "refuted"))
    record("SA-P1", 7.0, foil=2.5e-15)
    assert "the wrong score: <10⁻¹²" in shown["bundle"]["text/plain"]
    assert shown["bundle"][MIME]["foil"] == [0.0, 0.0, 0.0]


def test_a_foil_is_named_and_recorded(write, shown):
    write(FOIL)
    with pytest.raises(LedgerError, match="SA-P1: the row names a foil, the wrong score: record it"):
        record("SA-P1", 1.0)
    write(ROW)
    with pytest.raises(LedgerError, match="SA-P1: the row names no foil: say what it is"):
        record("SA-P1", 1.0, foil=7.0)
    assert not shown


@pytest.mark.parametrize(
    "foil", [math.nan, math.inf, (7.0, 8.0, 9.0), (7.0, 6.0), "much", (7.0, 6.0, math.inf)]
)
def test_what_is_no_measurement_is_no_foil(write, shown, foil):
    write(FOIL)
    with pytest.raises(LedgerError, match="SA-P1: the foil must be"):
        record("SA-P1", 1.0, foil=foil)
    assert not shown


@pytest.mark.parametrize("verdict", list(NEEDED))
@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (1.0, (2.0, 3.0)),
        (1.0, (math.nan, 2.0)),
        (1.0, (-math.inf, 2.0)),
        (1.0, (0.0, math.inf)),
    ],
)
def test_what_is_no_measurement_raises_whatever_the_verdict(write, shown, verdict, value, interval):
    write(judged(ROW, verdict))
    with pytest.raises(LedgerError, match="SA-P1: the value must be finite and inside its finite interval"):
        record("SA-P1", value, interval)
    assert not shown


@pytest.mark.parametrize(
    ("value", "interval"), [(None, None), ("many", None), (1.0, 2.0), (1.0, (0.0, 1.0, 2.0)), (1.0, "ab")]
)
def test_what_is_no_number_is_named(write, shown, value, interval):
    write(ROW)
    with pytest.raises(
        LedgerError, match="SA-P1: the value must be a number and its interval a pair of them"
    ):
        record("SA-P1", value, interval)


def test_rows_are_read_again_when_they_change(write):
    folder = write(ROW)
    assert load()["SA-P1"].locus == "Proposition 1"
    write(ROW.replace("Proposition 1", "Proposition 2"))
    os.utime(folder / "chapter.yml", (1.0, 1.0))
    assert load()["SA-P1"].locus == "Proposition 2"


def test_unknown_claims_raise(write):
    write(ROW)
    with pytest.raises(LedgerError, match="id must be a claim of book/claims, got 'SA-P2'"):
        record("SA-P2", 1.0)


def test_level_and_names():
    assert pytest.approx(1e-6) == 1.0 - LEVEL
    assert all(hasattr(ledger, name) for name in ledger.__all__)
