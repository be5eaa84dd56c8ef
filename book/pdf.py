"""Print the whole book: one page of it by Sphinx, then to paper by Chromium.

It prints what `make book` has staged, so run that first.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STAGE = ROOT / "_build" / "stage"
TARGET = ROOT / "_build" / "networks-from-moments.pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# What is wider than the paper, once all folds are open.
CUT = """() => [...document.querySelectorAll("article :is(pre, table, img, svg, mjx-container)")]
  .filter(e => e.getBoundingClientRect().right > e.closest("article").getBoundingClientRect().right + 2)
  .map(e => e.tagName + ": " + (e.textContent || e.getAttribute("src") || "").slice(0, 60))"""


def single_page(folder: Path) -> Path:
    """Render the staged book as one page; return it, moved to where its links to files are right."""
    program = str(Path(sys.executable).with_name("jupyter-book"))
    command = [program, "build", str(STAGE), "--builder", "singlehtml", "--path-output", str(folder)]
    command += ["--toc", str(STAGE / "book" / "_toc.yml"), "--config", str(STAGE / "_config.yml"), "--quiet"]
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    paths = [str(ROOT / "book"), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    run = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    site = folder / "_build" / "singlehtml"
    if not (site / "book" / "index.html").is_file():
        sys.exit(f"the single page was not built:\n{run.stderr[-3000:]}")
    # Sphinx and the explorables disagree on where the page stands; at the root both can be right.
    text = (site / "book" / "index.html").read_text(encoding="utf-8")
    page = site / "print.html"
    page.write_text(text.replace('"../_', '"_'), encoding="utf-8")
    return page


def print_page(browser: Any, page: Path, target: Path) -> list[str]:
    """Print a page with all folds open; return what was cut off."""
    view = browser.new_page(viewport={"width": 980, "height": 1300})
    view.goto(page.as_uri(), wait_until="load", timeout=300_000)
    view.wait_for_function("window.MathJax?.startup?.promise?.then(() => true)", timeout=300_000)
    view.evaluate("document.querySelectorAll('article details').forEach(fold => { fold.open = true; })")
    view.emulate_media(media="print")
    view.evaluate("dispatchEvent(new Event('resize'))")
    view.wait_for_timeout(1500)
    cut = list(view.evaluate(CUT))
    options = {"scale": 0.75, "print_background": True, "outline": True, "tagged": True, "format": "A4"}
    margin = {"top": "16mm", "bottom": "16mm", "left": "14mm", "right": "14mm"}
    view.pdf(path=target, margin=margin, **options)
    return cut


def main() -> None:
    """Write _build/networks-from-moments.pdf."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"printing needs one of {', '.join(BROWSERS)}")
    if not STAGE.is_dir():
        sys.exit("run `make book` first")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        page = single_page(Path(folder))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        cut = print_page(browser, page, TARGET)
        browser.close()
    print(TARGET)
    if cut:
        sys.exit("wider than the paper: " + "; ".join(cut))


if __name__ == "__main__":
    main()
