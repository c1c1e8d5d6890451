"""Box arithmetic and NMS: the recorded values, and the same bits from Cython and from NumPy."""
import numpy as np
import pytest

from dff import boxes
from lib.boxes import transform

LARGE = (1e6, 1e6, 1.0)     # an im_info that clips nothing beyond 0


def some_boxes(count, seed, dtype=np.float64):
    """Random boxes [count, 4] within about 200 pixels, some of them touching or equal."""
    r = np.random.RandomState(seed)
    corner = r.rand(count, 2) * 100
    out = np.concatenate([corner, corner + r.rand(count, 2) * 100], axis=1).astype(dtype)
    out[::7] = np.rint(out[::7])
    out[1::11] = out[0]
    return out


@pytest.fixture(scope='module')
def recorded(reference):
    return np.load(str(reference / 'rfcn_and_boxes.npz'))


def test_recorded_overlaps(recorded):
    got = transform.bbox_overlaps(recorded['bbox/a'], recorded['bbox/b'])
    np.testing.assert_allclose(got, recorded['bbox/overlaps'], rtol=1e-12)


def test_recorded_transform(recorded):
    a, b = recorded['bbox/a'], recorded['bbox/b']
    np.testing.assert_allclose(transform.bbox_transform(a[:len(b)], b), recorded['bbox/transform'], rtol=1e-12)


def test_recorded_decoding(recorded):
    a, deltas, clipped = (recorded['bbox/' + name] for name in ('a', 'deltas', 'pred_clipped'))
    for column in range(0, deltas.shape[1], 4):
        part = slice(column, column + 4)
        got = boxes.decode_boxes(a, deltas[:, part], (120, 200, 1.0))
        np.testing.assert_allclose(got, clipped[:, part], rtol=1e-6, atol=1e-5)
        got = boxes.decode_boxes(a, deltas[:, part], LARGE)
        np.testing.assert_allclose(got, np.maximum(recorded['bbox/pred'][:, part], 0), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize('thresh', [0.3, 0.7])
def test_recorded_nms(recorded, thresh):
    detections = recorded['nms/dets'].astype(np.float32)
    order = np.argsort(-detections[:, 4], kind='stable')
    kept = order[boxes.greedy_nms(detections[order, :4], np.float32(thresh))]
    assert kept.tolist() == recorded['nms/keep_%s' % thresh].tolist()


def test_decoding_undoes_the_transform_and_divides_by_the_scale():
    ex, gt = some_boxes(20, 1), some_boxes(20, 2)
    deltas = transform.bbox_transform(ex, gt)
    np.testing.assert_allclose(boxes.decode_boxes(ex, deltas, LARGE), gt, rtol=1e-5)
    np.testing.assert_allclose(boxes.decode_boxes(ex, deltas, (1e6, 1e6, 2.0)), gt / 2, rtol=1e-5)


def test_empty_inputs():
    assert transform.bbox_overlaps([], some_boxes(3, 0)).shape == (0, 3)
    assert transform.bbox_overlaps(some_boxes(3, 0), np.zeros((0, 5))).shape == (3, 0)
    assert boxes.decode_boxes(np.zeros((0, 4)), np.zeros((0, 4)), LARGE).shape == (0, 4)
    assert boxes.greedy_nms(np.zeros((0, 4), np.float32), 0.3).tolist() == []


def test_nan_and_empty_boxes_overlap_nothing():
    odd = some_boxes(6, 3)
    for column in range(4):
        odd[column, column] = np.nan
    odd[4] = [30, 30, 10, 10]
    assert not transform.bbox_overlaps(odd[:5], some_boxes(5, 4)).any()
    assert not boxes.paired_overlaps(odd[:5], some_boxes(5, 4)).any()


def test_shares_of_the_smaller_box():
    a = np.array([[0, 0, 9, 9], [0, 0, 3, 9], [0, 0, np.nan, 9], [5, 5, 4, 9]])
    b = np.array([[2, 0, 5, 9], [20, 0, 29, 9], [-10, -10, 30, 30]])
    expected = [[1, 0, 1], [0.5, 0, 1], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(boxes.covered_shares(a, b), expected, rtol=1e-12)
    assert boxes.covered_shares(a[:0], b).shape == (0, 3)


def test_pairs_are_the_diagonal():
    a, b = some_boxes(50, 5), some_boxes(50, 6)
    assert np.array_equal(boxes.paired_overlaps(a, b), np.diag(boxes.overlaps(a, b)))
    assert boxes.paired_overlaps(np.array([[0., 0, 9, 9]]), np.array([[5., 0, 14, 9]])).tolist() == [50 / 150]


def test_equal_boxes_keep_the_earlier_row():
    rows = np.array([[50, 50, 60, 60], [0, 0, 10, 10], [0, 0, 10, 10]], dtype=np.float32)
    assert boxes.greedy_nms(rows, 0.5).tolist() == [0, 1]


@pytest.mark.parametrize('seed', range(3))
def test_numpy_and_cython_agree_bit_for_bit(seed):
    bbox = pytest.importorskip('lib.boxes.bbox', reason='the Cython modules are not built')
    a, b = some_boxes(60, seed), some_boxes(50, seed + 10)
    a[5, 1] = b[7, 2] = np.nan
    a[9], b[9] = [-np.inf, 0, np.inf, 5], [30, 30, 10, 10]
    assert np.array_equal(bbox.overlaps(a, b), boxes.overlaps(a, b))
