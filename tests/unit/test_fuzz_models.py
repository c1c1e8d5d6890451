"""Exported folders with random edits; benchmarks/fuzz_models.py runs more, with sanitizers."""
import pytest

from benchmarks.fuzz_models import fuzz
from tests.helpers.exported_tools import folders  # noqa: F401  (a fixture)


@pytest.mark.slow
def test_random_edits_run_or_are_refused(folders):  # noqa: F811
    tally = fuzz(100, str(folders))
    assert not tally.failures and tally.counts['ran'] > 5 and tally.counts['refused'] > 50
