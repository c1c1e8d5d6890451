"""Pairs with known flow: drawn, read, augmented, learned from and measured."""
import json
import logging

import cv2
import mxnet as mx
import numpy as np
import pytest

from experiments.flownet import flownet_test, flownet_train_test
from lib.config.defaults import flow_defaults
from lib.core.checkpoint import load_params
from lib.flow import augment, trainer
from lib.flow.augment import Augmented, Cut, change_colours, move
from lib.flow.chairs import FlyingChairs, read_flo, write_flo
from lib.flow.evaluate import FlowEstimator, dis_flow, end_point_errors, zero_flow
from lib.flow.pairs import Pair, PairLoader, draw_pair
from lib.flow.picture import flow_colours, sample_rows
from lib.flow.synthetic import SyntheticPairs
from lib.flow.trainer import PREDICTIONS, flow_symbol, train_flow
from lib.utils import cli
from lib.utils.errors import CheckpointError, DataError
from tests.tiny import run_script

SIZE = (64, 96)


@pytest.fixture(scope='module')
def source():
    return SyntheticPairs(SIZE, 4.0)


@pytest.fixture
def small_config():
    config = flow_defaults()
    config.SCALES, config.network.flow_width = [SIZE], 0.125
    return config


def unexplained(pair):
    """Mean difference of the current image from the reference fetched along the flow, the share of occluded pixels (and of
    those that leave the image) apart."""
    height, width = pair.flow.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    fetched = cv2.remap(pair.reference, x + pair.flow[..., 0], y + pair.flow[..., 1], cv2.INTER_LINEAR)
    difference = np.abs(fetched.astype(float) - pair.current).mean(axis=2)
    return np.mean(np.sort(difference.ravel())[:int(0.7 * difference.size)])


def smooth_pair(motion, size=(120, 160)):
    """A smooth texture and the same moved by the affine `motion` [3, 3], with its exact flow."""
    y, x = np.mgrid[0:size[0], 0:size[1]].astype(np.float64)

    def texture(x, y):
        return np.stack([127 + 60 * np.sin(x / 9 + y / 14 + k) + 40 * np.cos(y / 7 - x / 25) for k in range(3)], axis=2)
    back = np.linalg.inv(motion)
    reference = texture(back[0, 0] * x + back[0, 1] * y + back[0, 2], back[1, 0] * x + back[1, 1] * y + back[1, 2])
    flow = np.stack([(motion[0] - [1, 0, 0]) @ np.stack([x, y, np.ones_like(x)]).reshape(3, -1),
                     (motion[1] - [0, 1, 0]) @ np.stack([x, y, np.ones_like(x)]).reshape(3, -1)], axis=1).reshape(size + (2,))
    return Pair(texture(x, y).astype(np.uint8), reference.astype(np.uint8), flow.astype(np.float32))


MOTION = np.array([[1.02, -0.03, 5], [0.04, 0.97, -3], [0, 0, 1]])


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
    path = tmp_path / 'new' / '1_flow.flo'
    write_flo(path, flow)
    np.testing.assert_array_equal(read_flo(path), flow)
    # byte for byte as Middlebury defines it: the tag spells PIEH, then width, height, rows of u v
    assert path.read_bytes()[:12] == b'PIEH\x07\0\0\0\x05\0\0\0' and np.frombuffer(path.read_bytes()[12:20], '<f4')[1] == flow[0, 0, 1]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match='says 7 x 5 pixels, which takes 292 bytes; it has 291'):
        read_flo(path)
    path.write_bytes(b'P6 nothing')
    with pytest.raises(DataError, match='is not a .flo file: it does not begin with 202021.25'):
        read_flo(path)
    with pytest.raises(DataError, match='cannot read the flow .*none.flo'):
        read_flo(tmp_path / 'none.flo')


def write_chairs(folder, pairs):
    (folder / 'data').mkdir(parents=True)
    for number, pair in enumerate(pairs, start=1):
        for name, image in (('img1', pair.current), ('img2', pair.reference)):
            cv2.imwrite(str(folder / 'data' / ('%05d_%s.ppm' % (number, name))), image)
        write_flo(folder / 'data' / ('%05d_flow.flo' % number), pair.flow)
    return folder


@pytest.fixture
def chairs(tmp_path, source):
    return write_chairs(tmp_path / 'FlyingChairs_release', [draw_pair(source, 'train', number, 0) for number in range(4)])


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
    with pytest.raises(DataError, match='00001_.*: the images and the flow have different sizes: 96 x 64, 8 x 8, 96 x 64'):
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


# ---- learning

def test_targets_are_in_units_of_the_predictions(small_config):
    flow = np.zeros(SIZE + (2,), np.float32)
    flow[..., 0], flow[..., 1] = 40, -20
    pair = Pair(np.zeros(SIZE + (3,), np.uint8), np.zeros(SIZE + (3,), np.uint8), flow)
    symbol, sizes = flow_symbol(small_config, (2, 3) + SIZE)
    assert len(symbol.list_outputs()) == 6 and sizes[-1] == (4, 6) and sizes[0] == (1, 1)
    batch = next(iter(PairLoader(lambda rng: pair, small_config, 1, 2, list(zip(PREDICTIONS, sizes)))))
    for target, size in zip(batch.label, sizes):
        assert target.shape == (2, 2) + size
        np.testing.assert_allclose(target.asnumpy()[:, 0], 1.0)      # 40 pixels: 2.5 of the feature map's, one unit
        np.testing.assert_allclose(target.asnumpy()[:, 1], -0.5)


def test_training_lowers_the_error_and_goes_on_from_a_file(small_config, tmp_path):
    pairs = [smooth_pair(np.array([[1, 0, dx], [0, 1, 0], [0, 0, 1.0]]), SIZE) for dx in (-6, 6)]

    def source(rng):
        return pairs[rng.randint(2)]
    path, logger = str(tmp_path / 'flow-0000.params'), logging.getLogger('test')
    records = train_flow(source, small_config, path, 40, 4, 0.003, logger, mx.cpu(), validation=source, frequent=10)
    assert [record.batch for record in records] == [10, 20, 30, 40]
    assert records[-1].error < 0.5 * records[-1].zero < 0.6 * records[0].error
    assert records[-1].validation < 0.5 and all(record.zero == pytest.approx(6 / 16, rel=0.01) for record in records)
    more = train_flow(source, small_config, path, 2, 4, 1e-5, logger, mx.cpu(), start=str(tmp_path / 'flow'))
    assert more[0].error < 0.6 * more[0].zero and more[0].validation is None
    estimator = FlowEstimator(small_config, load_params(str(tmp_path / 'flow'), 0)[0], mx.cpu())
    errors = end_point_errors({'net': estimator, 'none': zero_flow}, pairs, 2)
    assert errors['net']['all'] < 0.6 * errors['none']['all']


def test_training_writes_on_the_way_and_says_at_once_where_it_cannot(small_config, tmp_path, monkeypatch):
    pair, written = smooth_pair(MOTION, SIZE), []
    monkeypatch.setattr(trainer, 'save_arrays', lambda path, arrays: written.append(sorted(arrays)))
    path, logger = str(tmp_path / 'flow-0000.params'), logging.getLogger('test')
    train_flow(lambda rng: pair, small_config, path, 20, 1, 0.001, logger, mx.cpu(), frequent=1)
    assert len(written) == 10 and 'arg:flow_conv1_weight' in written[0]
    (tmp_path / 'file').write_text('')
    with pytest.raises(CheckpointError, match='cannot write .*file/flow-0000.params: '):
        train_flow(None, small_config, str(tmp_path / 'file' / 'flow-0000.params'), 20, 1, 0.001, None, mx.cpu())


# ---- measuring

def test_end_point_errors():
    pair = smooth_pair(np.array([[1, 0, 12.0], [0, 1, 0], [0, 0, 1]]))
    pair.flow[:, :80] = (3, 4)
    errors = end_point_errors({'right': lambda *_: pair.flow, 'zero': zero_flow}, [pair], 1)
    assert errors['right'] == {'all': 0, 'small': 0, 'large': 0, 'coarse': 0}
    assert errors['zero'] == pytest.approx({'all': 8.5, 'small': 5, 'large': 12, 'coarse': 8.5})


def test_dis_finds_small_motions():
    pair = smooth_pair(MOTION)
    errors = end_point_errors({'DIS': dis_flow, 'zero': zero_flow}, [pair], 1)
    assert errors['DIS']['all'] < 0.3 * errors['zero']['all']


def test_pictures(source):
    flow = np.zeros((1, 3, 2), np.float32)
    flow[0, 1], flow[0, 2] = (5, 0), (-5, 0)
    colours = flow_colours(flow, 5)
    assert colours[0].tolist() == [[255, 255, 255], [0, 0, 255], [255, 255, 0]]       # still, right: red, left: cyan
    picture = sample_rows([draw_pair(source, 'train', number, 0) for number in range(2)], [zero_flow])
    assert picture.shape == (2 * (64 + 4), 4 * (96 + 4), 3)


# ---- the commands

CONFIG = 'experiments/flownet/cfgs/flownet_small_synthetic.yaml'


def arguments(tmp_path, *settings):
    small = ['SCALES=[64,96]', 'TRAIN.BATCHES=3', 'TRAIN.BATCH_IMAGES=2', 'TEST.PAIRS=2', 'default.frequent=1',
             'output_path=%s' % (tmp_path / 'output'), 'network.pretrained_flow=%s' % (tmp_path / 'flow')]
    return ['--cfg', CONFIG, '--gpus', 'cpu', '--set'] + small + list(settings)


def run_here(main, monkeypatch, *words):
    """A command in this process, which saves the seconds of importing MXNet; its exit status."""
    monkeypatch.setattr('sys.argv', ['script.py'] + list(words))
    try:
        cli.run(main)
    except SystemExit as end:
        return end.code
    return 0


def test_training_and_testing_as_a_command(tmp_path):
    status, printed, errors = run_script('experiments/flownet/flownet_train_test.py', *arguments(tmp_path))
    assert status == 0, errors
    assert 'pair batch 3/3  end-point error' in printed and "held-out pairs: " in printed and 'zero flow' in printed
    output = tmp_path / 'output' / 'flownet_small_synthetic'
    assert (output / 'train' / 'curve.png').stat().st_size > 1000 and (output / 'val' / 'samples.jpg').stat().st_size > 1000
    results = json.loads((output / 'val' / 'results.json').read_text())
    assert set(results['end_point_error_pixels']) == {'FlowNet', 'DIS', 'zero flow'} and results['pairs'] == 2


def test_flying_chairs_as_a_command(tmp_path, monkeypatch, capsys):
    """With augmentation; images are larger than what is cut out."""
    large = SyntheticPairs((80, 120), 4.0)
    write_chairs(tmp_path / 'chairs', [draw_pair(large, 'train', number, 0) for number in range(36)])
    words = arguments(tmp_path, 'dataset.dataset=FlyingChairs', 'dataset.dataset_path=%s' % (tmp_path / 'chairs'), 'TRAIN.AUGMENT=true')
    assert run_here(flownet_train_test.main, monkeypatch, *words) == 0
    line = [line for line in capsys.readouterr().out.splitlines() if line.startswith('DIS')]
    assert run_here(flownet_test.main, monkeypatch, *words) == 0
    assert line[0] in capsys.readouterr().out
    results = tmp_path / 'output' / 'flownet_small_synthetic' / 'val' / 'results.json'
    assert json.loads(results.read_text())['pairs'] == 1, 'there is one pair for validation'


@pytest.mark.parametrize('setting, message', [
    ('dataset.dataset=Chairs', "there are no pairs called 'Chairs'; choose SyntheticPairs or FlyingChairs"),
    ('network.pretrained_flow=', 'network.pretrained_flow is empty; it names the file of the flow network'),
    ('TRAIN.BATCHES=0', 'TRAIN.BATCHES must be at least 1'),
    ('TRAIN.BATCHEZ=1', "there is no setting 'TRAIN.BATCHEZ'; did you mean 'TRAIN.BATCHES'?"),
    ('network.flow_width=0.001', 'network.flow_width is 0.001'),
])
def test_errors_of_the_command(tmp_path, monkeypatch, capsys, setting, message):
    assert run_here(flownet_train_test.main, monkeypatch, *arguments(tmp_path, setting)) == 2
    assert message in capsys.readouterr().err
