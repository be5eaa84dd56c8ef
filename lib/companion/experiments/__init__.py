"""The experiments behind the chapters: one module a chapter, figure data out, no plotting."""

__all__: list[str] = []
