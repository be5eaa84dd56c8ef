"""The book's own code: experiments, their figures, the sweeps that run them and the ledger that judges.

It imports the library's public names only, and is no part of the wheel.
"""

__all__: list[str] = []
