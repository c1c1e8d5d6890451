"""Caches of annotations of which something has changed: as they were, or made anew."""
import logging
import random

import numpy as np
import pytest

from lib.dataset.formats import cache
from lib.dataset.formats.annotations import TableBuilder
from lib.dataset.formats.classes import load_classes


def make_table(parsed):
    builder = TableBuilder()
    for image in parsed:
        builder.add(image)
    return builder.table(load_classes())


@pytest.mark.slow
def test_caches_with_a_changed_byte_are_as_they_were_or_made_anew(tmp_path):
    table = make_table([(60, 80, [(1, 2, 3, 4.5)] * 3, [1, 2, 1], ['a', '', 'b'], ['dog']), (60, 80, [], [], [], [])])
    path = tmp_path / 'c.npz'
    cache.store(str(path), 'key', table, logging.getLogger('dff'))
    whole, draw, anew = path.read_bytes(), random.Random(0), 0
    assert cache.load(str(path), 'key') is not None
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] = draw.choice([0, 255, whole[position] ^ 1, whole[position] ^ 128])
        path.write_bytes(bytes(changed))
        found = cache.load(str(path), 'key')
        anew += found is None
        if found is not None:
            for name in ('sizes', 'offsets', 'boxes', 'classes', 'unknown', 'tracks'):
                assert np.array_equal(getattr(found, name), getattr(table, name))
            assert found.unknown_names == table.unknown_names
    assert anew > len(whole) / 10


def test_caches_whose_arrays_do_not_fit_are_made_anew(tmp_path):
    table = make_table([(60, 80, [(1, 2, 3, 4.5)] * 3, [1, 2, 1], ['a', '', 'b'], ['dog'])])
    path = str(tmp_path / 'c.npz')
    for name, value in (('offsets', np.array([0, 4])), ('offsets', np.array([3])), ('offsets', np.array([1, 3])),
                        ('sizes', np.zeros((1, 3), np.int32)), ('boxes', np.zeros((3, 4), np.float32)),
                        ('classes', np.zeros(2, np.int32)), ('tracks', np.zeros((3, 1), np.int32)),
                        ('unknown', np.zeros(0, np.int32)), ('unknown_names', {'dog': 1.5})):
        before = getattr(table, name)
        setattr(table, name, value)
        cache.store(path, 'key', table, logging.getLogger('dff'))
        if name == 'unknown_names':
            continue      # counts are written as whole numbers
        assert cache.load(path, 'key') is None, name
        setattr(table, name, before)
