"""Box arithmetic and NMS: the recorded values, and the same bits from Cython and from NumPy."""
import numpy as np
import pytest

from lib.boxes import transform
from lib.boxes import nms as nms_module


def boxes(count, seed, dtype=np.float64):
    """Random boxes [count, 4] within about 200 pixels, some of them touching or equal."""
    r = np.random.RandomState(seed)
    corner = r.rand(count, 2) * 100
    out = np.concatenate([corner, corner + r.rand(count, 2) * 100], axis=1).astype(dtype)
    out[::7] = np.rint(out[::7])
    out[1::11] = out[0]
    return out


def scored(count, seed):
    """Random detections [count, 5], with equal scores among them."""
    scores = np.random.RandomState(seed).rand(count, 1).round(2)
    return np.concatenate([boxes(count, seed), scores], axis=1).astype(np.float32)


@pytest.fixture(scope='module')
def recorded(reference):
    return np.load(str(reference / 'rfcn_and_boxes.npz'))


def test_recorded_overlaps(recorded):
    got = transform.bbox_overlaps(recorded['bbox/a'], recorded['bbox/b'])
    np.testing.assert_allclose(got, recorded['bbox/overlaps'], rtol=1e-12)


def test_recorded_transforms(recorded):
    a, b, deltas = recorded['bbox/a'], recorded['bbox/b'], recorded['bbox/deltas']
    np.testing.assert_allclose(transform.bbox_transform(a[:len(b)], b), recorded['bbox/transform'], rtol=1e-12)
    pred = transform.bbox_pred(a, deltas)
    np.testing.assert_allclose(pred, recorded['bbox/pred'], rtol=1e-12)
    np.testing.assert_allclose(transform.clip_boxes(pred, (120, 200)), recorded['bbox/pred_clipped'], rtol=1e-12)


@pytest.mark.parametrize('thresh', [0.3, 0.7])
def test_recorded_nms(recorded, thresh):
    assert nms_module.nms(recorded['nms/dets'], thresh) == recorded['nms/keep_%s' % thresh].tolist()


def test_pred_undoes_transform():
    ex, gt = boxes(20, 1), boxes(20, 2)
    np.testing.assert_allclose(transform.bbox_pred(ex, transform.bbox_transform(ex, gt)), gt)


def test_clip_leaves_its_argument_alone():
    before = np.array([[-5, -6, 300, 400]], dtype=np.float32)
    after = transform.clip_boxes(before, (100, 200))
    assert after.tolist() == [[0, 0, 199, 99]] and after.dtype == np.float32
    assert before[0, 0] == -5


def test_empty_inputs():
    assert transform.bbox_overlaps([], boxes(3, 0)).shape == (0, 3)
    assert transform.bbox_overlaps(boxes(3, 0), np.zeros((0, 5))).shape == (3, 0)
    assert transform.bbox_pred(np.zeros((0, 4)), np.zeros((0, 8))).shape == (0, 8)
    assert transform.clip_boxes(np.zeros((0, 4)), (10, 10)).shape == (0, 4)
    assert nms_module.nms(np.zeros((0, 5)), 0.3) == []
    assert nms_module.nms([], 0.3) == []


def test_nan_overlaps_nothing_and_is_never_kept():
    with_nan = boxes(4, 3)
    for column in range(4):
        with_nan[column, column] = np.nan
    assert not transform.bbox_overlaps(with_nan, boxes(5, 4)).any()
    dets = scored(6, 5)
    dets[1, 4], dets[2, 0], dets[3, 2] = np.nan, np.nan, np.inf
    assert not {1, 2, 3} & set(nms_module.nms(dets, 0.5))


def test_equal_scores_keep_the_earlier_row():
    dets = np.array([[0, 0, 10, 10, .5], [0, 0, 10, 10, .5], [50, 50, 60, 60, .9]], dtype=np.float32)
    assert nms_module.nms(dets, 0.5) == [2, 0]


@pytest.mark.parametrize('seed', range(3))
def test_numpy_and_cython_agree_bit_for_bit(seed):
    bbox = pytest.importorskip('lib.boxes.bbox', reason='the Cython modules are not built')
    cpu_nms = pytest.importorskip('lib.boxes.cpu_nms', reason='the Cython modules are not built')
    a, b = boxes(60, seed), boxes(50, seed + 10)
    a[5, 1] = b[7, 2] = np.nan
    a[9], b[9] = [-np.inf, 0, np.inf, 5], [30, 30, 10, 10]
    assert np.array_equal(bbox.overlaps(a, b), transform.overlaps_numpy(a, b))
    ordered = boxes(300, seed, np.float32)
    ordered[3] = [30, 30, 10, 10]
    for thresh in (0.0, 0.3, 0.7):
        assert np.array_equal(cpu_nms.suppress(ordered, thresh), nms_module.suppress_numpy(ordered, thresh))
