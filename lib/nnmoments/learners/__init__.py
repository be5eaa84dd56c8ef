"""End-to-end algorithms, sample in and weights out, in scikit-learn's conventions."""

__all__: list[str] = []
