"""Descent of differentiable losses, and what the points are at which it ends."""

__all__: list[str] = []
