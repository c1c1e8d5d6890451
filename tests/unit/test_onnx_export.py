"""Whole networks as ONNX: what they compute, what their files say, and what is refused."""

import shutil

import numpy as np
import pytest

import dff
from dff.errors import ConfigError, DataError, ExportError, SetupError
from lib.onnx_export import check, networks, proto, sizes
from dff.frames import InputFormat, prepare
from dff.image import read_image
from dff.runtime.speed_record import read_figures
from dff.writers import open_writer
from tests.helpers import tiny
from tests.helpers.onnx_tools import TASKS, export_tiny
from lib.onnx_export.export import export_onnx, require_onnx

import onnx  # noqa: E402  (onnx_tools skips where it is missing)

DETECTION = 'image', 'scale'
INPUTS = {
    ('rfcn', 'frame'): DETECTION,
    ('dff_rfcn', 'key'): DETECTION,
    ('dff_rfcn', 'current'): ('image', 'key_image', 'key_feature', 'scale'),
    ('deeplab', 'frame'): ('image', 'scale', 'frame_size'),
    ('dff_deeplab', 'key'): ('image', 'scale', 'frame_size'),
    ('dff_deeplab', 'current'): ('image', 'key_image', 'key_feature', 'scale', 'frame_size'),
}


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """{task: (Task, folder)} of tiny models, with MXNet's files only."""
    folders = {name: tmp_path_factory.mktemp('onnx') / name for name in TASKS}
    return {name: (export_tiny(name, folder), folder) for name, folder in folders.items()}


def copy_of(exported, name, tmp_path):
    task, folder = exported[name]
    shutil.copytree(str(folder), str(tmp_path / name))
    return task, tmp_path / name


@pytest.mark.parametrize('name', TASKS)
def test_the_networks_compute_the_same_and_explain_themselves(exported, tmp_path, name):
    task, folder = copy_of(exported, name, tmp_path)
    (line,) = export_onnx(task, str(folder))
    assert (
        'largest relative difference' in line
        if 'rfcn' in name
        else '100.000 % of the pixels' in line
    ), line
    for network in ('key', 'current') if 'dff' in name else ('frame',):
        model = onnx.load(str(folder / (network + '.onnx')))
        assert {each.name for each in model.graph.input} == set(INPUTS[name, network])
        outputs = {each.name for each in model.graph.output} - {'feature', 'flow'}
        assert outputs == ({'boxes', 'scores'} if 'rfcn' in name else {'class_map'})
        assert ('feature' in {each.name for each in model.graph.output}) == (network == 'key')
        assert model.ir_version == 8 and [
            (each.domain, each.version) for each in model.opset_import
        ] == [('', 16)]
        assert not {node.domain for node in model.graph.node} - {''}
        assert 'BatchNormalization' not in {node.op_type for node in model.graph.node}
        about = {each.key: each.value for each in model.metadata_props}
        assert (
            about['task'] == name
            and about['scales'] == '[64, 96]'
            and 'shorter side' in about['scale_rule']
        )
        assert about['pixel_means'] == '[103.06, 115.9, 123.15]'
        assert about['key_frame_interval'] == ('3' if 'dff' in name else '1')
        assert all(each.doc_string for each in list(model.graph.input) + list(model.graph.output))


@pytest.mark.slow
@pytest.mark.parametrize('flow', ['flownet_correlation', 'flownet_inception'])
def test_other_flow_networks(tmp_path, flow):
    from lib.symbols.registry import get_symbol_instance
    from tests.helpers import onnx_tools, symbol_tools
    import mxnet as mx
    from lib.inference.exported import export_model

    task = onnx_tools.tiny_task('dff_rfcn', network__flow=flow, network__flow_width=0.25)
    instance = get_symbol_instance(task.config)
    instance.get_batch_test_symbol(task.config)
    values = symbol_tools.lively_params(
        instance,
        {
            'data_key': np.zeros((1, 3, 64, 96)),
            'data_other': np.zeros((2, 3, 64, 96)),
            'im_info': np.zeros((3, 3)),
        },
    )
    params = [{name: mx.nd.array(value) for name, value in each.items()} for each in values]
    export_model(task.config, instance, *params, ['a', 'b', 'c'], str(tmp_path), 'tiny')
    assert 'largest relative difference' in export_onnx(task, str(tmp_path))[0]


@pytest.mark.parametrize(
    'changes',
    [
        {'CLASS_AGNOSTIC': False},
        {'network__IMAGE_STRIDE': 16},
        {'TEST__RPN_MIN_SIZE': 16},
        tiny.STRIDE_8,
    ],
)
def test_other_settings(tmp_path, changes):
    task = export_tiny('rfcn', tmp_path, **changes)
    assert 'largest relative difference' in export_onnx(task, str(tmp_path))[0]


@pytest.mark.parametrize('changes', [{}, dict(tiny.STRIDE_8, network__flow='flownet_correlation')])
@pytest.mark.parametrize('flow', [{'FLOW_PASSES': 2}, {'FLOW_INPUT_SCALE': 0.25}])
def test_other_settings_of_the_flow_network(tmp_path, changes, flow):
    task = export_tiny('dff_rfcn', tmp_path, **changes, **{'network__' + name: value for name, value in flow.items()})
    assert 'largest relative difference' in export_onnx(task, str(tmp_path))[0]


def test_features_of_stride_8(tmp_path):
    task = export_tiny('dff_rfcn', tmp_path, **tiny.STRIDE_8)
    assert 'largest relative difference' in export_onnx(task, str(tmp_path))[0]
    model = dff.load(str(tmp_path), backend='onnxruntime')
    assert model.networks.about['feature_stride'] == 8
    assert model._follower(True, 0.5)._stride == 8
    plain = dff.load(str(tmp_path), backend='mxnet')
    assert plain._follower(True, 0.5)._stride == 8
    for engine in model, plain:      # 70 x 100: cells over the rim
        found = list(engine(tiny.clip(4, 70, 100), interval=2, thresh=0.0))
        assert all(len(each.detections) and len(each.track_ids) for each in found)
    image = prepare(tiny.frame(0, 70, 100), model.networks.form)
    flow = model.networks.current(image, model.networks.key(image)[1]).flow
    assert flow.shape == (2,) + tuple(-(-side // 8) for side in image.tensor.shape[2:])


def test_a_fixed_size_and_frames_of_the_users(exported, tmp_path):
    task, folder = copy_of(exported, 'dff_rfcn', tmp_path)
    with open_writer(tmp_path / 'frames') as write:
        for t, image in enumerate(tiny.clip(3, 64, 90)):
            write(image, 'f%d' % t)
    assert read_image(tmp_path / 'frames' / 'f0.jpg').shape == (64, 90, 3)
    assert 'of 3 frames' in export_onnx(task, str(folder), (64, 90), str(tmp_path / 'frames'))[0]
    model = onnx.load(str(folder / 'current.onnx'))
    shapes = {
        each.name: [side.dim_value for side in each.type.tensor_type.shape.dim]
        for each in model.graph.input
    }
    assert shapes['image'] == shapes['key_image'] == [1, 3, 64, 90] and shapes['key_feature'] == [
        1,
        32,
        4,
        6,
    ]


@pytest.mark.slow
@pytest.mark.parametrize('name', ['dff_rfcn', 'deeplab'])
def test_fewer_bits(exported, tmp_path, monkeypatch, name):
    """Tiny networks of random numbers are worse in int8 than trained ones: without limits."""
    loose = {key: check.Tolerance(1, 0, 0, 0.5) for key in ('float16', 'int8')}
    monkeypatch.setattr(check, 'TOLERANCES', dict(check.TOLERANCES, **loose))
    task, folder = copy_of(exported, name, tmp_path)
    with open_writer(tmp_path / 'frames') as write:
        for t, image in enumerate(tiny.clip(6)):
            write(image, 'f%d' % t)
    kinds = ('key', 'current') if 'dff' in name else ('frame',)
    for precision in ('float16', 'int8'):
        lines = export_onnx(task, str(folder), None, str(tmp_path / 'frames'), precision)
        assert [line.split(':')[0] for line in lines] == ['float32', precision]
        for kind in kinds:
            whole, small = (
                onnx.load(str(folder / (kind + ending)))
                for ending in ('.onnx', '.%s.onnx' % precision)
            )
            assert [each.name for each in small.graph.input] == [
                each.name for each in whole.graph.input
            ]
            kept = {each.key: each.value for each in small.metadata_props}
            assert all(kept[each.key] == each.value for each in whole.metadata_props)
            assert small.ByteSize() < 0.9 * whole.ByteSize()
            types = {node.op_type for node in small.graph.node}
            assert ('Cast' if precision == 'float16' else 'QuantizeLinear') in types


@pytest.mark.slow
def test_int8_that_computes_something_else(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(
        check, 'TOLERANCES', dict(check.TOLERANCES, int8=check.Tolerance(1e-9, 0, 0, 1))
    )
    task, folder = copy_of(exported, 'rfcn', tmp_path)
    with open_writer(tmp_path / 'frames') as write:
        write(tiny.frame(0), 'f')
    with pytest.raises(
        ExportError,
        match='in int8, onnxruntime computes something else than MXNet; no such file is ',
    ):
        export_onnx(task, str(folder), None, str(tmp_path / 'frames'), 'int8')
    assert (folder / 'frame.onnx').exists() and not (folder / 'frame.int8.onnx').exists()
    with pytest.raises(
        ConfigError,
        match='--precision int8 measures the ranges of all values on frames of yours: name some',
    ):
        require_onnx(task.config, None, 'int8')
    with pytest.raises(ConfigError, match='KEY_FRAME_POLICY is flow, which ONNX files do not measure: export with'):
        require_onnx(tiny.tiny_config('dff_rfcn', TEST__KEY_FRAME_POLICY='flow'), None, 'float32')
    with pytest.raises(DataError, match='no such folder or video file: .*nowhere'):
        require_onnx(task.config, str(tmp_path / 'nowhere'), 'float32')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match='empty'):
        require_onnx(task.config, str(tmp_path / 'empty'), 'float32')


@pytest.mark.parametrize('name', ['rfcn', 'deeplab'])
def test_a_difference_above_the_limit_is_refused(exported, tmp_path, monkeypatch, name):
    task, folder = copy_of(exported, name, tmp_path)
    original = networks.convert

    def wrong(graph, build, inputs, parameters):
        changed = {
            key: value[::-1] if key in ('rfcn_cls_weight', 'score_weight') else value
            for key, value in parameters.items()
        }
        return original(graph, build, inputs, changed)

    monkeypatch.setattr(networks, 'convert', wrong)
    with pytest.raises(
        ExportError,
        match='in float32, onnxruntime computes something else than MXNet; no such file is ',
    ) as error:
        export_onnx(task, str(folder))
    assert 'limit' in str(error.value) and not (folder / 'frame.onnx').exists()


def test_a_task_of_another_kind(exported):
    task = tiny.fresh_task('rfcn')
    task.recognises = 'tracking'
    with pytest.raises(
        ExportError, match='task rfcn: there is no ONNX form of what finds tracking'
    ):
        networks.network_models(task, None, {}, {}, [])


def test_without_the_packages(monkeypatch):
    monkeypatch.setattr(proto, 'PACKAGES', ('onnx', 'no_such_onnx'))
    with pytest.raises(SetupError) as error:
        proto.require_packages()
    assert 'exporting to ONNX needs the package no_such_onnx' in str(error.value)
    assert str(error.value).endswith('pip install -r requirements-onnx.txt')


@pytest.mark.parametrize(
    'size, stride, frame',
    [
        ((600, 1000), 0, (600, 1000)),
        ((562, 1000), 0, (562, 1000)),
        ((1000, 562), 0, (1000, 562)),
        ((600, 800), 0, (600, 800)),
        ((608, 1008), 16, (600, 1000)),
        ((576, 1008), 16, (576, 1000)),
        ((608, 816), 16, (600, 816)),
    ],
)
def test_sizes_that_frames_become(size, stride, frame):
    assert sizes.frame_size(size, InputFormat((600, 1000), stride, (0, 0, 0))) == frame


@pytest.mark.slow
def test_the_command(tmp_path):
    path = tiny.write_experiment(tmp_path, 'rfcn', clips=1, length=2)
    words = 'tools/export_model.py', 'rfcn', '--cfg', path, '--output', tmp_path / 'out'
    status, printed, errors = tiny.run_script(*words, '--format', 'onnx')
    assert (
        status == 0
        and 'onnxruntime against MXNet, float32: largest relative difference' in printed
    ), errors
    assert (tmp_path / 'out' / 'frame.onnx').is_file()
    assert {'onnxruntime', 'mxnet'} <= {each.engine for each in read_figures(str(tmp_path / 'out'))}
    assert 'float32, 54x96; medians, alternating' in printed
    # Without --format onnx the folder holds another model, and no ONNX file of the one before, nor its speed.
    assert tiny.run_script(*words)[0] == 0 and not (tmp_path / 'out' / 'frame.onnx').exists()
    assert not (tmp_path / 'out' / 'speed.json').exists()
    for more, message in (
        (
            ('--format', 'onnx', '--size', '60x90'),
            '--size 60x90: no frame becomes an image of this size: its shorter side would be 64 '
            'pixels and '
            'its longer one at most 96 (SCALES); frames of that shape become 64x96',
        ),
        (
            ('--format', 'onnx', '--size', '60'),
            "expected HEIGHTxWIDTH in pixels, as 562x1000, found '60'",
        ),
        (('--size', '64x96'), '--size, --frames and --precision are for --format onnx'),
    ):
        status, _, errors = tiny.run_script(*words, *more)
        assert status == 2 and message in errors and 'Traceback' not in errors
