"""GP's units with structure: correlation graphs, exponential and even units, cuts of deeper networks."""

__all__: list[str] = []
