"""Pairs with known flow: drawn, read and augmented."""
import cv2
import numpy as np
import pytest

from dff.errors import DataError
from lib.flow import augment
from lib.flow.augment import Augmented, Cut, change_colours, move
from lib.flow.chairs import FlyingChairs, read_flo
from lib.flow.pairs import Pair, draw_pair
from lib.flow.synthetic import SyntheticPairs
from tests.helpers.flow_tools import MOTION, SIZE, smooth_pair, write_chairs, write_flo


@pytest.fixture(scope='module')
def source():
    return SyntheticPairs(SIZE, 4.0)


def unexplained(pair):
    """Mean difference of the current image from the reference fetched along the flow,
    the share of occluded pixels (and of those that leave the image) apart."""
    height, width = pair.flow.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    fetched = cv2.remap(pair.reference, x + pair.flow[..., 0], y + pair.flow[..., 1], cv2.INTER_LINEAR)
    difference = np.abs(fetched.astype(float) - pair.current).mean(axis=2)
    return np.mean(np.sort(difference.ravel())[:int(0.7 * difference.size)])


# ---- where pairs come from

def test_synthetic_flow_is_exact(source):
    pairs = [draw_pair(source, 'train', number, 0) for number in range(12)]
    still = [pair._replace(flow=np.zeros_like(pair.flow)) for pair in pairs]
    assert np.mean([unexplained(pair) for pair in pairs]) < 1.5 < 4 * np.mean([unexplained(pair) for pair in still])
    lengths = [np.linalg.norm(pair.flow, axis=2) for pair in pairs]
    assert 1 < np.mean(lengths) < 8 and max(length.max() for length in lengths) > 6
    assert all(pair.current.shape == SIZE + (3,) and pair.flow.dtype == np.float32 for pair in pairs)


def test_a_number_names_a_pair(source):
    one, same = (draw_pair(SyntheticPairs(SIZE, 4.0), 'train', 5, 0) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same))
    for other in (draw_pair(source, 'train', 6, 0), draw_pair(source, 'val', 5, 0), draw_pair(source, 'train', 5, 1)):
        assert not np.array_equal(one.flow, other.flow)


def test_textures_from_images(tmp_path):
    with pytest.raises(DataError, match='holds no images to take textures from'):
        SyntheticPairs(SIZE, 4.0, str(tmp_path))
    (tmp_path / 'deep').mkdir()
    cv2.imwrite(str(tmp_path / 'deep' / 'a.png'), np.tile(np.arange(40, dtype=np.uint8)[None, :, None] * 6, (30, 1, 3)))
    pair = draw_pair(SyntheticPairs(SIZE, 4.0, str(tmp_path)), 'train', 0, 0)
    assert pair.current.shape == SIZE + (3,) and unexplained(pair) < 2


def test_flo_files(tmp_path):
    flow = np.random.RandomState(0).normal(size=(5, 7, 2)).astype(np.float32)
    path = tmp_path / '1_flow.flo'
    write_flo(path, flow)
    np.testing.assert_array_equal(read_flo(path), flow)
    # byte for byte as Middlebury defines it: the tag spells PIEH, then width, height, rows of u v
    assert path.read_bytes()[:12] == b'PIEH\x07\0\0\0\x05\0\0\0'
    assert np.frombuffer(path.read_bytes()[12:20], '<f4')[1] == flow[0, 0, 1]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match='says 7 x 5 pixels, which takes 292 bytes; it has 291'):
        read_flo(path)
    path.write_bytes(b'P6 nothing')
    with pytest.raises(DataError, match='is not a .flo file: it does not begin with 202021.25'):
        read_flo(path)
    with pytest.raises(DataError, match='cannot read the flow .*none.flo'):
        read_flo(tmp_path / 'none.flo')


@pytest.fixture
def chairs(tmp_path, source):
    return write_chairs(tmp_path / 'FlyingChairs_release',
                        [draw_pair(source, 'train', number, 0) for number in range(4)])


def test_flying_chairs(chairs, source):
    (chairs / 'FlyingChairs_train_val.txt').write_text('1\n2\n1\n1\n')
    train, val = (FlyingChairs(str(chairs), split) for split in ('train', 'val'))
    assert (train.numbers, val.numbers) == (['00001', '00003', '00004'], ['00002'])
    for mine, theirs in zip(val.pair(0), draw_pair(source, 'train', 1, 0)):
        np.testing.assert_array_equal(mine, theirs)
    assert any(np.array_equal(train(np.random.RandomState(0)).flow, train.pair(i).flow) for i in range(3))


def test_flying_chairs_without_the_list_or_the_folder_data(chairs):
    assert len(FlyingChairs(str(chairs / 'data'), 'train')) == 4
    with pytest.raises(DataError, match='holds no pairs for val: expected 00001_img1.ppm'):
        FlyingChairs(str(chairs), 'val')


def test_flying_chairs_that_are_broken(chairs, tmp_path):
    with pytest.raises(DataError, match='FlyingChairs, .*none, does not exist; data/README.md'):
        FlyingChairs(str(tmp_path / 'none'), 'train')
    with pytest.raises(DataError, match="image sets train and val; found 'test'"):
        FlyingChairs(str(chairs), 'test')
    (chairs / 'FlyingChairs_train_val.txt').write_text('1\n2\n')
    with pytest.raises(DataError, match=r'FlyingChairs_train_val.txt has 2 lines \(of 1 or 2\) for 4 pairs'):
        FlyingChairs(str(chairs), 'train')
    (chairs / 'FlyingChairs_train_val.txt').unlink()
    cv2.imwrite(str(chairs / 'data' / '00001_img2.ppm'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError,
                       match='00001_.*: the images and the flow have different sizes: 96 x 64, 8 x 8, 96 x 64'):
        FlyingChairs(str(chairs), 'train').pair(0)


# ---- augmentation

def test_geometry_keeps_the_flow_exact():
    pair, changed = smooth_pair(MOTION), 0
    assert unexplained(pair) < 2
    for seed in range(8):
        moved = move(pair, SIZE, np.random.RandomState(seed))
        assert moved.current.shape == SIZE + (3,) and unexplained(moved) < 3
        assert unexplained(moved._replace(flow=np.zeros_like(moved.flow))) > 5
        changed += not np.array_equal(moved.flow, Cut(lambda rng: pair, SIZE)(None).flow)
    assert changed == 8


def test_where_nothing_fits_the_middle_is_taken(monkeypatch):
    pair = smooth_pair(MOTION, SIZE)
    monkeypatch.setattr(augment, 'ZOOM', (0.5, 0.6))     # always reaches out of the image
    moved = move(pair, SIZE, np.random.RandomState(0))
    np.testing.assert_array_equal(moved.current, pair.current)
    np.testing.assert_allclose(moved.flow, pair.flow, atol=1e-4)


def test_colours_change_in_both_images_alike():
    image = np.random.RandomState(0).randint(0, 256, SIZE + (3,)).astype(np.uint8)
    pair = Pair(image, image.copy(), np.zeros(SIZE + (2,), np.float32))
    distances = []
    for seed in range(10):
        changed = change_colours(pair, np.random.RandomState(seed))
        distances.append([np.abs(changed.current.astype(float) - other).mean() for other in (changed.reference, image)])
        assert changed.flow is pair.flow
    alike, different = np.mean(distances, axis=0)
    assert 0 < alike < 10 and different > 25       # noise apart, no darker than 4 % of the range


def test_pairs_smaller_than_the_network_wants():
    pair = smooth_pair(MOTION, (40, 200))
    for cut in (Cut, Augmented):
        with pytest.raises(DataError, match='a pair has 200 x 40 pixels, less than SCALES: 96 x 64'):
            cut(lambda rng: pair, SIZE)(np.random.RandomState(0))
