"""The rendered book as a reader's browser sees it, with the network cut."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
# Sphinx's own pages and the search, which is empty without a query.
FRONT = "index.html"  # only sends the browser on to the book's first page
PAGES = sorted(str(p.relative_to(SITE)) for p in SITE.rglob("*.html") if "_static" not in p.parts)
PAGES = [page for page in PAGES if page != FRONT]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium found: the site was not read in a browser"
)
by_page = pytest.mark.parametrize("page", PAGES)


def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup((SITE / page).read_text(encoding="utf-8"), "html.parser")


def test_the_book_is_built():
    assert (SITE / FRONT).is_file(), "run `make book` first"
    assert any(page.startswith("notebooks/01") for page in PAGES)


@by_page
def test_nothing_is_loaded_from_another_host(page):
    for tag, attribute in (
        ("script", "src"),
        ("link", "href"),
        ("img", "src"),
        ("iframe", "src"),
        ("source", "src"),
    ):
        for element in soup(page).find_all(tag):
            target = element.get(attribute) or ""
            if (
                tag == "link"
                and "stylesheet" not in element.get("rel", [])
                and "icon" not in element.get("rel", [])
            ):
                continue
            assert not urlparse(target).netloc, f"{tag} {target}"


@by_page
def test_internal_links_lead_somewhere(page):
    for anchor in soup(page).select("main a[href], nav a[href]"):
        target, fragment = urldefrag(urljoin(page, anchor["href"]))
        if urlparse(target).scheme or urlparse(target).netloc:
            continue
        path = SITE / unquote(target or page)
        assert path.exists(), anchor["href"]
        if fragment and path.suffix == ".html":
            other = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
            assert other.find(id=unquote(fragment)), anchor["href"]


@by_page
def test_images_have_alternative_text(page):
    for image in soup(page).select("article img"):
        assert len(image.get("alt", "")) > 20, image.get("src")
        assert not image["alt"].endswith(".png")


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


@needs_browser
@by_page
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_page_in_the_browser(browser, address, page, scheme, width):
    """No foreign request, no console error, maths typeset, nothing wider than the screen."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    view = context.new_page()
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
    overflow = view.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if folder := os.environ.get("SCREENSHOTS"):
        name = page.replace("/", "-").removesuffix(".html")
        view.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png", full_page=True)
    context.close()
    assert not foreign
    assert not errors
    assert overflow <= 0
