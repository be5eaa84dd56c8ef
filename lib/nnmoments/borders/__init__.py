"""Learning below high thresholds: angles, refinement, correlations with planes, correlation graphs."""

__all__: list[str] = []
