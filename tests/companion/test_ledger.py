"""The ledger's rules, its rows, and what a notebook gets to see."""

import itertools
import math

import IPython.display
import myst_nb
import pytest

from companion import ledger
from companion.ledger import LEVEL, MIME, LedgerError, Rule, load, project_root, record

ROW = """
- id: SA-P1
  paper: SA
  locus: Proposition 1
  statement: Stein's lemma holds.
  paper_value: equality
  measure: worst |z| & co
  rule: {at_most: 5.5}
  verdict: reproduced
  false_alarm: 1.0e-6
  chapter: 01_stein_moments
  anchor: stein-lemma
  function: nnmoments.moments.cross_moment
  test: tests/library/moments/test_estimate.py::test_stein_identity
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a ledger into a fresh project and go there."""
    folder = tmp_path / "book" / "claims"
    folder.mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    ledger._load.cache_clear()

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
            assert not (rule.holds(low, low, high) and rule.fails(low, low, high))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"at_most": 5.5}, "at most 5.5"),
        ({"at_least": 0.1}, "at least 0.1"),
        ({"within": [-0.55, -0.45]}, "in [-0.55, -0.45]"),
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
    assert claim.expects


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
        ("verdict: reproduced", "verdict: fine", "SA-P1: verdict must be one of 'reproduced'"),
        ("paper: SA", "paper: XY", "SA-P1: paper must be one of"),
        (
            "verdict: reproduced",
            "verdict: not-reproduced",
            "SA-P1: the verdict not-reproduced needs a reason",
        ),
        ("verdict: reproduced", "verdict: extended", "SA-P1: the verdict extended needs a reason"),
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


# --- recording --------------------------------------------------------------------------------------


def test_record_shows_one_line_and_glues_the_value(write, shown):
    write(ROW)
    record("SA-P1", 3.14159265, (3.0, 4.0))
    plain = "SA-P1 reproduced: worst |z| & co: 3.14 [3, 4]; rule: at most 5.5"
    assert shown["bundle"]["text/plain"] == plain
    assert shown["bundle"][MIME] == {"id": "SA-P1", "value": 3.142, "low": 3.0, "high": 4.0, "holds": True}
    assert "worst |z| &amp; co" in shown["bundle"]["text/html"]
    assert 'class="claim claim-reproduced"' in shown["bundle"]["text/html"]
    assert shown["raw"] is True
    assert shown["glued"] == ("SA-P1", 3.142, False)


def test_record_without_interval_is_a_point(write, shown):
    write(ROW)
    record("SA-P1", 2)
    assert shown["bundle"]["text/plain"] == "SA-P1 reproduced: worst |z| & co: 2; rule: at most 5.5"
    assert shown["bundle"][MIME] == {"id": "SA-P1", "value": 2.0, "low": 2.0, "high": 2.0, "holds": True}


def test_record_of_a_refuted_claim(write, shown):
    write(ROW.replace("verdict: reproduced", "verdict: not-reproduced\n  reason: it is false"))
    record("SA-P1", 7.0, (6.0, 8.0))
    assert shown["bundle"][MIME]["holds"] is False


@pytest.mark.parametrize(
    ("verdict", "value", "interval", "message"),
    [
        ("reproduced", 6.0, None, "SA-P1: the rule fails, but the ledger says 'reproduced'"),
        ("reproduced", 5.0, (4.0, 6.0), "SA-P1: the rule is left undecided by the interval, but"),
        ("extended", 6.0, (5.9, 6.1), "the rule fails, but the ledger says 'extended'"),
        ("reproduced-with-correction", 6.0, None, "the rule fails"),
        ("not-reproduced", 5.0, (4.0, 5.2), "the rule holds, but the ledger says 'not-reproduced'"),
        ("not-reproduced", 5.0, (4.0, 6.0), "left undecided"),
    ],
)
def test_contradictions_raise(write, shown, verdict, value, interval, message):
    write(ROW.replace("verdict: reproduced", f"verdict: {verdict}\n  reason: because"))
    with pytest.raises(LedgerError, match=message):
        record("SA-P1", value, interval)
    assert not shown


@pytest.mark.parametrize("verdict", ["reproduced", "not-reproduced"])
@pytest.mark.parametrize(
    ("value", "interval"), [(math.nan, None), (math.inf, None), (1.0, (2.0, 3.0)), (1.0, (math.nan, 2.0))]
)
def test_what_is_no_measurement_raises_whatever_the_verdict(write, shown, verdict, value, interval):
    write(ROW.replace("verdict: reproduced", f"verdict: {verdict}\n  reason: because"))
    with pytest.raises(LedgerError, match="SA-P1: the value must be finite and inside its interval"):
        record("SA-P1", value, interval)
    assert not shown


def test_unknown_claims_raise(write):
    write(ROW)
    with pytest.raises(LedgerError, match="id must be a claim of book/claims, got 'SA-P2'"):
        record("SA-P2", 1.0)


def test_level_and_names():
    assert pytest.approx(1e-6) == 1.0 - LEVEL
    assert all(hasattr(ledger, name) for name in ledger.__all__)
