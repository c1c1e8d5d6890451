"""The flow network: learned from pairs with known flow, measured, and its commands."""
import json
import logging

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError
from experiments.flownet import flownet_test, flownet_train_test
from lib.config.defaults import flow_defaults
from lib.engine.checkpoint import load_params
from lib.flow import trainer
from lib.flow.evaluate import FlowEstimator, dis_flow, end_point_errors, zero_flow
from lib.flow.pairs import Pair, PairLoader, draw_pair
from lib.flow.picture import flow_colours, sample_rows
from lib.flow.synthetic import SyntheticPairs
from lib.flow.trainer import flow_symbol, train_flow
from lib.utils import cli
from tests.helpers.flow_tools import MOTION, SIZE, smooth_pair, write_chairs
from tests.helpers.tiny import run_script


@pytest.fixture
def small_config():
    config = flow_defaults()
    config.SCALES, config.network.flow_width = [SIZE], 0.125
    return config


# ---- learning

def test_targets_are_in_units_of_the_predictions(small_config):
    flow = np.zeros(SIZE + (2,), np.float32)
    flow[..., 0], flow[..., 1] = 40, -20
    pair = Pair(np.zeros(SIZE + (3,), np.uint8), np.zeros(SIZE + (3,), np.uint8), flow)
    symbol, labels = flow_symbol(small_config, (2, 3) + SIZE)
    sizes = [size for _, size in labels]
    assert len(symbol.list_outputs()) == 6 and sizes[-1] == (4, 6) and sizes[0] == (1, 1)
    batch = next(iter(PairLoader(lambda rng: pair, small_config, 1, 2, labels)))
    for target, size in zip(batch.label, sizes):
        assert target.shape == (2, 2) + size
        np.testing.assert_allclose(target.asnumpy()[:, 0], 1.0)      # 40 pixels: 2.5 of the feature map's, one unit
        np.testing.assert_allclose(target.asnumpy()[:, 1], -0.5)


@pytest.mark.parametrize('changes', [{}, {'FLOW_PASSES': 2}, {'FLOW_INPUT_SCALE': 0.25}])
def test_training_lowers_the_error_and_goes_on_from_a_file(small_config, tmp_path, changes):
    small_config.network.update(changes)
    pairs = [smooth_pair(np.array([[1, 0, dx], [0, 1, 0], [0, 0, 1.0]]), SIZE) for dx in (-6, 6)]

    def source(rng):
        return pairs[rng.randint(2)]
    path, logger = str(tmp_path / 'flow-0000.params'), logging.getLogger('test')
    records = train_flow(source, small_config, path, 40, 4, 0.003, logger, mx.cpu(), validation=source, frequent=10)
    assert [record.batch for record in records] == [10, 20, 30, 40]
    assert records[-1].error < 0.5 * records[-1].zero < 0.6 * records[0].error
    assert records[-1].validation < 0.5 and all(record.zero == pytest.approx(6 / 16, rel=0.01) for record in records)
    record = json.loads((tmp_path / 'flow-0000.json').read_text())
    assert record['settings']['network.FLOW_INPUT_SCALE'] == changes.get('FLOW_INPUT_SCALE', 0.5)
    more = train_flow(source, small_config, path, 2, 4, 1e-5, logger, mx.cpu(), start=str(tmp_path / 'flow'))
    assert more[0].error < 0.6 * more[0].zero and more[0].validation is None
    estimator = FlowEstimator(small_config, load_params(str(tmp_path / 'flow'), 0)[0], mx.cpu())
    errors = end_point_errors({'net': estimator, 'none': zero_flow}, pairs, 2)
    assert errors['net']['all'] < 0.6 * errors['none']['all']


def test_training_writes_on_the_way_and_says_at_once_where_it_cannot(small_config, tmp_path, monkeypatch):
    pair, written = smooth_pair(MOTION, SIZE), []
    monkeypatch.setattr(trainer, 'save_arrays', lambda path, arrays: written.append(sorted(arrays)))
    monkeypatch.setattr(trainer, 'write_settings', lambda path, config: None)
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


def test_pictures():
    flow = np.zeros((1, 3, 2), np.float32)
    flow[0, 1], flow[0, 2] = (5, 0), (-5, 0)
    colours = flow_colours(flow, 5)
    assert colours[0].tolist() == [[255, 255, 255], [0, 0, 255], [255, 255, 0]]       # still, right: red, left: cyan
    picture = sample_rows([draw_pair(SyntheticPairs(SIZE, 4.0), 'train', number, 0) for number in range(2)],
                          [zero_flow])
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


@pytest.mark.slow
def test_training_and_testing_as_a_command(tmp_path):
    status, printed, errors = run_script('experiments/flownet/flownet_train_test.py', *arguments(tmp_path))
    assert status == 0, errors
    assert 'pair batch 3/3  end-point error' in printed and "held-out pairs: " in printed and 'zero flow' in printed
    output = tmp_path / 'output' / 'flownet_small_synthetic'
    assert (output / 'train' / 'curve.png').stat().st_size > 1000
    assert (output / 'val' / 'samples.jpg').stat().st_size > 1000
    results = json.loads((output / 'val' / 'results.json').read_text())
    assert set(results['end_point_error_pixels']) == {'FlowNet', 'DIS', 'zero flow'} and results['pairs'] == 2


def test_flying_chairs_as_a_command(tmp_path, monkeypatch, capsys):
    """With augmentation; images are larger than what is cut out."""
    large = SyntheticPairs((80, 120), 4.0)
    write_chairs(tmp_path / 'chairs', [draw_pair(large, 'train', number, 0) for number in range(36)])
    words = arguments(tmp_path, 'dataset.dataset=FlyingChairs', 'dataset.dataset_path=%s' % (tmp_path / 'chairs'),
                      'TRAIN.AUGMENT=true')
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
