"""Draw each explorable once in Chromium and keep its first picture: what is shown where no script runs.

Run it after a change to an explorable; a test compares the kept pictures with what is drawn.
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from companion import explorables

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "book" / "_static" / "explorables"
NAMES = [name for name in explorables.__all__ if name != "Explorable"]

# The picture with its looks in attributes, below any style sheet of a page, and ids of its own.
_KEEP = """
(name) => {
  const svg = document.querySelector(".ex-stage svg"), copy = svg.cloneNode(true);
  const from = [...svg.querySelectorAll("*")], to = [...copy.querySelectorAll("*")];
  from.forEach((node, i) => {
    if (!node.classList.length) return;
    const style = getComputedStyle(node);
    const wanted = { fill: style.fill, stroke: style.stroke };
    if (style.stroke !== "none") wanted["stroke-width"] = style.strokeWidth;
    if (style.strokeDasharray !== "none") wanted["stroke-dasharray"] = style.strokeDasharray;
    if (style.opacity !== "1") wanted.opacity = style.opacity;
    if (node.tagName === "text") {
      Object.assign(wanted, { "font-size": style.fontSize, "font-weight": style.fontWeight });
    }
    for (const [key, value] of Object.entries(wanted)) to[i].setAttribute(key, value);
  });
  return copy.outerHTML.replaceAll("ex-clip-", `still-${name}-`);
}
"""


def write_page(folder: Path, figure: str) -> Path:
    """Write a page that holds nothing but an explorable, and the book's scripts and styles beside it."""
    (folder / "notebooks").mkdir(exist_ok=True)
    shutil.copytree(ROOT / "book" / "_static", folder / "_static", dirs_exist_ok=True)
    page = folder / "notebooks" / "page.html"
    head = '<meta charset="utf-8"><link rel="stylesheet" href="../_static/book.css">'
    dark = 'matchMedia("(prefers-color-scheme: dark)").matches'
    theme = f'document.documentElement.dataset.theme = {dark} ? "dark" : "light"'
    page.write_text(
        f"<!DOCTYPE html><html><head>{head}<script>{theme}</script></head>"
        '<body style="margin: 0; font-family: sans-serif">'
        f'<div class="bd-content">{figure}</div></body></html>',
        encoding="utf-8",
    )
    return page


def keep(browser: Any, name: str, folder: Path) -> str:
    """Return the first picture of an explorable."""
    view = browser.new_page(viewport={"width": 800, "height": 900})
    view.goto(write_page(folder, getattr(explorables, name)().html()).as_uri())
    view.wait_for_selector("figure[data-ready]")
    picture = str(view.evaluate(_KEEP, name))
    view.close()
    return re.sub(r"(\d+\.\d\d)\d+", r"\1", picture)


def main() -> None:
    """Write the pictures of the explorables that are named, or of all."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name in sys.argv[1:] or NAMES:
            (FOLDER / f"{name}.svg").write_text(keep(browser, name, Path(folder)) + "\n", encoding="utf-8")
            print(name)


if __name__ == "__main__":
    main()
