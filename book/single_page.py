"""A Sphinx extension: what sphinx-exercise writes as html, it also writes into the single page for print."""

from typing import Any

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it."""

    def take_over(app: Sphinx, config: object) -> None:
        handlers = app.registry.translation_handlers
        single = handlers.setdefault("singlehtml", {})
        for name, handler in handlers.get("html", {}).items():
            single.setdefault(name, handler)

    app.connect("config-inited", take_over)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
