"""Cutting samples into chunks, so that memory stays bounded whatever their number."""

from nnmoments.validation import check_integer

__all__ = ["CHUNK_DOUBLES", "row_chunks"]

#: Doubles that one chunk's widest intermediate may hold: small against the last-level cache, large
#: against the cost of a call.
CHUNK_DOUBLES = 1 << 20


def row_chunks(n: int, width: int, *, doubles: int = CHUNK_DOUBLES, multiple: int = 1) -> list[slice]:
    """Cut n rows into slices of at most `doubles` numbers, `width` a row.

    Parameters
    ----------
    n : int
        Rows.
    width : int
        Doubles that a row takes in the widest intermediate.
    doubles : int
        Most doubles of a chunk.
    multiple : int
        Lengths are multiples of this (but for the last chunk's), and at least once it.

    Returns
    -------
    list of slice

    Raises
    ------
    ValueError
        If a number is no integer, or negative.

    Examples
    --------
    >>> row_chunks(5, 10, doubles=20)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    n, width = check_integer("n", n, 0), check_integer("width", width, 0)
    doubles, multiple = check_integer("doubles", doubles, 1), check_integer("multiple", multiple, 1)
    rows = multiple * max(1, doubles // (max(width, 1) * multiple))
    return [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
