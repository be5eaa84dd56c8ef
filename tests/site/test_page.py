"""How the pages look and what they do: nothing is cut off, nothing is left raw, margins and ledger work."""

import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"
CHAPTERS = sorted(f"notebooks/{path.name}" for path in (SITE / "notebooks").glob("[0-9]*.html"))
TEXTS = [
    "book/index.html",
    "book/notation.html",
    "book/glossary.html",
    "book/ledger.html",
    "book/errata.html",
]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium found")
by_chapter = pytest.mark.parametrize("page", CHAPTERS)
each_chapter = pytest.mark.parametrize("view", CHAPTERS, indirect=True, scope="module")
each_page = pytest.mark.parametrize("view", [*CHAPTERS, *TEXTS], indirect=True, scope="module")


def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        yield browser
        browser.close()


def opened(browser, page, width=1280, **options):
    """Open a page from the disk, its maths typeset and fitted."""
    view = browser.new_context(viewport={"width": width, "height": 900}, **options).new_page()
    view.goto((SITE / page).as_uri(), wait_until="load")
    view.wait_for_function(
        "!document.querySelector('.math') || (window.MathJax?.startup?.promise?.then(() => true))"
    )
    view.wait_for_timeout(300)
    return view


@pytest.fixture
def show(browser):
    """Open a page for one test."""
    views = []

    def show(page, **options):
        views.append(opened(browser, page, **options))
        return views[-1]

    yield show
    for view in views:
        view.context.close()


FOLDS = "[...document.querySelectorAll('article details')]"


@pytest.fixture(scope="module")
def view(request, browser):
    """A page that is opened once: all tests of one page run together, for maths takes seconds."""
    view = opened(browser, request.param)
    view.evaluate(f"window.folds = {FOLDS}.map(fold => fold.open)")
    yield view
    view.context.close()


@pytest.fixture
def look(view):
    """Look at the page at a width and in light or dark; folds are then as they were."""

    def look(width=1280, scheme="light"):
        view.emulate_media(color_scheme=scheme)
        view.set_viewport_size({"width": width, "height": 900})
        view.wait_for_timeout(300)
        return view

    yield look
    view.evaluate(f"{FOLDS}.forEach((fold, i) => {{ fold.open = window.folds[i]; }})")


WIDER = """(selector) => [...document.querySelectorAll(selector)]
  .filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1)
  .map(e => e.textContent.slice(0, 80) || e.outerHTML.slice(0, 80))"""


@needs_browser
@pytest.mark.parametrize("width", [1280, 1920])
@each_page
def test_no_formula_and_no_code_is_cut_off(look, width):
    view = look(width)
    assert view.evaluate(WIDER, "article mjx-container[display='true'], article pre") == []
    inline = view.locator("article :is(section > p, details p) mjx-container.wide")
    assert inline.all_text_contents() == []  # it should be a line of its own
    sizes = "e => e.map(x => parseFloat(getComputedStyle(x).fontSize) * 0.75)"
    assert min(view.locator("article mjx-container[display='true']").evaluate_all(sizes), default=9) >= 9


# Lines that are longer than their block has room for.
WRAPPED = """selector => [...document.querySelectorAll(selector)].flatMap(block => {
  const probe = document.createElement("span"), style = getComputedStyle(block);
  probe.textContent = "0".repeat(100);
  probe.style.whiteSpace = "pre";  // or it breaks as a line does, and is as wide as the block
  block.append(probe);
  const sign = probe.getBoundingClientRect().width / 100;
  probe.remove();
  const room = (block.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)) / sign;
  return sign ? block.textContent.split("\\n").filter(line => line.length > room) : [];
})"""


@needs_browser
@each_chapter
def test_no_line_of_code_wraps(look):
    view = look()
    view.evaluate("document.querySelectorAll('article details').forEach(fold => { fold.open = true; })")
    assert view.locator("article .cell_input pre").count() > 10
    assert view.evaluate(WRAPPED, "article .cell_input pre") == []


@needs_browser
@pytest.mark.parametrize("page", ["networks", "structured", "tensors"])
def test_no_example_of_the_reference_wraps(show, page):
    """A test of the docstrings counts their signs; here it is seen that so many fit."""
    view = show(f"book/api/{page}.html")
    assert view.locator("article .doctest pre").count() > 5
    assert view.evaluate(WRAPPED, "article .doctest pre") == []


@needs_browser
@each_chapter
def test_code_that_is_seen_is_the_librarys_or_an_experiments(look):
    """The book's own, which judges and draws, is one quiet line that opens."""
    shown = look().locator("article .cell_input pre:visible").all_inner_texts()
    assert shown
    assert not any(re.search(r"^(from companion import|figure = )", code, re.MULTILINE) for code in shown)
    folds = look().locator("article details.hide:visible")
    assert folds.count() > 8
    first = folds.filter(has_text="Code of the verdicts").first
    assert first.bounding_box()["height"] < 32
    first.locator("summary").click()
    assert "ledger.record(" in first.locator("pre").inner_text()


@needs_browser
def test_folds_that_open_together_are_fitted_once(show):
    """The book on one page has hundreds of folds: a fit for each took minutes."""
    view = show(CHAPTERS[3])
    view.evaluate("""() => {
      const style = getComputedStyle;
      window.asked = 0;
      window.getComputedStyle = (...given) => { window.asked += 1; return style(...given); };
      document.querySelectorAll("article details").forEach(fold => { fold.open = true; });
    }""")
    view.wait_for_timeout(500)
    formulas = view.locator("article mjx-container[display='true']").count()
    assert 10 < view.evaluate("window.asked") < 5 * formulas


@needs_browser
@each_chapter
def test_figures_are_dark_in_dark_mode_and_fine_enough(look):
    """Maps too, whose blank cells are the ground; two pixels stand for one of the page's."""
    figures = look(scheme="dark").locator("article figure:not(.explorable) img:visible")
    ratios = """e => e.map(x =>
      x.naturalWidth / (x.clientWidth - 2 * parseFloat(getComputedStyle(x).paddingLeft)))"""
    assert min(figures.evaluate_all(ratios)) > 1.95
    for figure in figures.all():
        lightness = np.asarray(Image.open(io.BytesIO(figure.screenshot())).convert("L"))
        assert np.median(lightness) < 60
        assert np.mean(lightness > 200) < 0.1


@needs_browser
@each_chapter
def test_on_a_phone_what_is_wide_scrolls_and_shows_it(look):
    view = look(390)
    hidden = """[...document.querySelectorAll("article :is(mjx-container[display='true'], table, pre)")]
      .filter(e => e.offsetParent && e.scrollWidth > e.clientWidth + 1
        && !(e.classList.contains("scrolls") && getComputedStyle(e).overflowX === "auto" && e.tabIndex === 0))
      .map(e => e.textContent.slice(0, 80))"""
    assert view.evaluate(hidden) == []
    inline = """[...document.querySelectorAll("article :is(p, li) mjx-container:not([display='true'])")]
      .filter(e => e.offsetParent && !e.closest("table, .ex-stage")
        && e.getBoundingClientRect().right > innerWidth + 1)
      .map(e => e.parentElement.textContent.slice(0, 80))"""
    assert view.evaluate(inline) == []


SIZES = "e => e.map(x => { const box = x.getBoundingClientRect(); return [box.width, box.right]; })"


@needs_browser
@each_chapter
def test_on_a_phone_a_figure_keeps_a_size_at_which_it_can_be_read(look):
    """It scrolls; its caption does not, and on a wide page it fits its column."""
    view = look(390)
    pictures = view.locator("article .picture:visible")
    images = pictures.locator("img")
    assert images.count() == pictures.count() > 3
    assert min(width for width, _ in images.evaluate_all(SIZES)) >= 600
    for room in (pictures, view.locator("article figure:not(.explorable) figcaption:visible")):
        assert max(right for _, right in room.evaluate_all(SIZES)) <= 390
    assert look().evaluate(WIDER, "article .picture") == []


@needs_browser
def test_the_front_page_fits_a_phone(show):
    view = show("book/index.html", width=390)
    assert view.evaluate(WIDER, "article :is(table, figure.explorable)") == []
    frame = view.locator("figure.explorable").bounding_box()
    controls = view.locator("figure.explorable :is(select, input, button)").evaluate_all(SIZES)
    assert max(right for _, right in controls) < frame["x"] + frame["width"]


def test_the_front_page_names_the_papers_and_where_to_begin():
    page = soup("book/index.html")
    papers = [foot.get_text() for foot in page.select(".decoders .sd-card-footer")]
    assert [re.sub(r"\W+", " ", text).split()[0] for text in papers] == ["Sedghi", "Zhong", "Goel", "Gao"]
    assert all("chapter" in text for text in papers)
    first = page.select_one("article a.reference.internal[href*='01_stein_moments']")
    assert first["href"].endswith("#averages-show-weights")


@pytest.mark.parametrize("page", [*CHAPTERS, *TEXTS])
def test_no_markup_is_left_raw(page):
    article = soup(page).find("article")
    for raw in article.select("code, pre, .math, script, svg, input, .highlight"):
        raw.decompose()
    for text in article.find_all(string=True):
        assert not re.search(r"\$|\*\*|(?<!\w)\*\w[^*]*\w\*(?!\w)|\{(?:ref|eq|numref|doc)\}", text), text


ROW = re.compile(r"\b(?:SA|ZS|GP|GM|NEW)(?:-[A-Z0-9]+)+\b")


@pytest.mark.parametrize("page", [*CHAPTERS, "book/errata.html", "book/not-judged.html"])
def test_rows_of_the_ledger_are_links_to_their_entries(page):
    rows = {tag["id"] for tag in soup("book/ledger.html").find_all("span", id=re.compile("^claim-"))}
    article = soup(page).find("article")
    for beside in article.select("code, pre, script, aside.margin"):
        beside.decompose()
    named = [
        (name, text.find_parent("a")) for text in article.find_all(string=ROW) for name in ROW.findall(text)
    ]
    assert named or page in CHAPTERS
    for name, link in named:
        assert f"claim-{name}" in rows, name
        assert (link or {}).get("href", "").endswith(f"ledger.html#claim-{name}"), name


ALONE = """() => [...document.querySelectorAll("article span.math")].filter(formula => {
  const next = formula.nextSibling;
  if (!formula.offsetParent || next?.nodeType !== Node.TEXT_NODE) return false;
  if (!/^[.,;:!?)]/.test(next.textContent)) return false;
  const mark = document.createRange();
  mark.setStart(next, 0);
  mark.setEnd(next, 1);
  return mark.getBoundingClientRect().left < formula.getBoundingClientRect().left;
}).map(formula => formula.parentElement.textContent.slice(0, 80))"""


@needs_browser
@each_chapter
def test_no_line_begins_with_the_mark_after_a_formula(look):
    assert look().evaluate(ALONE) == []


@needs_browser
@each_chapter
def test_captions_are_plain_text(look):
    weights = "e => e.map(x => [getComputedStyle(x).fontWeight, parseFloat(getComputedStyle(x).fontSize)])"
    found = look().locator("article figcaption .caption-text").evaluate_all(weights)
    assert found
    for weight, size in found:
        assert int(weight) == 400
        assert size >= 14


@needs_browser
@each_chapter
def test_claims_are_marks_in_the_margin_that_open(look):
    view = look()
    marks = view.locator("aside.margin details.claim")
    assert marks.count() > 5
    edge = view.locator("article").bounding_box()
    first = marks.first.bounding_box()
    assert first["x"] >= edge["x"] + edge["width"] - 8
    assert first["height"] < 60
    marks.first.locator("summary").click()
    assert view.locator("aside.margin details.claim[open]").inner_text().count("rule") >= 1
    assert marks.first.bounding_box()["height"] > first["height"]
    assert view.locator("p.claim").count() == 0


@needs_browser
@pytest.mark.parametrize("target", ["#equation-", "#thm-", "#fig-"])
def test_a_reference_shows_what_it_refers_to(show, target):
    view = show("notebooks/07_landscape_design.html")
    box = view.locator(".preview")
    link = view.locator(f"article p a.reference.internal[href^='{target}']:visible").first
    link.scroll_into_view_if_needed()
    assert not box.is_visible()
    link.hover()
    assert box.is_visible()
    shown, place, refers = box.bounding_box(), link.bounding_box(), link.get_attribute("href")[1:]
    assert shown["x"] >= 0
    assert shown["x"] + shown["width"] <= 1280
    assert shown["y"] >= place["y"] + place["height"] or shown["y"] + shown["height"] <= place["y"]
    original = view.locator(f"[id='{refers}']").text_content()
    assert re.sub(r"[#\s]", "", box.text_content()) == re.sub(r"[#\s]", "", original)
    assert view.locator(f"[id='{refers}']").count() == 1  # a copy has no name of its own
    view.mouse.move(0, 0)
    assert not box.is_visible()
    link.focus()
    assert box.is_visible()
    view.keyboard.press("Escape")
    assert not box.is_visible()


# Names of the rows that a query leaves, without a layout of the long page.
SIEVED = """query => {
  const words = document.querySelector(".ledger-tools input");
  words.value = query;
  words.dispatchEvent(new Event("input"));
  return [...document.querySelectorAll("table.ledger tbody tr:not([hidden]) td:first-child strong")]
    .map(name => name.textContent);
}"""
TYPED = {
    "kappa_min": "GM-T2-EPS-KAPPA",
    "κ_min": "GM-T2-EPS-KAPPA",
    r"\kappa_{\min}": "GM-T2-EPS-KAPPA",
    "E[Q_i | w_i": "GP-T6",
    "correlation of sign units": "GP-T6",
    "μ = e^{-ρt}": "GP-T7-PRINTED",
    "T_4(a, a, z, w)": None,
}


@needs_browser
def test_the_ledger_filters_and_sorts(show):
    view = show("book/ledger.html")
    for query, row in TYPED.items():
        found = view.evaluate(SIEVED, query)
        assert (row in found and len(found) < 20) if row else found == [], query
    view.evaluate(SIEVED, "")
    assert view.evaluate(WIDER, "article .pst-scrollable-table-container") == []
    rows = view.locator("table.ledger tbody tr:visible")
    everything = rows.count()
    view.get_by_label("Verdict").select_option("refuted")
    some = rows.count()
    assert 0 < some < everything
    assert set(view.locator("table.ledger tbody tr:visible .verdict").all_inner_texts()) == {"refuted"}
    view.get_by_label("Contains").fill("Theorem")
    assert rows.count() <= some
    view.get_by_label("Contains").fill("")
    view.get_by_label("Verdict").select_option("all")
    head = view.locator("table.ledger thead th").first
    for wanted in (False, True):
        head.focus()
        head.press("Enter")
        names = view.locator("table.ledger").first.locator("tbody tr td:first-child strong").all_inner_texts()
        key = [[int(x) if x.isdigit() else x.lower() for x in re.split(r"(\d+)", name)] for name in names]
        assert (key == sorted(key)) is not wanted or (key == sorted(key, reverse=True)) is wanted
    assert rows.count() == everything


BROKEN = """e => e.filter(x => x.getClientRects().length > 1
  || x.getBoundingClientRect().right > x.closest("td").getBoundingClientRect().right + 1)
  .map(x => x.textContent)"""


@needs_browser
def test_the_table_of_packages_fits_its_words(show):
    """And on a phone, where its rows are cards, formulas are words among words."""
    view = show("book/library.html")
    names = view.locator("table.packages :is(td:first-child a, code)")
    assert names.count() > 20
    assert names.evaluate_all(BROKEN) == []
    phone = show("book/library.html", width=390)
    assert phone.locator("table.packages mjx-container").count() > 4
    assert phone.locator("table.packages mjx-container.wide").count() == 0


@needs_browser
def test_words_of_the_glossary_carry_their_entry(show):
    view = show(CHAPTERS[0])
    words = view.locator("a.term")
    assert words.count() > 5
    entries = {tag["id"] for tag in glossary().find_all("dt", id=True)}
    for word in words.all():
        assert len(word.get_attribute("title")) > 20
        assert "$" not in word.get_attribute("title")
        assert word.get_attribute("href").partition("#")[2] in entries


def glossary() -> BeautifulSoup:
    return soup("book/glossary.html")


@needs_browser
@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_the_front_page_moves_unless_the_reader_minds(show, motion):
    view = show("book/index.html", reduced_motion=motion)
    view.wait_for_selector("figure[data-ready]")
    state = "document.querySelector('figure.explorable').dataset.state"
    before = json.loads(view.evaluate(state))["size"]
    view.wait_for_timeout(2500)
    assert (json.loads(view.evaluate(state))["size"] != before) is (motion == "no-preference")


@by_chapter
def test_pages_are_light(page):
    """The page with its pictures and explorables; what all pages share comes from a browser's cache."""
    text = (SITE / page).read_text(encoding="utf-8")
    tags = BeautifulSoup(text, "html.parser").select("article img[src], article script[src]")
    files = {(SITE / page).parent / tag["src"].partition("?")[0] for tag in tags}
    total = len(text.encode()) + sum(file.stat().st_size for file in files)
    assert total < 3e6


def test_the_time_that_a_chapter_takes_is_told():
    page = soup("book/how-to-run.html")
    rows = [[cell.get_text() for cell in row.select("td")] for row in page.select("article tbody tr")]
    assert len(rows) == len(CHAPTERS)
    assert all(int(figures) > 0 and int(minutes) > 0 for _, figures, minutes in rows)


def test_source_links_lead_to_pages_of_the_site():
    parsed = soup("book/ledger.html")
    links = [link["href"] for link in parsed.select("table.ledger a[href]")]
    assert not [link for link in links if link.startswith("http")]
    tests = [link for link in links if "/source/tests/" in link]
    assert len(tests) > 100
    for link in {*tests}:
        path, _, name = link.partition("#")
        assert f'id="{name}"' in (SITE / "book" / path).read_text(encoding="utf-8")
