"""The best assignment of rows to columns, without SciPy."""
from typing import Tuple

import numpy as np


def best_assignment(gain: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return (rows, columns) of the pairs whose gains have the largest sum; each row and column is in one at most.

    The Hungarian method with shortest augmenting paths (Jonker and Volgenant 1987), O(n^2 m).

    gain: float64 [n, m], not negative; pairs of gain 0 are left out.
    """
    turned = gain.shape[0] > gain.shape[1]
    cost = -(gain.T if turned else gain).astype(np.float64)
    n, m = cost.shape
    row_price, column_price = np.zeros(n), np.zeros(m + 1)
    owner = np.full(m + 1, -1)              # the row of each column; the last column is where a path begins
    for row in range(n):
        owner[m] = row
        _augment(cost, row_price, column_price, owner)
    columns = np.flatnonzero(owner[:m] >= 0)
    rows = owner[columns]
    useful = cost[rows, columns] < 0
    rows, columns = rows[useful], columns[useful]
    return (columns, rows) if turned else (rows, columns)


def _augment(cost, row_price, column_price, owner):
    """Give the row in owner[-1] a column, and others new ones where that costs least."""
    m = cost.shape[1]
    least, before = np.full(m, np.inf), np.full(m, m)
    seen = np.zeros(m + 1, bool)
    at = m
    while owner[at] >= 0:
        seen[at] = True
        row = owner[at]
        free = ~seen[:m]
        reduced = cost[row] - row_price[row] - column_price[:m]
        better = free & (reduced < least)
        least[better], before[better] = reduced[better], at
        following = int(np.argmin(np.where(free, least, np.inf)))
        step = least[following]
        row_price[owner[seen]] += step
        column_price[seen] -= step
        least[free] -= step
        at = following
    while at != m:
        owner[at] = owner[before[at]]
        at = before[at]
    owner[m] = -1
