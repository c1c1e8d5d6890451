"""How the check of an ONNX export judges differences."""
import numpy as np

import tests.helpers.onnx_tools  # noqa: F401  (skips where the packages are missing)
from dff.frames import InputFormat, prepare
from lib.onnx_export import check

FLOAT32 = check.TOLERANCES['float32']


def test_scores_that_mxnet_takes_for_0_are_no_difference():
    frame = prepare(np.zeros((64, 96, 3), np.uint8), InputFormat((64, 96), 0, (0, 0, 0)))
    rois = np.float32([[0, 4, 8, 40, 32], [0, 50, 8, 90, 32]])

    def differences(first, second):
        wanted, found = (np.float32([[0.5, 0.5], [1, score]]) for score in (first, second))
        values = rois, wanted, np.zeros((2, 8), np.float32)
        return check.detection_differences(values, (rois[:, 1:], found), frame, 0.3, FLOAT32)
    assert list(differences(0, 1e-40)) == list(differences(0, 0)) and len(differences(0, 0)) == 2
    assert len(differences(0, 1e-37)) == 3 and differences(0, 1e-37).max() > FLOAT32.limit


def test_the_judgement_spares_one_in_a_hundred_detections():
    good, bad = np.full(198, 1e-6), np.full(2, 0.5)
    verdict = check._judge_detections([good, bad], FLOAT32)
    assert verdict.good and '1.0e-06, in 198 detections of 2 frames' in verdict.line
    assert verdict.line.endswith('and 2 without a counterpart (up to 2 may be)')
    assert not check._judge_detections([good[:100], bad], FLOAT32).good
    assert not check._judge_detections([bad], FLOAT32).good
    verdict = check._judge_detections([np.array([])], FLOAT32)
    assert not verdict.good and verdict.line == (
        'no detection of score 0 or more in any of 1 frames; name others with --frames'
    )
