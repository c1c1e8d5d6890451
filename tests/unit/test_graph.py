"""A network's nodes as they are read from MXNet's text."""
import gc
import threading
import time

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np
import pytest

from lib.graph.graph import Graph, Node


class Cycle:
    """Only the collector of cycles frees it, and then another thread may go on: as with MXNet's arrays."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        time.sleep(0)


@pytest.mark.parametrize('text, value', [
    ('(1, 1)', (1, 1)), ('[2,2]', (2, 2)), ('(3,)', (3,)), ('()', ()), ('(0.5, 1e-05, -1)', (0.5, 1e-05, -1)),
    ('(None, -2)', (None, -2)), ('3', 3), ('-1', -1), ('0.7', 0.7), ('1e-05', 1e-05), ('True', True),
    ('False', False), ('None', None), ('max', 'max'), ('float32', 'float32'), ('', '')])
def test_attributes_are_numbers_tuples_and_words(text, value):
    read = Node('Convolution', 'conv', {'key': text}).get('key')
    assert read == value and type(read) is type(value)


def test_an_attribute_that_is_missing_is_the_default():
    assert Node('Convolution', 'conv').get('stride', (1, 1)) == (1, 1)


def test_what_loops_run_is_kept():
    step = mx.sym.contrib.foreach(lambda item, states: (item + states[0], [item + states[0]]), mx.sym.Variable('items'),
                                  [mx.sym.Variable('start')])[0]
    graph = Graph(step)
    graph.merge_equal()
    arrays = {'items': mx.nd.array([[1], [2], [3]]), 'start': mx.nd.array([10])}
    sums = graph.symbol().bind(mx.cpu(), arrays).forward()[0].asnumpy()
    np.testing.assert_array_equal(sums, [[11], [13], [16]])


def test_threads_read_attributes_while_arrays_are_freed():
    """Python 3.11's own parser of literals fails here in most runs, with a SystemError."""
    node, failures = Node('Convolution', 'conv', {'stride': '(1, 1)'}), []

    def read():
        try:
            for _ in range(3000):
                Cycle()
                node.get('stride')
        except SystemError as error:
            failures.append(error)

    threads, threshold = [threading.Thread(target=read) for _ in range(4)], gc.get_threshold()
    gc.set_threshold(5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*threshold)
    assert not failures
