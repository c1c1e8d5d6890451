"""Conversion of FlowNetS: each foreign format is built here, converted, and both networks see the same images."""
import json

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError
from dff.image import to_tensor
from lib.engine.checkpoint import load_params
from lib.symbols.backbones.resnet_v1 import resnet_v1
from lib.symbols.flownet import flownet
from lib.utils import cli
from lib.weights import convert as converting
from lib.weights import forward
from lib.weights.convert import Converted, convert, write
from lib.weights.readers import Source, read_source
from tests.helpers import foreign
from tests.helpers.symbol_tools import relative_difference
from tests.helpers.tiny import run_script
from tools import convert_weights

OURS = (103.06, 115.90, 123.15)


@pytest.fixture
def images():
    rng = np.random.RandomState(1)
    return [rng.randint(0, 256, (128, 128, 3)).astype(np.uint8) for _ in range(2)]


def run_flow(converted, images, means):
    flow, _ = flownet(mx.sym.Variable('data'), mx.sym.Variable('data_ref'), 8)
    symbol = mx.sym.Group([flow.get_internals()['Convolution%d_output' % i] for i in range(1, 6)])
    return foreign.run_ours(symbol, converted,
                            {name: to_tensor(image, means) for name, image in zip(('data', 'data_ref'), images)})


def assert_flow(torch, converted, net, images, order, means):
    """All five predictions agree; means, of pixels / 255, listed blue, green, red."""
    halves = [image.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3)) for image in images]
    scaled = [255 * mean for mean in means]
    with torch.no_grad():
        theirs = net(torch.cat([foreign.seen_by(torch, half, order, scaled, (255, 255, 255)) for half in halves],
                               dim=1))
    for mine, other in zip(run_flow(converted, images, scaled), theirs):
        assert relative_difference(mine, other.numpy()) < 1e-4


def test_flownet2(torch, tmp_path, images):
    net = foreign.flownet(torch)
    path = tmp_path / 'FlowNet2-S_checkpoint.pth.tar'
    torch.save({'epoch': 0, 'best_EPE': 1e10, 'state_dict': net.state_dict()}, str(path),
               _use_new_zipfile_serialization=False)
    converted = convert(read_source(path), 'flownet')
    assert 'their pixel means are those of each image; PIXEL_MEANS takes their place' in converted.notes
    assert_flow(torch, converted, net, images, 'rgb', [mean / 255 for mean in OURS])


def test_flownet_of_caffe(torch, tmp_path, images):
    net = foreign.flownet(torch)
    path = foreign.write_caffemodel(tmp_path / 'flownets.caffemodel', foreign.caffe_flow_layers(foreign.arrays(net)))
    means = (0.411451, 0.432060, 0.450141)
    converted = convert(read_source(path), 'flownet', means=[255 * mean for mean in means])
    assert converted.initialised == [('Convolution5_scale', 'not written, training starts it as a scale map of 1')]
    assert_flow(torch, converted, net, images, 'rgb', means)     # flownet()'s own order is RGB


def test_flownetpytorch_and_its_weights_from_caffe(torch, images):
    net = foreign.flownet(torch, biases=False)
    source = foreign.source_of(net)
    converted = convert(source, 'flownet', means=[255 * mean for mean in (0.411, 0.432, 0.45)])
    assert ('deconv5_bias', '0') in converted.initialised
    assert_flow(torch, converted, net, images, 'rgb', (0.411, 0.432, 0.45))
    converted = convert(source, 'flownet', means=[255 * mean for mean in (0.411451, 0.432060, 0.450141)],
                        caffe_style=True)
    assert_flow(torch, converted, net, images, 'bgr', (0.411451, 0.432060, 0.450141))


@pytest.mark.parametrize('prefix', ['', 'motion.'])
def test_mmtrackings_flow_network(torch, images, prefix):
    """Alone, and in a detector. With its means as PIXEL_MEANS nothing is folded, and every pixel agrees."""
    net = foreign.flownet(torch, biases=False)
    state = {prefix + name: value for name, value in foreign.mmtracking_flow_names(foreign.arrays(net)).items()}
    if prefix:
        state['detector.backbone.conv1.weight'] = np.zeros((64, 3, 7, 7), np.float32)
    converted = convert(Source('dff.pth', state, ''), 'flownet', means=(0.45 * 255, 0.432 * 255, 0.411 * 255))
    assert converted.unmatched == (['detector.backbone.conv1.weight'] if prefix else [])
    assert_flow(torch, converted, net, images, 'rgb', (0.45, 0.432, 0.411))


def test_other_pixel_means_change_nothing_but_the_border(torch, images):
    source = foreign.source_of(foreign.flownet(torch, biases=False))
    means, theirs = OURS, [255 * mean for mean in (0.411, 0.432, 0.45)]
    exact, folded = (convert(source, 'flownet', means=values) for values in (theirs, means))
    assert any('folded in for PIXEL_MEANS [103.06, 115.9, 123.15]' in note for note in folded.notes)
    first = flownet(mx.sym.Variable('data'), mx.sym.Variable('data_ref'), 8)[0].get_internals()['flow_conv1_output']

    def run_first(converted, values):
        return foreign.run_ours(first, converted, {name: to_tensor(image, values)
                                                   for name, image in zip(('data', 'data_ref'), images)})[0]
    one, other = run_first(exact, theirs), run_first(folded, means)
    assert relative_difference(one[:, :, 2:-2, 2:-2], other[:, :, 2:-2, 2:-2]) < 1e-5
    assert relative_difference(one, other) > 1e-3


def test_a_wrong_mapping_is_noticed(torch, monkeypatch):
    source = foreign.source_of(foreign.flownet(torch, biases=False))
    whole = converting.FlowNet.convert_layer

    def flipped(self, layer, *rest):
        values = whole(self, layer, *rest)
        return {name: value[::-1] if layer.kind == 'upsample' else value for name, value in values.items()}
    monkeypatch.setattr(converting.FlowNet, 'convert_layer', flipped)
    with pytest.raises(CheckpointError, match='gives other outputs than its own framework'):
        convert(source, 'flownet')


# ---- this project's own names, and running without PyTorch

@pytest.mark.slow
def test_flow_and_backbone_are_taken_out_of_a_checkpoint_of_the_original(tmp_path, monkeypatch):
    """Without PyTorch the check runs on NumPy. The network is a random DFF of depth 18."""
    monkeypatch.setattr(forward, 'import_torch', lambda: None)
    symbol = mx.sym.Group(list(flownet(mx.sym.Variable('data'), mx.sym.Variable('data_ref'), 16))
                          + [resnet_v1(mx.sym.Variable('data'), 18)])
    shapes, _, aux_shapes = symbol.infer_shape(data=(1, 3, 64, 64), data_ref=(1, 3, 64, 64))
    rng = np.random.RandomState(0)
    arrays = {'aux:' + name: mx.nd.array(rng.uniform(0.5, 1, shape))
              for name, shape in zip(symbol.list_auxiliary_states(), aux_shapes)}
    arrays.update(('arg:' + name, mx.nd.array(rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)))
                  for name, shape in zip(symbol.list_arguments(), shapes) if not name.startswith('data'))
    mx.nd.save(str(tmp_path / 'dff-0002.params'), arrays)
    for target in ('flownet', 'resnet_v1_18'):
        converted = convert(read_source(str(tmp_path / 'dff-0002.params')), target)
        assert converted.error < 1e-4
        for name, value in converted.params.items():
            np.testing.assert_array_equal(value, arrays[name].asnumpy())
    assert 'Convolution5_scale_weight' in converted.unmatched


@pytest.mark.parametrize('stride, pad, dilation', [(1, 0, 1), (2, 3, 1), (1, 2, 2)])
def test_the_convolution_without_pytorch_is_that_of_mxnet(monkeypatch, stride, pad, dilation):
    monkeypatch.setattr(forward, 'import_torch', lambda: None)
    rng = np.random.RandomState(0)
    data, weight, bias = rng.normal(size=(1, 5, 11, 14)), rng.normal(size=(4, 5, 3, 3)), rng.normal(size=4)
    theirs = mx.nd.Convolution(mx.nd.array(data), mx.nd.array(weight), mx.nd.array(bias), num_filter=4, kernel=(3, 3),
                               stride=(stride,) * 2, pad=(pad,) * 2, dilate=(dilation,) * 2).asnumpy()
    assert relative_difference(forward.convolve(data, weight, bias, stride, pad, dilation), theirs) < 1e-5
    weight = rng.normal(size=(5, 4, 4, 4))
    theirs = mx.nd.Deconvolution(mx.nd.array(data), mx.nd.array(weight), mx.nd.array(bias), num_filter=4, kernel=(4, 4),
                                 stride=(2, 2), pad=(1, 1), no_bias=False).asnumpy()
    assert relative_difference(forward.deconvolve(data, weight, bias), theirs) < 1e-5


# ---- the command

def test_the_command(torch, tmp_path):
    foreign.save_torch(torch, tmp_path / 'flownets_EPE1.951.pth', foreign.flownet(torch, biases=False).state_dict())
    command = ('tools/convert_weights.py', tmp_path / 'flownets_EPE1.951.pth', '--as', 'flownet',
               '--output', tmp_path / 'new' / 'flownet')
    status, printed, errors = run_script(*command, '--origin', 'https://example.org/flownets')
    assert status == 0, errors
    assert 'flow_conv1         64x6x7x7            conv1.0.{bias, weight}' in printed
    assert 'unmatched, not used: none' in printed and 're-initialised: Convolution1_bias: 0;' in printed
    assert 'parity: the outputs of both networks differ by' in printed
    assert 'network.PIXEL_MEANS=[103.06,115.9,123.15]' in printed
    args, auxs = load_params(str(tmp_path / 'new' / 'flownet'), 0)
    assert args['deconv2_weight'].shape == (386, 64, 4, 4) and not auxs
    record = json.loads((tmp_path / 'new' / 'flownet-0000.source.json').read_text())
    assert record['source']['file'] == 'flownets_EPE1.951.pth'
    assert record['source']['origin'] == 'https://example.org/flownets'
    assert len(record['source']['sha256']) == len(record['params_sha256']) == 64
    assert record['parity']['largest_relative_difference'] < 1e-4
    assert record['matched']['conv6_1'] == ['conv6_1.0.bias', 'conv6_1.0.weight']


def test_where_nothing_can_be_written(tmp_path):
    source = Source(str(tmp_path / 'w.params'), {}, '')
    converted = Converted('w', {'arg:a': np.zeros(2, np.float32)}, [], [], [], {}, [], 0.0)
    (tmp_path / 'w.params').write_text('x')
    with pytest.raises(CheckpointError, match='cannot write .*w.params/flownet-0000.params'):
        write(converted, source, 'flownet', str(tmp_path / 'w.params' / 'flownet'))
    (tmp_path / 'flownet-0000.source.json').mkdir()
    with pytest.raises(CheckpointError, match='cannot write .*flownet-0000.source.json'):
        write(converted, source, 'flownet', str(tmp_path / 'flownet'))


@pytest.mark.parametrize('arguments, message', [
    (['none.pth', '--as', 'flownet', '--output', 'x'], 'none.pth does not exist; model/README.md lists files'),
    (['w.h5', '--as', 'flownet', '--output', 'x'], 'HDF5 models of Caffe are not read'),
    (['w.bin', '--as', 'flownet', '--output', 'x'],
     "files ending in '.bin' are of no known kind. Known kinds: .caffemodel"),
    (['w.params', '--as', 'flownet', '--output', 'x.params'], '--output is a prefix'),
    (['w.params', '--as', 'flownet', '--output', 'x'], 'w.params is not an MXNet parameter file'),
    (['w.params', '--as', 'vgg', '--output', 'x'], "invalid choice: 'vgg'"),
])
def test_errors_of_the_command(tmp_path, monkeypatch, capsys, arguments, message):
    for name in ('w.h5', 'w.bin', 'w.params'):
        (tmp_path / name).write_bytes(b'0123')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('sys.argv', ['convert_weights.py'] + arguments)
    with pytest.raises(SystemExit) as end:
        cli.run(convert_weights.main)
    assert end.value.code == 2 and message in capsys.readouterr().err
