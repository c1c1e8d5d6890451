"""Marks for single rows of a parametrised test."""
import pytest


def slow(*values):
    """A row of `parametrize` that `-m "not slow"` leaves out; its name stays what it would be without the mark."""
    return pytest.param(*values, marks=pytest.mark.slow)
