"""Figure data in, axes out: one module a chapter, and the style they share."""

__all__: list[str] = []
