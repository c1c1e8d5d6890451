"""dff.load: an exported folder, run on clips by onnxruntime."""

import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

import dff
from dff.errors import CheckpointError, ConfigError, DataError, SetupError
from dff.frames import prepare
from dff.runtime.backends import onnx_backend
from dff.runtime.model import Model
from dff.runtime.onnx_networks import OnnxNetworks, open_networks
from dff.runtime.onnx_session import DEVICES, OnnxSession, to_host
from dff.writers import open_writer
from tests.helpers import tiny
from tests.helpers.onnx_tools import export_tiny
from lib.onnx_export.export import export_onnx


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """{task: folder} of tiny models; that of rfcn takes one size only."""
    folders = {
        name: str(tmp_path_factory.mktemp('model') / name)
        for name in ('rfcn', 'dff_rfcn', 'dff_deeplab')
    }
    for name, folder in folders.items():
        export_onnx(export_tiny(name, folder), folder, (64, 96) if name == 'rfcn' else None)
    return folders


def test_detections_in_a_video(folders, tmp_path):
    model = dff.load(folders['dff_rfcn'], threads=1)
    assert model.classes == ['__background__', 'ball', 'crate', 'cone'] and model.interval == 3
    with open_writer(str(tmp_path / 'clip.mp4')) as write:
        for t, image in enumerate(tiny.clip(5)):
            write(image, str(t))
    results = list(model(str(tmp_path / 'clip.mp4'), interval=2, thresh=0.05))
    assert [result.is_key for result in results] == [True, False, True, False, True]
    assert all(
        len(result.detections) and (result.detections[:, 1] > 0.05).all() for result in results
    )
    assert [result.is_key for result in model(tiny.clip(4))] == [True, False, False, True]


def test_class_maps(folders):
    model = dff.load(folders['dff_deeplab'])
    assert model.recognises == 'segmentation' and model.classes == [
        'ground',
        'blob',
        'tree',
        'sky',
    ]
    results = list(model(tiny.clip(2, 90, 120)))
    assert [result.labels.shape for result in results] == [(90, 120)] * 2 and results[
        0
    ].labels.dtype == np.uint8


def test_a_model_of_one_size(folders):
    model = dff.load(folders['rfcn'])
    assert [result.is_key for result in model(tiny.clip(2))] == [True, True]
    with pytest.raises(
        DataError,
        match='frame.onnx was exported for images of 64x96, this frame becomes one of 64x85',
    ):
        list(model(tiny.clip(1, 90, 120)))
    with pytest.raises(ValueError, match='no network for other frames'):
        model.networks.current(None, None)


def test_what_cannot_be_loaded(folders, tmp_path, monkeypatch):
    with pytest.raises(
        CheckpointError,
        match='holds no model: expected model.json, frame.onnx or key.onnx, as tools/export_model.py',
    ):
        dff.load(str(tmp_path))
    (tmp_path / 'frame.onnx').write_bytes(b'x')
    with pytest.raises(CheckpointError, match='frame.onnx cannot be used'):
        dff.load(str(tmp_path))
    with pytest.raises(ConfigError, match="no provider 'NoSuchProvider'; choose from CPU, CUDA, "):
        dff.load(folders['rfcn'], providers=['NoSuchProvider'])
    with pytest.raises(SetupError, match='has no provider CoreML; it has .*CPU'):
        dff.load(folders['rfcn'], providers=['CoreML'])
    with pytest.raises(ConfigError, match="there is no precision 'int4'; choose from float32, fl"):
        dff.load(folders['rfcn'], precision='int4')
    with pytest.raises(CheckpointError, match='holds neither frame.int8.onnx nor key.int8.onnx'):
        dff.load(folders['rfcn'], precision='int8')
    with pytest.raises(ConfigError, match='the key-frame interval must be a whole number, 1 or more, found 0'):
        dff.load(folders['dff_rfcn'])(tiny.clip(1), interval=0)
    for name in ('onnxruntime', 'openvino', 'lib'):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        SetupError, match='running ONNX models needs onnxruntime.*pip install onnxruntime'
    ):
        dff.load(folders['rfcn'])


def test_a_file_of_others(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in 'xy']
    graph = helper.make_graph(
        [helper.make_node('Identity', ['x'], ['y'])], 'g', value[:1], value[1:]
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid('', 16)], ir_version=8),
        str(tmp_path / 'frame.onnx'),
    )
    with pytest.raises(
        CheckpointError, match='none of this project: its metadata has no recognises'
    ):
        dff.load(str(tmp_path))


@pytest.mark.parametrize('backend', ['onnxruntime', 'openvino'])
def test_a_network_under_the_name_of_another(folders, tmp_path, backend):
    pytest.importorskip(backend, reason='%s is not installed' % backend)
    shutil.copytree(folders['dff_rfcn'], str(tmp_path / 'model'))
    shutil.copy(str(tmp_path / 'model/key.onnx'), str(tmp_path / 'model/between.onnx'))
    with pytest.raises(CheckpointError, match='between.onnx is the network key under another name: export'):
        dff.load(str(tmp_path / 'model'), backend=backend)


def test_key_frames_by_the_flow(folders):
    networks = OnnxNetworks(
        {name: '%s/%s.onnx' % (folders['dff_rfcn'], name) for name in ('key', 'current')}
    )
    networks.about['key_frame_policy'] = 'flow'
    model = Model(onnx_backend(networks, 'onnxruntime'))
    with pytest.raises(ConfigError, match="by the flow .* pass policy='fixed', or export it with --set"):
        model(tiny.clip(1))
    assert [result.is_key for result in model(tiny.clip(2), policy='fixed')] == [True, False]


def test_it_runs_without_mxnet(folders, root):
    code = (
        "import sys; sys.modules['mxnet'] = sys.modules['lib'] = None\nimport dff, numpy as np\n"
        'for result in dff.load(%r)([np.zeros((64, 96, 3), np.uint8)] * 2): print(result.is_key)'
        % folders['dff_rfcn']
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=str(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    assert done.stdout.split() == ['True', 'False'], done.stderr


def test_what_other_frames_need_stays_on_the_device(folders):
    """On the CPU that is: it is copied nowhere, and gives what arrays give."""
    import onnxruntime

    networks = open_networks(folders['dff_rfcn'])
    first, second = (prepare(image, networks.form) for image in tiny.clip(2))
    _, state = networks.key(first)
    assert isinstance(state.feature, onnxruntime.OrtValue) and state.feature.device_name() == 'cpu'
    assert state.image.data_ptr() == first.tensor.ctypes.data, 'the key frame is copied'
    feeds = networks.feed('current', second, state)
    assert feeds['key_feature'] is state.feature and feeds['key_image'] is state.image
    session = onnxruntime.InferenceSession(
        folders['dff_rfcn'] + '/current.onnx', providers=['CPUExecutionProvider']
    )
    arrays = {name: to_host(value) for name, value in feeds.items()}
    wanted = dict(zip((each.name for each in session.get_outputs()), session.run(None, arrays)))
    before = to_host(state.feature).copy()
    networks.key(second)
    found = networks.current(second, state)
    assert (to_host(state.feature) == before).all(), 'a later key frame changed it'
    assert (found.values[0] == wanted['boxes']).all() and (found.flow == wanted['flow'][0]).all()


def test_the_device_of_each_provider(folders):
    """Values go to the memory of the provider that computes; here there is only the CPU's."""
    bound = []

    class Binding:
        def bind_ortvalue_input(self, name, value):
            bound.append((name, value))

        def bind_output(self, name, device, number):
            bound.append((name, device))

        def get_outputs(self):
            return ['on the device' if name == 'feature' else Value() for name in session._outputs]

    class Value:
        def numpy(self):
            return 'an array'

    session = OnnxSession('key', folders['dff_rfcn'] + '/key.onnx', 1, ['CPUExecutionProvider'])
    session._session = types.SimpleNamespace(
        io_binding=Binding, run_with_iobinding=lambda binding: None
    )
    session._place = lambda array, device, number: (device, number)
    session._device = DEVICES['CUDAExecutionProvider']
    found = session.run({'image': session.place(np.zeros(1))}, kept=('feature',))
    assert dict(bound)['image'] == ('cuda', 0)
    assert dict(bound)['feature'] == 'cuda' and dict(bound)['boxes'] == 'cpu'
    assert found['feature'] == 'on the device' and found['boxes'] == 'an array'
