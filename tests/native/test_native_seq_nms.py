"""Seq-NMS natively: equal to NumPy's, in time linear in the clip's length."""
import time

import numpy as np
import pytest

from dff.tracking import seq_nms as plain
from lib.boxes import seq_nms as native
from lib.operator_cxx import loader
from tests.helpers.made_clips import moving_boxes

built = pytest.mark.skipif(loader.c_library() is None,
                           reason='the native library is not built (sh init.sh builds it)')


@built
@pytest.mark.parametrize('seed', range(30))
def test_native_is_numpy(seed):
    clip = moving_boxes(seed, seed % 15, (1, 3, 20, 50)[seed % 4], ties=seed % 3 == 0)
    if seed % 5 == 1:     # hostile: empty, inside out, beyond the range of float's products
        every_third = clip[1][::3]
        every_third *= np.random.RandomState(seed).choice([-1, 0, 1e25], (len(every_third), 1))
    for rescore in plain.RESCORE:
        for found, expected in zip(native.seq_nms(*clip, rescore), plain.seq_nms(*clip, rescore)):
            np.testing.assert_array_equal(found, expected)
    with np.errstate(over='ignore'):
        expected = plain.nms_of_frames(*clip, 0.3)
    np.testing.assert_array_equal(native.nms_of_frames(*clip, 0.3), expected)


@built
def test_linear_in_the_length():
    def seconds(frames):
        clip, times = moving_boxes(0, frames, 100), []
        for _ in range(5):
            start = time.process_time()
            native.seq_nms(*clip)
            times.append(time.process_time() - start)
        return min(times)
    assert seconds(1600) < 3 * 8 * seconds(200)      # quadratic would be 64 times


@built
@pytest.mark.parametrize('change, message', [
    ({0: [0, 2]}, 'offsets must rise from 0 to 3, the number of boxes'),
    ({0: [0, 4, 3]}, 'offsets must rise from 0 to 3'),
    ({0: []}, 'offsets must rise'),
    ({1: np.zeros((3, 5))}, r'boxes must be \[n, 4\] and scores \[n\], not \(3, 5\) and \(3,\)'),
    ({2: np.array([1, np.nan, 1])}, 'scores must be finite'),
    ({2: np.zeros(2)}, r'not \(3, 4\) and \(2,\)'),
])
def test_wrong_shapes(change, message):
    arguments = {0: [0, 1, 3], 1: np.zeros((3, 4)), 2: np.ones(3)}
    arguments.update(change)
    with pytest.raises(ValueError, match=message):
        native.seq_nms(*arguments.values())
