"""Pages of source code for what the reference has no entry for: experiments and tests, in the site itself."""

import re
from html import escape
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

ROOT = Path(__file__).resolve().parents[1]

_STYLE = """
body { margin: 0 auto; max-width: 70rem; padding: 1rem; font: 16px/1.5 sans-serif; }
body { color: #1d2433; background: #fff; }
pre { overflow-x: auto; font-size: 0.85rem; line-height: 1.45; }
code { overflow-wrap: anywhere; } pre code { overflow-wrap: normal; }
a { color: #00619a; } span:target { background: #fff3bf; scroll-margin-top: 2rem; }
@media (prefers-color-scheme: dark) { body { color: #e6e8ec; background: #14161a; } a { color: #6cb8ee; }
span:target { background: #4a3f10; } }
"""


def address(path: str, name: str) -> str:
    """Return where a name of a file stands, from a page of the book."""
    return f"../source/{path}.html#{name}"


def write_page(site: Path, path: str) -> None:
    """Write one file as a page; each function, class and constant at its margin is an anchor.

    Parameters
    ----------
    site : Path
    path : str
        Relative to the root of the checkout.
    """
    light, dark = (HtmlFormatter(nowrap=True, style=style) for style in ("default", "github-dark"))
    text = (ROOT / path).read_text(encoding="utf-8")
    code = highlight(text, PythonLexer(stripnl=False), light)
    lines = []
    for raw, shown in zip(text.splitlines(), code.splitlines(), strict=False):
        name = re.match(r"(?:def|class) (\w+)|(\w+)(?:: [^=]+)? = ", raw)
        lines.append(f'<span id="{name[1] or name[2]}">{shown}</span>' if name else shown)
    style = _STYLE + light.get_style_defs("pre")
    style += f"@media (prefers-color-scheme: dark) {{ {dark.get_style_defs('pre')} }}"
    target = site / "source" / f"{path}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    up = "../" * (path.count("/") + 1)
    target.write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(path)}</title>'
        f'<meta name="viewport" content="width=device-width">'
        f'<link rel="icon" href="data:,"><style>{style}</style></head>'
        "<body><main><article>"
        f'<p><a href="{up}book/ledger.html">The claims ledger</a> · <code>{escape(path)}</code></p>'
        "<pre>" + "\n".join(lines) + "</pre></article></main></body></html>\n",
        encoding="utf-8",
    )
