"""A model as one folder: exported, run without a YAML file, and what is said of broken ones."""
import json
import shutil
from unittest import mock

import mxnet as mx
import numpy as np
import pytest
from PIL import Image

from dff.errors import CheckpointError
from dff.writers import open_writer
from lib.config.config import update_from_file
from lib.config.defaults import detection_defaults, segmentation_defaults
from lib.engine.checkpoint import load_params
from lib.inference import exported as exported_module
from lib.inference.exported import BUILT_IN, NATIVE, export_model, is_exported, load_exported
from lib.inference.detector import load_test_params
from lib.operator_cxx import loader
from lib.symbols.registry import get_symbol_instance
from tests.helpers import tiny, tiny_seg
from tests.helpers.symbol_tools import run
from tools import export_model as export_command


def settings_of(task, path=None):
    """Fresh settings of a task, from a YAML file where one is given."""
    config = segmentation_defaults() if 'deeplab' in task else detection_defaults()
    if path:
        update_from_file(config, str(path))
    return config


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory):
    """{task: (yaml path, prefix)} of tiny models, epoch 1, a key frame every 2."""
    folder = tmp_path_factory.mktemp('models')
    tiny_seg.make_folder(folder / 'set', clips=1, length=2)
    changes = {'TEST__KEY_FRAME_INTERVAL': 2}
    found = {task: (tiny.write_experiment(folder, task, clips=1, length=2, **changes), tiny.prefix(folder, task))
             for task in ('rfcn', 'dff_rfcn')}
    found.update({task: (tiny_seg.write_experiment(folder, task, **changes), tiny_seg.prefix(folder, task))
                  for task in ('deeplab', 'dff_deeplab')})
    return found


@pytest.fixture(scope='module')
def exported(checkpoints, tmp_path_factory):
    """{task: folder}; those of dff_rfcn and deeplab are written by the command,
    from the parameters that their settings name."""
    folders = {task: tmp_path_factory.mktemp('exported') / task for task in checkpoints}
    for task, load, classes in (('rfcn', lambda *names: load_test_params(*names, report=print),
                                 ['ball', 'crate', 'cone', 'star', 'bus']),
                                ('dff_deeplab', load_params, ['%s 1 2 3' % name for name in tiny_seg.CLASSES])):
        path, prefix = checkpoints[task]
        config = settings_of(task, path)
        export_model(config, get_symbol_instance(config), *load(prefix, 1), classes, str(folders[task]),
                     'tiny-0001.params')
    for task in ('dff_rfcn', 'deeplab'):
        done = tiny.run_here(export_command.main, task, '--cfg', checkpoints[task][0], '--output', folders[task])
        assert done.returncode == 0, done.stderr
        assert 'python %s/demo.py --model %s' % (task, folders[task]) in done.stdout
    return folders


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / 'frames'
    with open_writer(folder) as write:
        for t in range(3):
            write(tiny.frame(t), 'f%d' % t)
    return folder


def test_what_the_folder_holds(exported):
    index = json.loads((exported['dff_rfcn'] / 'model.json').read_text())
    assert index['networks'] == ['current', 'key'] and BUILT_IN in index['operators']
    assert index['made_from'] == 'tiny-0001.params'
    settings = index['settings']
    assert settings['dataset']['CLASSES'] == ['ball', 'crate', 'cone', 'star', 'bus'] and settings['SCALES'] == [64, 96]
    assert settings['TEST']['KEY_FRAME_INTERVAL'] == 2 and settings['network']['PIXEL_MEANS'] == [103.06, 115.9, 123.15]
    assert not any(key.startswith('pretrained') for key in settings['network'])
    params = mx.nd.load(str(exported['dff_rfcn'] / 'model-0000.params'))
    assert all(name.startswith('arg:') for name in params)
    assert not any('gamma' in name or 'moving' in name for name in params)


def test_the_folded_network_computes_the_same(checkpoints, exported):
    """Its feature of a key frame, on either set of operators, against the network that was trained."""
    path, prefix = checkpoints['dff_rfcn']
    config = settings_of('dff_rfcn', path)
    _, (args, auxs), _ = load_exported(str(exported['dff_rfcn']), get_symbol_instance(config))
    assert not auxs
    image = {'data': np.random.RandomState(0).normal(0, 50, (1, 3, 64, 96)).astype(np.float32)}
    whole = get_symbol_instance(config).get_key_test_symbol(config).get_internals()['feat_conv_3x3_relu_output']
    theirs = run(whole, image, *({name: value.asnumpy() for name, value in params.items()}
                                 for params in load_params(prefix, 1)))[0]
    for operators in (BUILT_IN, NATIVE) if loader.load() else (BUILT_IN,):
        symbol = mx.sym.load_json((exported['dff_rfcn'] / ('key.%s.json' % operators)).read_text())
        feature = symbol.get_internals()['feat_conv_3x3_relu_output']
        np.testing.assert_allclose(*(list(outputs.values())[0] for outputs in (run(feature, image, args)[0], theirs)),
                                   rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('task', ['rfcn', 'dff_rfcn'])
def test_the_demo_finds_the_same_without_a_yaml_file(checkpoints, exported, frames, tmp_path, task):
    path, prefix = checkpoints[task]
    common = ('--input', frames, '--output', tmp_path / 'out', '--thresh', 0.05)
    tiny.run_demo_here(task, '--cfg', path, '--model', prefix, '--epoch', 1,
                  '--json', tmp_path / 'trained.json', *common)
    tiny.run_demo_here(task, '--model', exported[task], '--json', tmp_path / 'exported.json', *common)
    one, other = (json.loads((tmp_path / name).read_text()) for name in ('trained.json', 'exported.json'))
    assert one['classes'] == other['classes'] and sum(len(frame['detections']) for frame in one['frames']) > 0
    assert [frame['key'] for frame in other['frames']] == ([True, False, True] if task == 'dff_rfcn' else [True] * 3)
    for mine, theirs in zip(one['frames'], other['frames']):
        assert (mine['name'], len(mine['detections'])) == (theirs['name'], len(theirs['detections']))
        for a, b in zip(mine['detections'], theirs['detections']):
            assert a['class'] == b['class'] and a['score'] == pytest.approx(b['score'], abs=2e-3)


@pytest.mark.parametrize('task', ['deeplab', 'dff_deeplab'])
def test_segmentation(checkpoints, exported, frames, tmp_path, task):
    path, prefix = checkpoints[task]
    ids = []
    for name, words in (('trained', ['--cfg', path, '--model', prefix, '--epoch', 1]),
                        ('exported', ['--model', exported[task]])):
        tiny.run_demo_here(task, '--input', frames, '--output', tmp_path / 'out', '--labels', tmp_path / name, *words)
        ids.append([np.asarray(Image.open(str(tmp_path / name / ('f%d.png' % t)))) for t in range(3)])
    assert np.mean(np.array(ids[0]) == np.array(ids[1])) > 0.999 and len(np.unique(ids)) > 1


@pytest.mark.slow
def test_the_wrong_demo(exported, frames, tmp_path, capsys):
    status, _, errors = tiny.run_script('rfcn/demo.py', '--model', exported['dff_rfcn'], '--input', frames,
                                        '--output', tmp_path / 'out')
    assert status == 2
    assert "symbol: there is no network called 'resnet_v1_flownet_rfcn'; choose from resnet_v1" in errors
    with pytest.raises(SystemExit):
        tiny.run_demo_here('rfcn', '--model', exported['rfcn'], '--input', frames, '--output', tmp_path / 'out',
                      batch=True)
    assert 'is an exported model, which takes frames one by one: run it with demo.py' in capsys.readouterr().err


@pytest.mark.parametrize('name, content, message', [
    ('model.json', '{', 'model.json is damaged'),
    ('model.json', '{"format": 1}', 'model.json is damaged'),
    ('model.json', '{"format": 9, "settings": {}, "networks": ["frame"], "operators": ["built_in"]}',
     'model.json is of another version'),
    ('frame.%s.json', '{', 'frame.* is missing or damaged; export the model again'),
    ('model-0000.params', 'x', 'is not an MXNet parameter file'),
    ('model-0000.params', None, 'model-0000.params does not exist'),
])
def test_a_broken_folder(exported, tmp_path, name, content, message):
    folder = tmp_path / 'model'
    shutil.copytree(str(exported['rfcn']), str(folder))
    assert is_exported(str(folder)) and not is_exported(str(tmp_path)) and not is_exported(None)
    path = folder / (name % (NATIVE if loader.load() else BUILT_IN) if '%' in name else name)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(CheckpointError, match=message):
        load_exported(str(folder), get_symbol_instance(tiny.tiny_config('rfcn')))


def test_what_cannot_be_exported(checkpoints, tmp_path):
    path, prefix = checkpoints['rfcn']
    config = settings_of('rfcn', path)
    args, auxs = load_params(prefix, 1)
    (tmp_path / 'file').write_text('')
    with pytest.raises(CheckpointError, match='cannot write'):
        export_model(config, get_symbol_instance(config), args, auxs, [], str(tmp_path / 'file'), 'tiny')
    args.pop('conv1_weight')
    with pytest.raises(CheckpointError, match='tiny: 1 of the .* parameters of the network are missing: conv1_weight'):
        export_model(config, get_symbol_instance(config), args, auxs, [], str(tmp_path / 'out'), 'tiny')
    path, prefix = checkpoints['dff_rfcn']
    config = settings_of('dff_rfcn', path)
    config.network.flow_width = 0.25
    with pytest.raises(CheckpointError,
                       match=r'flow_conv1_weight has shape \(8, 6, 7, 7\), the network needs \(16, 6, 7, 7\)'):
        export_model(config, get_symbol_instance(config), *load_params(prefix, 1), [], str(tmp_path / 'out'), 'tiny')
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('changes, stride', [(tiny.STRIDE_8, 16), ({}, 8)])
def test_parameters_of_another_stride(tmp_path, changes, stride):
    trained = tiny.tiny_config('rfcn', **changes)
    config = tiny.tiny_config('rfcn', **(tiny.STRIDE_8 if stride == 8 else {}))
    message = 'tiny has features of stride %d .*, and the settings say %d' % (24 - stride, stride)
    with pytest.raises(CheckpointError, match=message):
        export_model(config, get_symbol_instance(config), *tiny.tiny_params(trained), [], str(tmp_path / 'out'), 'tiny')
    assert not (tmp_path / 'out').exists()


def test_an_export_over_another(exported, tmp_path, monkeypatch):
    folder = tmp_path / 'model'
    shutil.copytree(str(exported['rfcn']), str(folder))
    (folder / 'between.float16.onnx').write_text('of the model before')
    before = sorted(folder.iterdir())

    def export(**changes):
        config, params = tiny.tiny_config('rfcn'), tiny.tiny_params(tiny.tiny_config('rfcn', **changes))
        classes = ['ball', 'crate', 'cone']
        export_model(config, get_symbol_instance(config), *params, classes, str(folder), 'new')
    # What is refused touches nothing.
    with pytest.raises(CheckpointError, match='new has features of stride 8'):
        export(**tiny.STRIDE_8)
    assert sorted(folder.iterdir()) == before and is_exported(str(folder))
    # Stopped at the parameters it is no model, which it would be with the index of before.
    with monkeypatch.context() as patch:
        patch.setattr(exported_module, '_save_params', mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            export()
    assert not is_exported(str(folder))
    export()
    assert json.loads((folder / 'model.json').read_text())['made_from'] == 'new'
    assert sorted(folder.iterdir()) == [path for path in before if path.suffix != '.onnx']


def test_parameters_in_the_place_of_the_export(checkpoints, tmp_path):
    path, prefix = checkpoints['rfcn']
    shutil.copy(prefix + '-0001.params', str(tmp_path / 'model-0000.params'))
    before = (tmp_path / 'model-0000.params').read_bytes()
    done = tiny.run_here(export_command.main, 'rfcn', '--cfg', path, '--model', tmp_path / 'model',
                         '--output', tmp_path)
    assert done.returncode == 2 and 'would replace the parameters that it is made of' in done.stderr
    assert (tmp_path / 'model-0000.params').read_bytes() == before


@pytest.mark.slow
def test_the_command_where_nothing_was_trained(checkpoints, tmp_path):
    status, _, errors = tiny.run_script('tools/export_model.py', 'rfcn', '--cfg', checkpoints['rfcn'][0],
                                        '--output', tmp_path / 'out', '--set', 'TEST.test_epoch=7')
    assert status == 2 and 'no parameters of epoch 7 (TEST.test_epoch)' in errors and 'Traceback' not in errors
