"""The rendered book as a reader's browser sees it, with the network cut."""

import functools
import http.server
import importlib
import os
import pkgutil
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from bs4 import BeautifulSoup

import nnmoments

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
# Sphinx's own pages and the search, which is empty without a query.
FRONT = "index.html"  # only sends the browser on to the book's first page
PAGES = sorted(str(p.relative_to(SITE)) for p in SITE.rglob("*.html") if "_static" not in p.parts)
PAGES = [page for page in PAGES if page != FRONT]
REFERENCE = [page for page in PAGES if page.startswith("book/api/")]
# Pages of source are all alike: the browser opens one of either kind.
SOURCES = [[page for page in PAGES if page.startswith(kind)] for kind in ("_modules/nnmoments/", "source/")]
CODE = {page for kind in SOURCES for page in kind}
OPENED = [page for page in PAGES if not any(page in kind[1:] for kind in SOURCES)]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium found: the site was not read in a browser"
)


def text_of(page: str) -> str:
    return (SITE / page).read_text(encoding="utf-8")


def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup(text_of(page), "html.parser")


@functools.cache
def reference() -> dict[str, BeautifulSoup]:
    return {page: soup(page) for page in REFERENCE}


@pytest.fixture(scope="module", params=PAGES)
def parsed(request: pytest.FixtureRequest) -> tuple[str, BeautifulSoup]:
    """A page and its tree without spans, which colour code: all tests of one page run together."""
    text = re.sub(r"</?span\b[^>]*>", "", text_of(request.param))
    return request.param, BeautifulSoup(text, "html.parser")


@functools.cache
def entries() -> dict[str, list[tuple[str, list[str]]]]:
    """Return the reference's entries: by anchor, each page that has it and the sources it links to."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for page, tree in reference().items():
        for entry in tree.find_all("dt", id=True):
            links = [link["href"] for link in entry.parent.find_all("a") if link.get_text() == "[source]"]
            found.setdefault(entry["id"], []).append((page, links))
    return found


@functools.cache
def indexed() -> set[str]:
    return {anchor["href"] for anchor in soup("genindex.html").select("main a[href]")}


@functools.cache
def ids(path: Path) -> frozenset[str]:
    tags = re.findall(r"<[a-zA-Z][^<>]*>", path.read_text(encoding="utf-8"))
    return frozenset(found[1] for tag in tags if (found := re.search(r"\sid=\"([^\"]*)\"", tag)))


def test_the_book_is_built():
    assert (SITE / FRONT).is_file(), "run `make book` first"
    assert any(page.startswith("notebooks/01") for page in PAGES)


def test_nothing_is_loaded_from_another_host(parsed):
    for tag, attribute in (
        ("script", "src"),
        ("link", "href"),
        ("img", "src"),
        ("iframe", "src"),
        ("source", "src"),
    ):
        for element in parsed[1].find_all(tag):
            target = element.get(attribute) or ""
            if (
                tag == "link"
                and "stylesheet" not in element.get("rel", [])
                and "icon" not in element.get("rel", [])
            ):
                continue
            assert not urlparse(target).netloc, f"{tag} {target}"


def test_internal_links_lead_somewhere(parsed):
    page, tree = parsed
    for anchor in tree.select("main a[href], nav a[href]"):
        target, fragment = urldefrag(urljoin(page, anchor["href"]))
        if urlparse(target).scheme or urlparse(target).netloc:
            continue
        path = SITE / unquote(target or page)
        assert path.exists(), anchor["href"]
        if fragment and path.suffix == ".html":
            assert unquote(fragment) in ids(path), anchor["href"]


def test_images_have_alternative_text(parsed):
    for image in parsed[1].select("article img"):
        assert len(image.get("alt", "")) > 20, image.get("src")
        assert not image["alt"].endswith(".png")


@pytest.mark.parametrize("package", [info.name for info in pkgutil.iter_modules(nnmoments.__path__)])
def test_every_public_name_stands_in_the_reference_and_the_index(package):
    """One entry and one line of the index each, with a link to the source in the site itself."""
    for name in importlib.import_module(f"nnmoments.{package}").__all__:
        anchor = f"nnmoments.{package}.{name}"
        ((page, sources),) = entries()[anchor]
        assert f"{page}#{anchor}" in indexed()
        assert any(source.startswith("../../_modules/nnmoments/") for source in sources), anchor


def test_the_reference_shows_the_library_only():
    modules = SITE / "_modules"
    assert {path.name for path in modules.iterdir()} == {"index.html", "nnmoments"}
    for page in REFERENCE:
        assert not [
            found for found in ids(SITE / page) if found.startswith(("companion", "sklearn", "numpy"))
        ]


def test_signatures_are_short():
    """Types stand with the parameters: a signature has names and short defaults only."""
    for tree in reference().values():
        for signature in tree.select("dt.sig"):
            text = signature.get_text()
            assert "Union[" not in text
            assert "ndarray" not in text
            assert "*args" not in text  # what a protocol inherits
            assert max(map(len, text.split())) < 60, text


def test_no_letter_is_the_number_of_a_list():
    """Nor an initial: "h." is all that there is to say of a bandwidth, and "W. Gao" an author."""
    for page, tree in reference().items():
        lists = tree.select("article ol:is(.loweralpha, .upperalpha, .lowerroman, .upperroman)")
        assert not [found.get_text() for found in lists], page


def test_strings_in_the_reference_are_quoted_as_in_code():
    quoted = [
        text for tree in reference().values() for text in tree.select_one("article").find_all(string=True)
    ]
    assert any('"auto"' in text for text in quoted)
    assert not [text for text in quoted if "\u201c" in text]


def test_the_ledger_leads_to_the_reference():
    """A claim's function, where the library offers it, is a link to its entry."""
    links = [anchor["href"] for anchor in soup("book/ledger.html").select("table.ledger a[href]")]
    assert len([link for link in links if link.startswith("api/")]) > 50


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    handler = functools.partial(QuietHandler, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    # Whatever is not this machine has no address.
    flags += ["--disable-sync", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        yield browser
        browser.close()


@needs_browser
def test_the_front_page_leads_to_the_book(browser, address):
    view = browser.new_page()
    view.goto(address)
    view.wait_for_url("**/book/index.html")
    assert "moments" in view.title()
    view.close()


# For each text: its contrast with what is painted behind it, by WCAG 2.
CONTRASTS = """
() => {
  // A mixed colour is written as shares: color(srgb 0.4 0.6 0.9).
  const numbers = colour => colour.match(/[\\d.]+/g)
    .map((x, i) => colour.startsWith("color(") && i < 3 ? 255 * x : Number(x));
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0.99) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  const texts = "article :is(p, a, td, dt, li, figcaption, span):not(.headerlink, svg *, mjx-container *)";
  for (const e of document.querySelectorAll(texts)) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.offsetParent) continue;
    const [a, b] = [light(numbers(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), e.className + ": " + e.textContent.slice(0, 60)]);
  }
  return found.sort((x, y) => x[0] - y[0]);
}
"""

# Signatures that are cut off at the article's edge.
CUT = """
() => [...document.querySelectorAll("dt.sig")].filter(sig => {
  const edge = sig.closest("article").getBoundingClientRect().right + 1;
  return [sig, ...sig.querySelectorAll("*")].some(e => e.getBoundingClientRect().right > edge);
}).map(sig => sig.textContent)
"""


@needs_browser
@pytest.mark.parametrize("page", OPENED)
def test_page_in_the_browser(browser, address, page):
    """No foreign request, no console error, maths typeset; light on a desk and dark on a phone.

    Nothing is wider than the screen, all text stands out from its ground, and in the reference no
    signature is cut off.
    """
    view = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    foreign: list[str] = []
    errors: list[str] = []
    view.on(
        "request",
        lambda r: foreign.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else None,
    )
    view.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    view.on("pageerror", lambda error: errors.append(str(error)))
    view.goto(address + page, wait_until="load")
    raw = view.locator("span.math, div.math").count()
    if raw:
        view.wait_for_function(
            "window.MathJax && MathJax.startup && MathJax.startup.promise"
            " && MathJax.startup.promise.then(() => true)"
        )
        assert view.locator("mjx-container").count() >= raw
        assert view.locator("mjx-merror").count() == 0
    for scheme, width in (("light", 1280), ("dark", 390)):
        view.emulate_media(color_scheme=scheme)
        view.set_viewport_size({"width": width, "height": 900})
        view.wait_for_function(f"(document.documentElement.dataset.theme ?? '{scheme}') === '{scheme}'")
        read(view, page, f"{scheme}-{width}")
    view.context.close()
    assert not foreign
    assert not errors


def read(view, page: str, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        file = page.replace("/", "-").removesuffix(".html")
        view.screenshot(path=Path(folder) / f"{file}-{name}.png", full_page=True)
    assert view.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert not (view.evaluate(CUT) if page in REFERENCE else [])
    contrasts = [] if page in CODE else view.evaluate(CONTRASTS)
    assert len(contrasts) > 20 or page not in REFERENCE
    assert all(contrast >= 4.5 for contrast, _ in contrasts[:1]), (name, contrasts[:5])


@needs_browser
@pytest.mark.parametrize("name", ["relu", "cross_moment", "SLIDES"])
def test_the_search_finds_a_public_name(browser, address, name):
    view = browser.new_page()
    view.goto(f"{address}search.html?q={name}", wait_until="load")
    entry = view.locator(f"#search-results a[href*='book/api/'][href$='.{name}']").first
    entry.wait_for(timeout=20_000)
    view.close()
