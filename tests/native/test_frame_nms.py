"""Post-processing of a frame: the NumPy definition, its native twin, the reference values."""
import numpy as np
import pytest

from dff import boxes
from lib.boxes.frame_detections import frame_detections
from lib.operator_cxx import loader

IM_INFO = (562, 1000, 1.6)


def random_frame(rng, count, classes, agnostic=True):
    corners = rng.uniform(0, (1000, 562), (count, 2, 2))
    rois = np.hstack((np.zeros((count, 1)), corners.min(axis=1), corners.max(axis=1))).astype(np.float32)
    scores = rng.dirichlet(np.full(classes + 1, 0.3), count).astype(np.float32).reshape(count, classes + 1)
    deltas = rng.randn(count, 8 if agnostic else 4 * (classes + 1)).astype(np.float32) * 0.4
    return rois, scores, deltas


@pytest.mark.parametrize('frame', ['key', 'cur'])
def test_reference_detections(reference, frame):
    with np.load(str(reference / 'dff_rfcn_180x320.npz')) as values:
        rois, scores, deltas, expected = (values['%s/%s' % (frame, name)] for name in (
            'rois_output', 'cls_prob_reshape_output', 'bbox_pred_reshape_output', 'detections'))
    found = frame_detections(rois, scores[0], deltas[0], (180, 320, 1.5), 0.03, 0.3)
    np.testing.assert_allclose(found[:, [0, 2, 3, 4, 5, 1]], expected, atol=1e-4)


@pytest.mark.skipif(loader.c_library() is None, reason='the native library is not built (sh init.sh builds it)')
@pytest.mark.parametrize('seed', range(12))
def test_native_is_numpy(seed):
    rng = np.random.RandomState(seed)
    rois, scores, deltas = random_frame(rng, rng.randint(0, 320), rng.choice([1, 2, 30]), agnostic=seed % 2 == 0)
    if seed % 3 == 0:  # hostile
        for array in (scores, deltas):
            array[rng.rand(*array.shape) < 0.05] = rng.choice([np.nan, np.inf, -np.inf, 1e30])
    if seed % 3 == 1:  # ties
        scores = scores.round(1)
    for limit in (0, 7, 300):
        expected = boxes.frame_detections(rois, scores, deltas, IM_INFO, 0.05, 0.3, limit)
        found = frame_detections(rois, scores, deltas, IM_INFO, 0.05, 0.3, limit)
        np.testing.assert_array_equal(found, expected)


def test_order_and_limit():
    rois, scores, deltas = random_frame(np.random.RandomState(1), 200, 5)
    everything = frame_detections(rois, scores, deltas, IM_INFO, 0.01, 0.3, 0)
    assert (np.lexsort((-everything[:, 1], everything[:, 0])) == np.arange(len(everything))).all()
    best = frame_detections(rois, scores, deltas, IM_INFO, 0.01, 0.3, 40)
    assert len(best) == 40
    assert sorted(best[:, 1]) == sorted(everything[:, 1])[-40:]


def test_overlap_at_the_threshold_stays():
    rois = np.array([[0, 0, 9, 9], [0, 0, 9, 4], [0, 0, 9, 9]], np.float32)  # the second covers half of the first
    scores = np.array([[0, .9], [0, .8], [0, .7]], np.float32)
    found = frame_detections(rois, scores, np.zeros((3, 8)), (100, 100, 1), 0.5, 0.5)
    np.testing.assert_array_equal(found[:, 1], scores[:2, 1])


def test_nothing_found():
    assert frame_detections(np.zeros((0, 5)), np.zeros((0, 31)), np.zeros((0, 8)), IM_INFO, 0.1, 0.3).shape == (0, 6)
    rois, scores, deltas = random_frame(np.random.RandomState(2), 20, 3)
    assert frame_detections(rois, scores, deltas, IM_INFO, 1.0, 0.3).shape == (0, 6)
    assert frame_detections(rois, scores * np.nan, deltas, IM_INFO, 0.0, 0.3).shape == (0, 6)


@pytest.mark.parametrize('changes, message', [
    (dict(rois=np.zeros((4, 5))), r'rois must be \[3, 4 or 5\] to fit cls_prob \(3, 6\), not \(4, 5\)'),
    (dict(bbox_pred=np.zeros((3, 12))), r'bbox_pred must be \[3, 8\] \(class-agnostic\) or \[3, 24\]'),
    (dict(cls_prob=np.zeros(3)), r'cls_prob must be \[R, C \+ 1\], not \(3,\)'),
    (dict(im_info=(5, 5, 0)), 'a positive scale'),
])
def test_wrong_shapes(changes, message):
    arguments = dict(rois=np.zeros((3, 5)), cls_prob=np.zeros((3, 6)), bbox_pred=np.zeros((3, 8)), im_info=IM_INFO)
    with pytest.raises(ValueError, match=message):
        frame_detections(**dict(arguments, **changes), score_thresh=0.1, nms_thresh=0.3)
