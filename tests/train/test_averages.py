"""Exponential moving averages of the parameters."""
from types import SimpleNamespace

import mxnet as mx
import numpy as np
import pytest

from lib.engine.checkpoint import find_checkpoint, load_arrays, load_params, seed_epoch
from lib.engine.distributed import Group
from lib.train.averages import Averages, learned_statistics
from lib.train.checkpointer import Checkpointer
from lib.train.trainer import count_from
from tests.helpers.module_tools import BATCHES, CONFIG, Batches, make_module, small_symbol

DECAY = 0.6
TRAINED = 'conv1_weight', 'bn1_moving_mean'


def fit(prefix, devices=1, epochs=2, go_on=False, seen=None):
    """Train with averages, from the newest checkpoint with go_on; `seen` gets the parameters after each update."""
    module = make_module(devices, fixed_param_names=['conv2_weight'])
    begin, first, params, before = 0, 0, (None, None), None
    seed_epoch(CONFIG.TRAIN.SEED, 0)
    if go_on:
        start = find_checkpoint(prefix)
        begin, first = start.epoch, start.batch
        params, before = (load_params(where, begin, first) for where in (prefix, prefix + '-ema'))
        module.preload_optimizer_states(load_arrays(start.states_file), start.num_update)
        seed_epoch(CONFIG.TRAIN.SEED, begin, first)
    averages = Averages(module, DECAY, before)
    checkpointer = Checkpointer(module, prefix, CONFIG, SimpleNamespace(batches_per_epoch=BATCHES),
                                SimpleNamespace(received=None), Group('local'), averages=averages)

    def note(param):
        if seen is not None:
            args, auxs = module.get_params()
            seen.append({name: array.asnumpy() for name, array in dict(args, **auxs).items()})
    batches = Batches(devices, begin)
    batches.position = first
    module.fit(batches, begin_epoch=begin, num_epoch=epochs, arg_params=params[0], aux_params=params[1],
               batch_end_callback=count_from(begin, first, [note, averages, checkpointer.end_batch]),
               epoch_end_callback=checkpointer.end_epoch, initializer=mx.init.Xavier(),
               optimizer_params={'learning_rate': 0.1, 'momentum': 0.9})
    return averages


def averaged(prefix, epoch):
    return {name: array.asnumpy() for name, array in load_arrays('%s-ema-%04d.params' % (prefix, epoch)).items()}


def test_averages_are_those_of_the_formula_and_a_whole_network(tmp_path):
    seen = []
    fit(str(tmp_path / 'm'), seen=seen)
    found = averaged(tmp_path / 'm', 2)
    assert found.keys() == load_arrays(str(tmp_path / 'm-0002.params')).keys() and len(seen) == 2 * BATCHES
    for kind, name in zip(('arg:', 'aux:'), TRAINED):
        expected = 0.0
        for t, params in enumerate(seen, 1):
            decay = min(DECAY, (t - 1) / (t + 8))
            expected = decay * expected + (1 - decay) * params[name].astype(np.float64)
        np.testing.assert_allclose(found[kind + name], expected, rtol=1e-5, atol=1e-7)
        assert np.abs(expected - seen[-1][name]).max() > 1e-5
    # What is frozen is not averaged, which would round it.
    assert np.array_equal(found['arg:conv2_weight'], seen[-1]['conv2_weight'])


@pytest.mark.parametrize('devices', [1, 2])
def test_a_run_that_went_on_has_the_same_averages(tmp_path, devices):
    fit(str(tmp_path / 'whole'), devices)
    fit(str(tmp_path / 'parts'), devices, epochs=1)
    for kind in ('params', 'states', 'json'):      # from within the epoch
        (tmp_path / ('parts-0001.' + kind)).unlink()
    fit(str(tmp_path / 'parts'), devices, go_on=True)
    one, other = (averaged(tmp_path / name, 2) for name in ('whole', 'parts'))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_checkpoint_without_its_averages_is_passed_over(tmp_path):
    fit(str(tmp_path / 'm'), epochs=1)
    content = (tmp_path / 'm-ema-0001.params').read_bytes()
    (tmp_path / 'm-ema-0001.params').write_bytes(content[:-1])
    lines = []
    assert find_checkpoint(str(tmp_path / 'm'), report=lines.append).batch == BATCHES - 1
    assert len(lines) == 1 and 'm-ema-0001.params is damaged' in lines[0]
    (tmp_path / 'm-ema-0001.params').unlink()
    assert find_checkpoint(str(tmp_path / 'm'), report=lines.append).batch == BATCHES - 1
    assert 'm-ema-0001.params is missing' in lines[1]


def test_statistics_that_stay_are_not_averaged():
    assert learned_statistics(small_symbol()) == ['bn1_moving_mean', 'bn1_moving_var']
    stored = mx.sym.BatchNorm(mx.sym.Variable('data'), use_global_stats=True, name='bn')
    assert learned_statistics(stored) == []
