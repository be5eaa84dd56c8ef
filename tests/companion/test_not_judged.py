"""Every numbered statement of the four papers has a row in the ledger or a line on the page "Not judged"."""

import re
from pathlib import Path

import pytest

from companion import ledger

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "book" / "not-judged.md").read_text(encoding="utf-8")

# What the papers' texts have as a heading or a caption. The slides that belong to ZS have no numbers.
LOCI = {
    "SA": "Proposition 1, Theorems 1 to 3, Remarks 1 to 8, Assumptions A.1 to A.6, Assumption B.2,"
    " Algorithm 1, Figure 1",
    "ZS": "Properties 3.1 to 3.3, Remark 3.4, Theorem 3.5, Definition 4.1, Theorem 4.2, Remark 4.3,"
    " Theorem 4.4, Definition 5.1, Claim 5.2, Assumption 5.3, Definition 5.4, Claim 5.5, Theorem 5.6,"
    " Theorem 6.1, Algorithms 1 and 2, Figure 1",
    "GP": "Theorems 1 to 13, Lemmas 1 to 23, Claims 1 to 5, Facts 0 to 7, Corollaries 1 and 2,"
    " Definition 1, Assumptions 1 to 4, Algorithms 1 to 3, Remark 1",
    "GM": "Theorems 1 to 3, Lemma 2.1, Remarks 1 to 3, Assumptions 1 and 2, Examples 1 and 2, Figures 1 to 4",
}
WORDS = ["Theorem", "Lemma", "Proposition", "Claim", "Fact", "Remark", "Figure", "Table"]
WORDS += ["Example", "Definition", "Assumption", "Algorithm"]
KINDS = {word: word for word in WORDS} | {f"{word}s": word for word in WORDS}
KINDS |= dict.fromkeys(("Corollary", "Corollaries"), "Corollary")
KINDS |= dict.fromkeys(("Property", "Properties"), "Property")
NUMBER = r"(?:[A-Z]\.)?\d+(?:\.\d+)?"


def loci(text: str) -> set[str]:
    """Return the statements that a locus names: "Lemmas 1 to 3, 5 and 7(a)" are five lemmas.

    What it says of a setting does not count: "Figure 4, where Assumption 2 holds" is Figure 4.
    """
    found = set()
    part = rf"{NUMBER}(?:\([a-z]\))?"
    lists = rf"(?:^|, )({'|'.join(KINDS)}) ({part}(?:(?:, | and | to |-){part})*)"
    for kind, numbers in re.findall(lists, text):
        for first, last in re.findall(rf"({NUMBER})(?:\([a-z]\))?(?:(?: to |-)({NUMBER}))?", numbers):
            stem, start = re.fullmatch(r"(.*?)(\d+)", first).groups()
            stop = re.fullmatch(r".*?(\d+)", last or first).group(1)
            found |= {f"{KINDS[kind]} {stem}{i}" for i in range(int(start), int(stop) + 1)}
    return found


def listed(paper: str) -> list[str]:
    """Return the first cells of the paper's table on the page."""
    section = re.search(rf"^## {paper}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL).group(1)
    cells = re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE)
    assert cells[:2] == ["Locus", "---"]
    return cells[2:]


def judged(paper: str) -> set[str]:
    """Return what the claims of the ledger have as their locus."""
    rows = (row for row in ledger.load(ROOT).values() if row.paper == paper and row.kind == "claim")
    return set().union(*(loci(row.locus) for row in rows))


def test_loci_are_read_as_they_are_written():
    assert loci("Facts 1-3, Lemma 9") == {"Fact 1", "Fact 2", "Fact 3", "Lemma 9"}
    assert loci("Lemmas 1 to 3, 5 and 7(a)") == {f"Lemma {i}" for i in (1, 2, 3, 5, 7)}
    assert loci("Theorem 2, Assumption A.5, upper edge") == {"Theorem 2", "Assumption A.5"}
    assert loci("Properties 3.1 to 3.3") == {"Property 3.1", "Property 3.2", "Property 3.3"}
    assert loci("Figure 1(a)") == {"Figure 1"}
    assert loci("Figure 4, where Assumption 2 holds") == {"Figure 4"}
    assert loci("Appendix B.4, (13), Section 5.2") == set()


@pytest.mark.parametrize("paper", LOCI)
def test_every_statement_has_a_row_or_a_reason(paper):
    missing = loci(LOCI[paper]) - judged(paper) - set(listed(paper))
    assert missing == set()


@pytest.mark.parametrize("paper", LOCI)
def test_the_page_lists_what_has_no_row(paper):
    """Once, and nothing that the paper does not hold."""
    cells = listed(paper)
    assert len(cells) == len(set(cells))
    assert set(cells) & judged(paper) == set()
    assert set(cells) - loci(LOCI[paper]) == set()


@pytest.mark.parametrize("paper", LOCI)
def test_rows_name_statements_that_exist(paper):
    assert judged(paper) - loci(LOCI[paper]) == set()


def test_rows_that_the_page_names_exist():
    named = set(re.findall(r"\b(?:SA|ZS|GP|GM|NEW)-[A-Z0-9]+(?:-[A-Z0-9]+)*\b", PAGE))
    assert len(named) > 20
    assert named - set(ledger.load(ROOT)) == set()


def test_every_line_says_what_and_why():
    for line in re.findall(r"^\| [A-Z]\w+ [A-Z0-9].*$", PAGE, re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 3, line
        assert all(cells), line
