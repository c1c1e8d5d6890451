"""Exported parameters in 8 bits: how far weights move, that such a model runs, and what is refused."""
import json
import os

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError
from dff.writers import open_writer
from lib.engine.compact import FILE, load_compact, save_compact
from tests.helpers import tiny


def parameters():
    rng = np.random.RandomState(0)
    weight = rng.normal(0, 1, (4, 3, 3, 3)).astype(np.float32) * np.array([1, 1e-3, 100, 0]).reshape(4, 1, 1, 1)
    return {'conv_weight': weight.astype(np.float32), 'conv_bias': rng.normal(size=4).astype(np.float32)}


def test_each_filter_has_its_own_scale(tmp_path):
    """No weight moves by more than half a step of its filter; a filter of zeros stays; biases are kept whole."""
    params = parameters()
    error = save_compact(str(tmp_path), {name: mx.nd.array(value) for name, value in params.items()})
    loaded = {name: value.asnumpy() for name, value in load_compact(str(tmp_path)).items()}
    np.testing.assert_array_equal(loaded['conv_bias'], params['conv_bias'])
    for theirs, mine in zip(params['conv_weight'], loaded['conv_weight']):
        step = np.abs(theirs).max() / 127
        assert np.abs(theirs - mine).max() <= step / 2 * 1.001
    assert 0.5 / 127 * 0.5 < error <= 0.5 / 127 * 1.001 and not loaded['conv_weight'][3].any()


@pytest.mark.parametrize('damage,message', [
    (lambda path, data: open(path, 'wb').write(data[:200]), r'model-0000.npz is damaged \(File is not a zip file\)'),
    (lambda path, data: open(path, 'wb').write(data[:150] + b'x' * 20 + data[170:]), 'model-0000.npz is damaged'),
    (lambda path, data: np.savez(path, **{"value:a": np.zeros((2, 2), np.float32)}), "holds .value:a., which no"),
    (lambda path, data: np.savez(path, **{'weight:a': np.zeros((2, 2), np.int8)}), "the weights 'a' have no scales"),
    (lambda path, data: np.savez(path, **{'weight:a': np.array([[{}]])}), 'model-0000.npz is damaged'),
])
def test_a_damaged_file(tmp_path, damage, message):
    save_compact(str(tmp_path), parameters())
    path = str(tmp_path / FILE)
    with open(path, 'rb') as stream:
        data = stream.read()
    damage(path, data)
    with pytest.raises(CheckpointError, match=message):
        load_compact(str(tmp_path))


@pytest.mark.slow
def test_the_command_and_the_demo(tmp_path):
    """A fifth of the size, nearly the same scores; exporting anew leaves one of the two forms."""
    cfg = tiny.write_experiment(tmp_path, 'dff_rfcn', clips=1, length=2, TEST__KEY_FRAME_INTERVAL=2)
    for name, more in (('whole', ()), ('small', ('--compact',))):
        status, _, errors = tiny.run_script('tools/export_model.py', 'dff_rfcn', '--cfg', cfg,
                                            '--output', tmp_path / name, *more)
        assert status == 0, errors
    sizes = [os.path.getsize(str(tmp_path / place)) for place in ('whole/model-0000.params', 'small/' + FILE)]
    assert sizes[1] < sizes[0] / 3
    with open_writer(tmp_path / 'frames') as write:
        for t in range(3):
            write(tiny.frame(t), 'f%d' % t)
    found = []
    for name in ('whole', 'small'):
        tiny.run_demo_here('dff_rfcn', '--model', tmp_path / name, '--input', tmp_path / 'frames', '--thresh', 0.05,
                           '--output', tmp_path / 'out', '--json', tmp_path / 'out.json')
        found.append(json.loads((tmp_path / 'out.json').read_text())['frames'])
    best = [[max(box['score'] for box in frame['detections']) for frame in frames] for frames in found]
    assert best[0] == pytest.approx(best[1], abs=0.02) and best[0] != best[1]
    status, _, errors = tiny.run_script('tools/export_model.py', 'dff_rfcn', '--cfg', cfg, '--output',
                                        tmp_path / 'small')
    assert status == 0 and not (tmp_path / 'small' / FILE).exists(), errors
    status, _, errors = tiny.run_script('tools/export_model.py', 'dff_rfcn', '--cfg', cfg, '--output',
                                        tmp_path / 'x', '--compact', '--format', 'onnx')
    assert status == 2 and '--compact is for MXNet alone' in errors
