"""Errors inside the parallel loops of native operators."""

import os
import subprocess
import sys

import pytest

from lib.utils.paths import ROOT
from lib.operator_cxx import loader

pytestmark = pytest.mark.skipif(not loader.load(), reason='the native operators are not built')

# A thread's padded maps need 146 MB for the second call; all else is there from the first.
CODE = """
import resource, lib, mxnet as mx, numpy as np
from lib.operator_cxx import loader
loader.load()
arrays = [mx.nd.zeros(shape) for shape in ((1, 3, 4, 5), (36, 1, 8, 16), (4,))]
mx.nd.waitall()
mx.nd.DFFWinograd(*arrays, num_filter=4, dilate=1, stride=1, up=1, slope=1).wait_to_read()
size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (40 << 20),) * 2)
try:
    mx.nd.DFFWinograd(*arrays, num_filter=4, dilate=256, stride=1, up=1, slope=1).wait_to_read()
except mx.base.MXNetError as error:
    print('refused:', 'bad_alloc' in str(error))
"""


def test_no_memory_in_a_parallel_loop_is_an_error():
    """Once an exception inside an OpenMP region, which ends the process."""
    done = subprocess.run([sys.executable, '-c', CODE], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True,
                          env=dict(os.environ, OMP_NUM_THREADS='2'))
    assert done.returncode == 0 and 'refused: True' in done.stdout, done.stdout
