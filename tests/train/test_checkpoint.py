"""Checkpoints: files that are whole, and every kind that is not."""
import json
import struct

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError
from lib.engine import checkpoint
from lib.engine.box_regression import fold_bbox_normalisation, use_test_bbox
from lib.engine.checkpoint import (find_checkpoint, load_arrays, load_params, positions,
                                   save_arrays, save_checkpoint, seed_epoch)
from lib.engine.params_file import ArrayInfo, inspect

ARGS = {'conv_weight': mx.nd.array(np.arange(24).reshape(2, 3, 2, 2)), 'fc_bias': mx.nd.array([1, 2, 3])}
AUXS = {'bn_moving_mean': mx.nd.array([4, 5])}


@pytest.fixture
def prefix(tmp_path):
    return str(tmp_path / 'model')


def write_old_format(path, version):
    """A file of one array `arg:w` [2, 3] as MXNet of 2016 (version 0) or 2017 (version 1) wrote it."""
    shape = struct.pack('<IIqq', 0xF993fac8, 2, 2, 3) if version else struct.pack('<III', 2, 2, 3)
    array = shape + struct.pack('<iii', 1, 0, 0) + np.arange(6, dtype='<f4').tobytes()
    path.write_bytes(struct.pack('<QQQ', 0x112, 0, 1) + array + struct.pack('<QQ', 1, 5) + b'arg:w')


def test_parameters_come_back(prefix):
    save_checkpoint(prefix, 3, ARGS, AUXS)
    args, auxs = load_params(prefix, 3)
    assert sorted(args) == sorted(ARGS) and sorted(auxs) == sorted(AUXS)
    np.testing.assert_array_equal(args['conv_weight'].asnumpy(), ARGS['conv_weight'].asnumpy())
    assert inspect(prefix + '-0003.params')['aux:bn_moving_mean'] == ArrayInfo((2,), 'float32')
    assert mx.nd.load(prefix + '-0003.params')['arg:fc_bias'].shape == (3,)


def test_missing_file_says_where_models_come_from(prefix):
    with pytest.raises(CheckpointError,
                       match='model-0000.params does not exist. model/README.md says .*`sh init.sh --demo`'):
        load_params(prefix, 0)


@pytest.mark.parametrize('version', [0, 1])
def test_files_of_old_mxnet_versions_are_read(tmp_path, version):
    write_old_format(tmp_path / 'old-0000.params', version)
    args, _ = load_params(str(tmp_path / 'old'), 0)
    np.testing.assert_array_equal(args['w'].asnumpy(), np.arange(6).reshape(2, 3))


@pytest.mark.parametrize('dtype', ['float16', 'float64', 'int8', 'int32', 'int64', 'uint8'])
def test_all_types_are_read(tmp_path, dtype):
    path = str(tmp_path / 'x.params')
    save_arrays(path, {'x': mx.nd.ones((3, 5), dtype=dtype), 'y': mx.nd.zeros((1,))})
    assert inspect(path) == {'x': ArrayInfo((3, 5), dtype), 'y': ArrayInfo((1,), 'float32')}


def test_no_arrays_at_all(tmp_path):
    path = str(tmp_path / 'x.states')
    save_arrays(path, {})
    assert load_arrays(path) == {}


def test_truncation_at_every_byte_is_recognised(prefix, tmp_path):
    save_checkpoint(prefix, 0, {'a': mx.nd.ones((2,))}, {'b': mx.nd.ones((1, 3))})
    whole = (tmp_path / 'model-0000.params').read_bytes()
    cut = tmp_path / 'cut-0000.params'
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match='cut-0000.params is (damaged: |not an MXNet parameter file)'):
            load_params(str(tmp_path / 'cut'), 0)
    cut.write_bytes(whole[:-1])
    with pytest.raises(CheckpointError, match='it ends at byte %d, in name 1, which needs 1 more' % (len(whole) - 1)):
        load_params(str(tmp_path / 'cut'), 0)
    cut.write_bytes(whole + b'x')
    with pytest.raises(CheckpointError, match='1 bytes follow its end'):
        load_params(str(tmp_path / 'cut'), 0)


@pytest.mark.parametrize('content',
                         [b'', b'\0' * 100, b'{"a": 1}' * 20, b'PK\x03\x04' + b'\0' * 50, b'\x80\x04\x95' + b'.' * 50,
                          b'<html>404 Not Found</html>' * 3])
def test_foreign_files_are_recognised(prefix, tmp_path, content):
    (tmp_path / 'model-0000.params').write_bytes(content)
    with pytest.raises(CheckpointError, match='model-0000.params is not an MXNet parameter file'):
        load_params(prefix, 0)


def test_any_damaged_byte_is_an_error_of_ours_or_harmless(tmp_path):
    path = tmp_path / 'model.params'
    save_arrays(str(path), {'arg:a': mx.nd.ones((2, 1))})
    whole = path.read_bytes()
    for position in range(len(whole)):
        for value in (0, 255, whole[position] ^ 1):
            path.write_bytes(whole[:position] + bytes([value]) + whole[position + 1:])
            try:
                load_arrays(str(path))
            except CheckpointError as error:
                assert 'model.params' in str(error)


def test_impossible_counts_and_shapes_are_damage(tmp_path):
    path = tmp_path / 'x.params'
    head = struct.pack('<QQQ', 0x112, 0, 1)
    for content, message in [
            (struct.pack('<QQQ', 0x112, 0, 1 << 60), 'arrays cannot be in the rest'),
            (head + struct.pack('<Iii', 0xF993fac9, 1, 1), 'array 0 is sparse'),
            (head + struct.pack('<Iii', 0xF993fac9, 0, 1 << 30), 'would have 1073741824 dimensions'),
            (head + struct.pack('<Iiiqqiii', 0xF993fac9, 0, 2, 1 << 40, 1 << 40, 1, 0, 0), 'it ends at byte'),
            (head + struct.pack('<Iiiqqiii', 0xF993fac9, 0, 2, -1, 3, 1, 0, 0), r'shape \(-1, 3\)'),
            (head + struct.pack('<Iiiqiii', 0xF993fac9, 0, 1, 1, 1, 0, 99), 'type 99')]:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            inspect(str(path))


def test_unnamed_and_wrongly_named_arrays_are_refused(prefix):
    mx.nd.save(prefix + '-0000.params', [mx.nd.ones((2,))])
    with pytest.raises(CheckpointError, match='holds a list of 1 arrays without names'):
        load_params(prefix, 0)
    mx.nd.save(prefix + '-0000.params', {'fc_weight': mx.nd.ones((2,))})
    with pytest.raises(CheckpointError, match="holds 'fc_weight', but the names of parameters begin with arg: or aux:"):
        load_params(prefix, 0)
    mx.nd.save(prefix + '-0000.params', {})
    with pytest.raises(CheckpointError, match='holds no parameters'):
        load_params(prefix, 0)


def test_unwritable_folder_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(CheckpointError, match='cannot write .*file/model-0001.params'):
        save_checkpoint(str(tmp_path / 'file' / 'model'), 1, ARGS, AUXS)


def test_newest_whole_checkpoint_is_found(prefix, tmp_path):
    assert find_checkpoint(prefix) is None
    for epoch in (1, 2, 3):
        save_checkpoint(prefix, epoch, ARGS, AUXS, {'fc_bias': mx.nd.ones((3,)) * epoch}, 10 * epoch, {'seed': 4})
    (tmp_path / 'model-other.json').write_text('{}')
    found = find_checkpoint(prefix)
    assert (found.epoch, found.num_update) == (3, 30)
    assert load_arrays(found.states_file)['fc_bias'].asnumpy()[0] == 3
    assert found.states_file.endswith('model-0003.states')
    assert json.loads((tmp_path / 'model-0003.json').read_text())['seed'] == 4
    assert find_checkpoint(prefix, 2).epoch == 2


@pytest.mark.parametrize('kind, change, message', [
    ('params', lambda whole: whole[:-20] + b'x' + whole[-19:], 'model-0002.params is damaged: its checksum'),
    ('states', lambda whole: whole[:-3], 'model-0002.states is damaged: its checksum'),
    ('json', lambda whole: whole[:-10], 'model-0002.json is damaged'),
    ('json', lambda whole: b'[]', 'model-0002.json is damaged'),
    ('states', None, 'model-0002.states is missing: training can resume only .*network.pretrained=.*model '
     'network.pretrained_epoch=2 network.pretrained_flow= TRAIN.begin_epoch=2'),
])
def test_damaged_checkpoints_are_passed_over(prefix, tmp_path, kind, change, message):
    for epoch in (1, 2):
        save_checkpoint(prefix, epoch, ARGS, AUXS, {'fc_bias': mx.nd.ones((3,))}, epoch)
    path = tmp_path / ('model-0002.' + kind)
    if change:
        path.write_bytes(change(path.read_bytes()))
    else:
        path.unlink()
    lines = []
    assert find_checkpoint(prefix, report=lines.append).epoch == 1
    assert len(lines) == 1 and lines[0].startswith('passed over: ')
    with pytest.raises(CheckpointError, match=message):
        find_checkpoint(prefix, 2)


def test_an_interrupted_checkpoint_does_not_count(prefix, monkeypatch):
    save_checkpoint(prefix, 1, ARGS, AUXS, {}, 5)

    def fail(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr(checkpoint, 'file_sha256', fail)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(prefix, 2, ARGS, AUXS, {}, 10)
    monkeypatch.undo()
    assert find_checkpoint(prefix).epoch == 1


def test_epochs_draw_their_own_random_numbers():
    def draw(seed, epoch):
        seed_epoch(seed, epoch)
        return mx.nd.random.uniform(shape=(4,)).asnumpy().tolist() + np.random.rand(2).tolist()
    assert draw(1, 2) == draw(1, 2)
    assert draw(1, 2) != draw(1, 3) and draw(1, 2) != draw(2, 2)


def test_a_checkpoint_within_an_epoch_is_newer_than_that_of_its_beginning(prefix, tmp_path):
    for epoch, batch in ((1, 0), (1, 20), (1, 100), (2, 0)):
        save_checkpoint(prefix, epoch, ARGS, AUXS, {}, 50 * epoch + batch, {}, batch)
    assert positions(prefix) == {(1, 0), (1, 20), (1, 100), (2, 0)}
    assert (tmp_path / 'model-0001-000100.params').is_file()
    (tmp_path / 'model-0002.params').write_bytes(b'cut')
    lines = []
    found = find_checkpoint(prefix, report=lines.append)
    assert (found.epoch, found.batch, found.num_update) == (1, 100, 150) and 'model-0002.params is damaged' in lines[0]
    assert load_params(prefix, 1, 100)[0].keys() == ARGS.keys()
    assert find_checkpoint(prefix, 1).batch == 0


def test_folded_regression_gives_plain_deltas():
    rng = np.random.RandomState(0)
    bins, columns, means, stds = 4, 8, [0.1, 0.2, 0.3, 0.4], [0.1, 0.1, 0.2, 0.2]
    args = {'rfcn_bbox_weight': mx.nd.array(rng.randn(columns * bins, 3, 1, 1)),
            'rfcn_bbox_bias': mx.nd.array(rng.randn(columns * bins)), 'fc_bias': mx.nd.ones((2,))}
    folded = fold_bbox_normalisation(args, means, stds, bins)
    assert 'rfcn_bbox_weight_test' not in args
    feature = rng.randn(3)
    # [columns, bins], as position-sensitive pooling divides the channels.
    plain, final = ((params['rfcn_bbox_weight' + end].asnumpy()[:, :, 0, 0] @ feature
                     + params['rfcn_bbox_bias' + end].asnumpy()
                     ).reshape(columns, bins) for params, end in ((args, ''), (folded, '_test')))
    np.testing.assert_allclose(final, plain * np.tile(stds, 2)[:, None] + np.tile(means, 2)[:, None], rtol=1e-5)
    tested = use_test_bbox(folded)
    assert sorted(tested) == sorted(args)
    np.testing.assert_array_equal(tested['rfcn_bbox_bias'].asnumpy(), folded['rfcn_bbox_bias_test'].asnumpy())


def test_networks_without_boxes_are_left_alone():
    assert fold_bbox_normalisation(ARGS, [0] * 4, [1] * 4) is ARGS
    assert use_test_bbox(ARGS) == ARGS


def test_parameters_without_the_test_layer_are_refused():
    with pytest.raises(CheckpointError, match='m-0000.params: rfcn_bbox_weight_test is missing'):
        use_test_bbox({'rfcn_bbox_weight': mx.nd.ones((2, 2))}, 'm-0000.params')
