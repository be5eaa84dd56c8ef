"""Losses that decode moments or fit labels: values, gradients, Hessians, and their descent."""

__all__: list[str] = []
