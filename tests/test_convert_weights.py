"""Conversion of weights: each foreign format is built here, converted, and both networks see the same images."""
import codecs
import json
import pickle

import mxnet as mx
import numpy as np
import pytest

from lib.config.defaults import segmentation_defaults
from lib.core.checkpoint import load_params
from lib.symbols.flownet import flownet
from lib.symbols.resnet_v1 import resnet_v1
from lib.utils import cli
from lib.utils.errors import CheckpointError, SetupError
from lib.utils.image import to_tensor
from lib.weights import convert as converting
from lib.weights import forward, torch_file
from lib.weights.convert import convert
from lib.weights.readers import Source, read_source
from tests import foreign
from tests.symbol_tools import close, network, run
from tests.tiny import run_script
from tools import convert_weights

IMAGENET = (103.53, 116.28, 123.675)
OURS = (103.06, 115.90, 123.15)


@pytest.fixture(scope='module')
def torch():
    return pytest.importorskip('torch', reason='PyTorch is not installed: pip install -r requirements-convert.txt')


@pytest.fixture
def images():
    rng = np.random.RandomState(1)
    return [rng.randint(0, 256, (128, 128, 3)).astype(np.uint8) for _ in range(2)]


def run_resnet(converted, image, depth):
    """Our res5c_relu of a BGR image."""
    symbol = resnet_v1(mx.sym.Variable('data'), depth, stride_in_3x3=converted.settings.get('network.STRIDE_IN_3X3', False))
    return run_ours(symbol, converted, {'data': to_tensor(image, converted.settings['network.PIXEL_MEANS'])})[0]


def run_ours(symbol, converted, inputs):
    params = [{name[4:]: value for name, value in converted.params.items() if name.startswith(sort)} for sort in ('arg:', 'aux:')]
    return list(run(symbol, inputs, *params)[0].values())


def seen_by(torch, image, order, means, stds):
    """The image [H, W, 3] (BGR) as a foreign network's input; means and stds listed blue, green, red."""
    values = (image - np.array(means)) / np.array(stds)
    return torch.from_numpy(values[:, :, ::-1 if order == 'rgb' else 1].transpose(2, 0, 1)[None].astype(np.float32).copy())


def save_torch(torch, path, state):
    torch.save({name: torch.as_tensor(value) for name, value in state.items()}, str(path))
    return path


def source_of(net):
    """The Source of a network's state, as if read from a file."""
    return Source('w.pth', {name: value for name, value in foreign.arrays(net).items() if value.dtype == np.float32}, '')


# ---- ResNets

def test_torchvision(torch, tmp_path, images):
    net = foreign.resnet(torch, 50)
    converted = convert(read_source(save_torch(torch, tmp_path / 'r50.pth', net.state_dict())), 'resnet_v1_50')
    assert converted.settings == {'network.PIXEL_MEANS': [103.53, 116.28, 123.675], 'network.STRIDE_IN_3X3': True}
    assert converted.unmatched == ['fc.bias', 'fc.weight'] and converted.error < 1e-4
    with torch.no_grad():
        theirs = net(seen_by(torch, images[0], 'rgb', IMAGENET, (57.375, 57.12, 58.395))).numpy()
    assert close(run_resnet(converted, images[0], 50), theirs) < 1e-4
    # Without the setting the same parameters are another network.
    converted.settings.pop('network.STRIDE_IN_3X3')
    assert close(run_resnet(converted, images[0], 50), theirs) > 0.01


def test_caffes_weights_under_pytorchs_names(torch, images):
    net = foreign.resnet(torch, 50, stride_in_3x3=False)
    converted = convert(source_of(net), 'resnet_v1_50', caffe_style=True)
    assert converted.settings == {'network.PIXEL_MEANS': [103.53, 116.28, 123.675]}
    with torch.no_grad():
        theirs = net(seen_by(torch, images[0], 'bgr', IMAGENET, (1, 1, 1))).numpy()
    assert close(run_resnet(converted, images[0], 50), theirs) < 1e-4


def test_a_backbone_inside_a_detector_of_mmtracking(torch, tmp_path, images):
    """Its ResNet and its flow network are taken one by one; 18 units keep the file small."""
    net, flow = foreign.resnet(torch, 18), foreign.flownet(torch, biases=False)
    state = {'detector.backbone.' + name: value for name, value in foreign.arrays(net).items()}
    state.update(('motion.' + name, value) for name, value in foreign.mmtracking_flow_names(foreign.arrays(flow)).items())
    state['detector.rpn_head.rpn_cls.weight'] = np.zeros((2, 8, 1, 1), np.float32)
    path = tmp_path / 'dff.pth'
    torch.save({'meta': {'epoch': 7}, 'state_dict': {name: torch.as_tensor(value) for name, value in state.items()}}, str(path))
    source = read_source(path)
    converted = convert(source, 'resnet_v1_18')
    assert 'detector.rpn_head.rpn_cls.weight' in converted.unmatched and 'network.STRIDE_IN_3X3' not in converted.settings
    with torch.no_grad():
        theirs = net(seen_by(torch, images[0], 'rgb', IMAGENET, (57.375, 57.12, 58.395))).numpy()
    assert close(run_resnet(converted, images[0], 18), theirs) < 1e-4
    # With their means as PIXEL_MEANS nothing is folded, and every pixel agrees.
    converted = convert(source, 'flownet', means=(0.45 * 255, 0.432 * 255, 0.411 * 255))
    assert_flow(torch, converted, flow, images, 'rgb', (0.45, 0.432, 0.411))


@pytest.mark.parametrize('old', [False, True])
def test_caffe(torch, tmp_path, images, old):
    """MSRA's release: BGR, stride in the 1x1, statistics times a factor, a bias in conv1; the old layer message has no BatchNorm."""
    net = foreign.resnet(torch, 50, stride_in_3x3=False)
    state, bias = foreign.arrays(net), np.random.RandomState(0).normal(0, 1, 64).astype(np.float32)
    layers = foreign.caffe_layers(state, 50, bias=bias)
    path = foreign.write_caffemodel(tmp_path / 'r50.caffemodel', layers[:1] + layers[-1:] if old else layers, old)
    source = read_source(path)
    np.testing.assert_array_equal(source.tensors['conv1.weight'], state['conv1.weight'])
    np.testing.assert_array_equal(source.tensors['fc1000.bias'], np.zeros(1000))
    if old:
        return
    converted = convert(source, 'resnet_v1_50')
    with torch.no_grad():
        net.bn1.running_mean -= torch.as_tensor(bias)
        theirs = net(seen_by(torch, images[0], 'bgr', OURS, (1, 1, 1))).numpy()
    assert converted.settings == {'network.PIXEL_MEANS': list(OURS)}
    assert 'first convolution: channels from BGR to RGB' in converted.notes
    assert close(run_resnet(converted, images[0], 50), theirs) < 1e-4


@pytest.mark.parametrize('affine', [False, True])
def test_detectron(torch, tmp_path, images, affine):
    net = foreign.resnet(torch, 50, stride_in_3x3=False)
    names = foreign.detectron_names(foreign.arrays(net), 50, affine)
    path = tmp_path / 'R-50.pkl'
    # detectron2's are of Python 3; Detectron's of Python 2, with momentum beside the blobs
    content = {'blobs': dict(names, conv1_w_momentum=np.zeros(3))} if affine else names
    path.write_bytes(pickle.dumps(content, protocol=2))
    converted = convert(read_source(path), 'resnet_v1_50')
    assert converted.unmatched == ['fc1000_b', 'fc1000_w']
    with torch.no_grad():
        theirs = net(seen_by(torch, images[0], 'bgr', IMAGENET, (1, 1, 1))).numpy()
    assert close(run_resnet(converted, images[0], 50), theirs) < 1e-4


def test_a_torchvision_file_in_detectron2s_clothes(torch, tmp_path, images):
    """As its convert-torchvision-to-d2 writes it: the author tells the convention."""
    net = foreign.resnet(torch, 50)
    names = {}
    for conv, norm, stage, index, branch in foreign.resnet_layers(50):
        new = 'stem.conv1' if stage == 1 else 'res%d.%d.%s' % (stage, index, 'shortcut' if branch == 'branch1' else conv.split('.')[-1])
        for name, value in foreign.arrays(net).items():
            if name.rsplit('.', 1)[0] in (conv, norm):
                names[new + ('.norm.' if name.startswith(norm + '.') else '.') + name.rsplit('.', 1)[1]] = value
    path = tmp_path / 'r50.pkl'
    path.write_bytes(pickle.dumps({'model': names, '__author__': 'torchvision', 'matching_heuristics': True}))
    converted = convert(read_source(path), 'resnet_v1_50')
    assert converted.settings['network.STRIDE_IN_3X3']
    with torch.no_grad():
        theirs = net(seen_by(torch, images[0], 'rgb', IMAGENET, (57.375, 57.12, 58.395))).numpy()
    assert close(run_resnet(converted, images[0], 50), theirs) < 1e-4


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('scoped', [False, True])
def test_gluon(tmp_path, images, depth, scoped):
    """MXNet's own model zoo; stage 5 is not dilated there, so the features before it are compared."""
    net = getattr(mx.gluon.model_zoo.vision, 'resnet%d_v1' % depth)()
    net.initialize(mx.init.MSRAPrelu())
    data = (images[0][None, :, :, ::-1].transpose(0, 3, 1, 2) / 255.0 - np.reshape((0.485, 0.456, 0.406), (1, 3, 1, 1))) / np.reshape(
        (0.229, 0.224, 0.225), (1, 3, 1, 1))
    with mx.autograd.record():      # statistics that are not 0 and 1
        net(mx.nd.array(data))
    for parameter in net.collect_params('.*(bias|beta)').values():
        parameter.set_data(0.1 * mx.nd.random.normal(shape=parameter.shape))
    path = str(tmp_path / 'resnet.params')
    if scoped:
        net.collect_params().save(path, strip_prefix=net.prefix)
    else:
        net.save_parameters(path)
    converted = convert(read_source(path), 'resnet_v1_%d' % depth)
    assert converted.error < 1e-4 and len(converted.unmatched) == 2
    theirs = net.features[:7](mx.nd.array(data)).asnumpy()
    body = resnet_v1(mx.sym.Variable('data'), depth).get_internals()['res4%s_relu_output' % 'bf'[depth > 18]]
    ours = run_ours(body, converted, {'data': to_tensor(images[0], converted.settings['network.PIXEL_MEANS'])})[0]
    assert close(ours, theirs) < 1e-4


@pytest.mark.parametrize('task, symbol, method', [('rfcn', 'resnet_v1_101_rfcn', 'get_test_symbol'),
                                                  ('dff_deeplab', 'resnet_v1_101_flownet_deeplab', 'get_key_test_symbol')])
def test_the_setting_moves_the_stride_of_every_networks_backbone(task, symbol, method):
    config = segmentation_defaults()     # has the keys of detection too
    strides = []
    for config.network.STRIDE_IN_3X3 in (False, True):
        attributes = getattr(network(task, symbol), method)(config).attr_dict()
        strides.append([attributes['res4a_branch' + branch]['stride'] for branch in ('1', '2a', '2b')])
    assert strides == [['(2, 2)', '(2, 2)', '(1, 1)'], ['(2, 2)', '(1, 1)', '(2, 2)']]


# ---- FlowNet

def run_flow(converted, images, means):
    flow, _ = flownet(mx.sym.Variable('data'), mx.sym.Variable('data_ref'), 8)
    symbol = mx.sym.Group([flow.get_internals()['Convolution%d_output' % i] for i in range(1, 6)])
    return run_ours(symbol, converted, {name: to_tensor(image, means) for name, image in zip(('data', 'data_ref'), images)})


def assert_flow(torch, converted, net, images, order, means):
    """All five predictions agree; means, of pixels / 255, listed blue, green, red."""
    halves = [image.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3)) for image in images]
    scaled = [255 * mean for mean in means]
    with torch.no_grad():
        theirs = net(torch.cat([seen_by(torch, half, order, scaled, (255, 255, 255)) for half in halves], dim=1))
    for mine, other in zip(run_flow(converted, images, scaled), theirs):
        assert close(mine, other.numpy()) < 1e-4


def test_flownet2(torch, tmp_path, images):
    net = foreign.flownet(torch)
    path = tmp_path / 'FlowNet2-S_checkpoint.pth.tar'
    torch.save({'epoch': 0, 'best_EPE': 1e10, 'state_dict': net.state_dict()}, str(path), _use_new_zipfile_serialization=False)
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
    source = source_of(net)
    converted = convert(source, 'flownet', means=[255 * mean for mean in (0.411, 0.432, 0.45)])
    assert ('deconv5_bias', '0') in converted.initialised
    assert_flow(torch, converted, net, images, 'rgb', (0.411, 0.432, 0.45))
    converted = convert(source, 'flownet', means=[255 * mean for mean in (0.411451, 0.432060, 0.450141)], caffe_style=True)
    assert_flow(torch, converted, net, images, 'bgr', (0.411451, 0.432060, 0.450141))


def test_other_pixel_means_change_nothing_but_the_border(torch, images):
    source = source_of(foreign.flownet(torch, biases=False))
    means, theirs = OURS, [255 * mean for mean in (0.411, 0.432, 0.45)]
    exact, folded = (convert(source, 'flownet', means=values) for values in (theirs, means))
    assert any('folded in for PIXEL_MEANS [103.06, 115.9, 123.15]' in note for note in folded.notes)
    internals = flownet(mx.sym.Variable('data'), mx.sym.Variable('data_ref'), 8)[0].get_internals()['flow_conv1_output']
    one, other = (run_ours(internals, converted, {name: to_tensor(image, values) for name, image in zip(('data', 'data_ref'), images)})[0]
                  for converted, values in ((exact, theirs), (folded, means)))
    assert close(one[:, :, 2:-2, 2:-2], other[:, :, 2:-2, 2:-2]) < 1e-5
    assert close(one, other) > 1e-3


# ---- this project's own names, and running without PyTorch

def test_flow_and_backbone_are_taken_out_of_a_checkpoint_of_the_original(tmp_path, monkeypatch):
    """Without PyTorch the check runs on NumPy. The network is a random DFF of depth 18."""
    monkeypatch.setattr(forward, 'import_torch', lambda: None)
    symbol = mx.sym.Group(list(flownet(mx.sym.Variable('data'), mx.sym.Variable('data_ref'), 16))
                          + [resnet_v1(mx.sym.Variable('data'), 18)])
    shapes, _, aux_shapes = symbol.infer_shape(data=(1, 3, 64, 64), data_ref=(1, 3, 64, 64))
    rng = np.random.RandomState(0)
    arrays = {'aux:' + name: mx.nd.array(rng.uniform(0.5, 1, shape)) for name, shape in zip(symbol.list_auxiliary_states(), aux_shapes)}
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
    assert close(forward.convolve(data, weight, bias, stride, pad, dilation), theirs) < 1e-5
    weight = rng.normal(size=(5, 4, 4, 4))
    theirs = mx.nd.Deconvolution(mx.nd.array(data), mx.nd.array(weight), mx.nd.array(bias), num_filter=4, kernel=(4, 4),
                                 stride=(2, 2), pad=(1, 1), no_bias=False).asnumpy()
    assert close(forward.deconvolve(data, weight, bias), theirs) < 1e-5


def test_without_pytorch_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / 'a.pth').write_bytes(b'')
    monkeypatch.setattr(torch_file, 'import_torch', lambda: None)
    with pytest.raises(SetupError, match='needs PyTorch: `pip install -r requirements-convert.txt`'):
        read_source(tmp_path / 'a.pth')


def test_safetensors(tmp_path):
    numpy_io = pytest.importorskip('safetensors.numpy', reason='safetensors is not installed: pip install -r requirements-convert.txt')
    path = tmp_path / 'm.safetensors'
    numpy_io.save_file({'conv1.weight': np.arange(4, dtype=np.float16), 'bn1.num_batches_tracked': np.zeros(1, np.int64)}, str(path))
    tensors = read_source(path).tensors
    assert list(tensors) == ['conv1.weight'] and tensors['conv1.weight'].dtype == np.float32
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError, match='m.safetensors is not a .safetensors file'):
        read_source(path)


# ---- what is refused

class Evil:
    def __reduce__(self):
        return exec, ('raise SystemExit("it ran")',)


class Codec:
    def __reduce__(self):
        return codecs.encode, (b'x', 'zlib')


@pytest.mark.parametrize('content, reason', [
    (lambda: pickle.dumps({'conv1_w': Evil()}), 'it names builtins.exec, which no file of weights needs'),
    (lambda: pickle.dumps({'conv1_w': Codec()}), "it encodes text as 'zlib'"),
    (lambda: pickle.dumps([1]), 'holds a list, not a dictionary of weights'),
    (lambda: pickle.dumps({'model': 3, '__author__': ''}), 'its model is a int'),
    (lambda: pickle.dumps({'a': np.zeros(3)})[:-30], 'was not read'),
    (lambda: b'', 'was not read'),
    (lambda: pickle.dumps({'a': 'text'}), 'holds no tensors under names'),
])
def test_pickles_that_are_not_weights(tmp_path, content, reason):
    path = tmp_path / 'w.pkl'
    path.write_bytes(content())
    with pytest.raises(CheckpointError, match=reason):
        read_source(path)


def test_torch_files_that_are_not_weights(torch, tmp_path):
    path = tmp_path / 'w.pth'
    torch.save({'a': Evil()}, str(path))
    with pytest.raises(CheckpointError, match='nothing is executed'):
        read_source(path)
    path.write_bytes(b'not a checkpoint')
    with pytest.raises(CheckpointError, match='w.pth was not read: PyTorch says'):
        read_source(path)


@pytest.mark.parametrize('cut', [1, 7, 1000])
def test_a_caffemodel_cut_short(tmp_path, cut):
    path = foreign.write_caffemodel(tmp_path / 'm.caffemodel', [('conv1', 'Convolution', [np.ones((64, 3, 7, 7))])])
    assert read_source(path).tensors['conv1.weight'].shape == (64, 3, 7, 7)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(CheckpointError, match='m.caffemodel is not a whole .caffemodel file'):
        read_source(path)


@pytest.mark.parametrize('names, target, reason', [
    ({'layer1.0.conv2.weight', 'conv1.3.weight'}, 'resnet_v1_50', 'its stem is three 3x3 convolutions'),
    ({'layer1.0.conv2.weight', 'layer1.0.se.fc1.weight'}, 'resnet_v1_50', 'squeeze-and-excitation'),
    ({'res2_0_branch2a_w', 'res2_0_branch2a_gn_s'}, 'resnet_v1_50', 'group normalisation'),
    ({'features.0.running_mean', 'features.4.0.body.0.weight'}, 'resnet_v1_50', 'ResNet v2'),
    ({'conv_redir.0.weight', 'upsampled_flow6_to_5.weight'}, 'flownet', 'FlowNetC'),
    ({'flownets_1.predict_flow6.bias'}, 'flownet', 'the stack FlowNet2; take FlowNet2-S'),
    ({'conv1.1.running_mean', 'upsampled_flow6_to_5.weight'}, 'flownet', 'batch normalisation'),
    ({'a.layer1.0.conv2.weight', 'b.layer1.0.conv2.weight'}, 'resnet_v1_50', "2 networks of one kind"),
    ({'layer1.0.conv2.weight'}, 'resnet_v1_50', 'is no resnet_v1_50: 264 parameters are missing, as conv1.weight, bn1.weight'),
    ({'encoder.weight'}, 'flownet', 'holds no flownet under names of a known framework; it begins with encoder.weight'),
])
def test_other_architectures(tmp_path, names, target, reason):
    path = tmp_path / 'w.pkl'
    path.write_bytes(pickle.dumps({name: np.zeros(3, np.float32) for name in names}))
    with pytest.raises(CheckpointError, match=reason):
        convert(read_source(path), target)


def test_another_depth_a_wide_network_and_broken_numbers(tmp_path):
    shapes = dict(zip(*(lambda symbol: (symbol.list_arguments(), symbol.infer_shape(data=(1, 3, 64, 64))[0]))(
        resnet_v1(mx.sym.Variable('data'), 18))))
    tensors = {name: np.ones(shape, np.float32) for name, shape in shapes.items() if name != 'data'}
    for name in list(tensors):
        if name.endswith('_gamma'):
            tensors.update({name[:-5] + kind: np.ones_like(tensors[name]) for kind in ('moving_mean', 'moving_var')})

    def convert_own(target):
        mx.nd.save(str(tmp_path / 'w.params'), {name: mx.nd.array(value) for name, value in tensors.items()})
        return convert(read_source(str(tmp_path / 'w.params')), target)

    with pytest.raises(CheckpointError, match='is no resnet_v1_50: it is a resnet_v1_18'):
        convert_own('resnet_v1_50')
    tensors['res3a_branch2a_weight'] = np.ones((256, 64, 3, 3))
    with pytest.raises(CheckpointError, match=r'its res3a_branch2a_weight has shape \(256, 64, 3, 3\), ours \(128, 64, 3, 3\)'):
        convert_own('resnet_v1_18')
    tensors['res3a_branch2a_weight'] = np.full((128, 64, 3, 3), np.nan)
    with pytest.raises(CheckpointError, match='gives other outputs than its own framework .*nothing was written'):
        convert_own('resnet_v1_18')


def test_a_wrong_mapping_is_noticed(torch, monkeypatch):
    source = source_of(foreign.flownet(torch, biases=False))
    whole = converting.FlowNet.convert_layer

    def flipped(self, layer, *rest):
        values = whole(self, layer, *rest)
        return {name: value[::-1] if layer.kind == 'upsample' else value for name, value in values.items()}
    monkeypatch.setattr(converting.FlowNet, 'convert_layer', flipped)
    with pytest.raises(CheckpointError, match='gives other outputs than its own framework'):
        convert(source, 'flownet')


# ---- the command

def test_the_command(torch, tmp_path):
    save_torch(torch, tmp_path / 'flownets_EPE1.951.pth', foreign.flownet(torch, biases=False).state_dict())
    command = ('tools/convert_weights.py', tmp_path / 'flownets_EPE1.951.pth', '--as', 'flownet', '--output', tmp_path / 'new' / 'flownet')
    status, printed, errors = run_script(*command, '--origin', 'https://example.org/flownets')
    assert status == 0, errors
    assert 'flow_conv1         64x6x7x7            conv1.0.{bias, weight}' in printed
    assert 'unmatched, not used: none' in printed and 're-initialised: Convolution1_bias: 0;' in printed
    assert 'parity: the outputs of both networks differ by' in printed and 'network.PIXEL_MEANS=[103.06,115.9,123.15]' in printed
    args, auxs = load_params(str(tmp_path / 'new' / 'flownet'), 0)
    assert args['deconv2_weight'].shape == (386, 64, 4, 4) and not auxs
    record = json.loads((tmp_path / 'new' / 'flownet-0000.source.json').read_text())
    assert record['source']['file'] == 'flownets_EPE1.951.pth' and record['source']['origin'] == 'https://example.org/flownets'
    assert len(record['source']['sha256']) == len(record['params_sha256']) == 64
    assert record['parity']['largest_relative_difference'] < 1e-4 and record['matched']['conv6_1'] == ['conv6_1.0.bias', 'conv6_1.0.weight']


@pytest.mark.parametrize('arguments, message', [
    (['none.pth', '--as', 'flownet', '--output', 'x'], 'none.pth does not exist; model/README.md lists files'),
    (['w.h5', '--as', 'flownet', '--output', 'x'], 'HDF5 models of Caffe are not read'),
    (['w.bin', '--as', 'flownet', '--output', 'x'], "files ending in '.bin' are of no known kind. Known kinds: .caffemodel"),
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
