"""Conversion of ResNets: each foreign format is built here, converted, and both networks see the same images."""
import pickle

import mxnet as mx
import numpy as np
import pytest

from dff.errors import CheckpointError
from dff.image import to_tensor
from lib.config.defaults import segmentation_defaults
from lib.symbols.backbones.resnet_v1 import resnet_v1
from lib.weights.convert import convert
from lib.weights.readers import read_source
from tests.helpers import foreign
from tests.helpers.marks import slow
from tests.helpers.symbol_tools import network, relative_difference

IMAGENET = (103.53, 116.28, 123.675)
OURS = (103.06, 115.90, 123.15)


@pytest.fixture
def images():
    rng = np.random.RandomState(1)
    return [rng.randint(0, 256, (128, 128, 3)).astype(np.uint8) for _ in range(2)]


def run_resnet(converted, image, depth):
    """Our res5c_relu of a BGR image."""
    symbol = resnet_v1(mx.sym.Variable('data'), depth,
                       stride_in_3x3=converted.settings.get('network.STRIDE_IN_3X3', False))
    return foreign.run_ours(symbol, converted, {'data': to_tensor(image, converted.settings['network.PIXEL_MEANS'])})[0]


@pytest.mark.parametrize('kind', ['pth', 'safetensors'])
def test_torchvision(torch, tmp_path, images, kind):
    """And timm, which has the same names and writes .safetensors."""
    net, path = foreign.resnet(torch, 50), tmp_path / ('r50.' + kind)
    if kind == 'pth':
        foreign.save_torch(torch, path, net.state_dict())
    else:
        pytest.importorskip('safetensors.numpy',
                            reason='safetensors is not installed: pip install -r requirements-convert.txt').save_file(
            foreign.arrays(net), str(path))
    converted = convert(read_source(path), 'resnet_v1_50')
    assert converted.settings == {'network.PIXEL_MEANS': [103.53, 116.28, 123.675], 'network.STRIDE_IN_3X3': True}
    assert converted.unmatched == ['fc.bias', 'fc.weight'] and converted.error < 1e-4
    with torch.no_grad():
        theirs = net(foreign.seen_by(torch, images[0], 'rgb', IMAGENET, (57.375, 57.12, 58.395))).numpy()
    assert relative_difference(run_resnet(converted, images[0], 50), theirs) < 1e-4
    # Without the setting the same parameters are another network.
    converted.settings.pop('network.STRIDE_IN_3X3')
    assert relative_difference(run_resnet(converted, images[0], 50), theirs) > 0.01


def test_caffes_weights_under_pytorchs_names(torch, images):
    net = foreign.resnet(torch, 50, stride_in_3x3=False)
    converted = convert(foreign.source_of(net), 'resnet_v1_50', caffe_style=True)
    assert converted.settings == {'network.PIXEL_MEANS': [103.53, 116.28, 123.675]}
    with torch.no_grad():
        theirs = net(foreign.seen_by(torch, images[0], 'bgr', IMAGENET, (1, 1, 1))).numpy()
    assert relative_difference(run_resnet(converted, images[0], 50), theirs) < 1e-4


def test_the_backbone_of_a_detector_of_mmtracking(torch, tmp_path, images):
    """Of depth 18, which keeps the file small; its head and flow network are left alone."""
    net = foreign.resnet(torch, 18)
    state = {'detector.backbone.' + name: value for name, value in foreign.arrays(net).items()}
    state['detector.rpn_head.rpn_cls.weight'] = np.zeros((2, 8, 1, 1), np.float32)
    state['motion.conv1.0.conv.bias'] = np.zeros(64, np.float32)
    path = tmp_path / 'dff.pth'
    torch.save({'meta': {'epoch': 7}, 'state_dict': {name: torch.as_tensor(value) for name, value in state.items()}},
               str(path))
    converted = convert(read_source(path), 'resnet_v1_18')
    assert 'detector.rpn_head.rpn_cls.weight' in converted.unmatched
    assert 'network.STRIDE_IN_3X3' not in converted.settings
    with torch.no_grad():
        theirs = net(foreign.seen_by(torch, images[0], 'rgb', IMAGENET, (57.375, 57.12, 58.395))).numpy()
    assert relative_difference(run_resnet(converted, images[0], 18), theirs) < 1e-4


@pytest.mark.parametrize('depth, old', [(50, False), (101, False), (152, False), (50, True)])
def test_caffe(torch, tmp_path, images, depth, old):
    """MSRA's release: BGR, stride in the 1x1, statistics times a factor, a bias in conv1;
    the old layer message has no BatchNorm."""
    net = foreign.resnet(torch, depth, stride_in_3x3=False)
    state, bias = foreign.arrays(net), np.random.RandomState(0).normal(0, 1, 64).astype(np.float32)
    layers = foreign.caffe_layers(state, depth, bias=bias)
    path = foreign.write_caffemodel(tmp_path / 'r.caffemodel', layers[:1] + layers[-1:] if old else layers, old)
    source = read_source(path)
    np.testing.assert_array_equal(source.tensors['conv1.weight'], state['conv1.weight'])
    np.testing.assert_array_equal(source.tensors['fc1000.bias'], np.zeros(1000))
    if old:
        return
    converted = convert(source, 'resnet_v1_%d' % depth)
    with torch.no_grad():
        net.bn1.running_mean -= torch.as_tensor(bias)
        theirs = net(foreign.seen_by(torch, images[0], 'bgr', OURS, (1, 1, 1))).numpy()
    assert converted.settings == {'network.PIXEL_MEANS': list(OURS)}
    assert 'first convolution: channels from BGR to RGB' in converted.notes
    assert relative_difference(run_resnet(converted, images[0], depth), theirs) < 1e-4


@pytest.mark.parametrize('depth, affine', [(50, False), (101, False), (50, True)])
def test_detectron(torch, tmp_path, images, depth, affine):
    net = foreign.resnet(torch, depth, stride_in_3x3=False)
    names = foreign.detectron_names(foreign.arrays(net), depth, affine)
    path = tmp_path / 'R.pkl'
    # detectron2's are of Python 3; Detectron's of Python 2, with momentum beside the blobs
    content = {'blobs': dict(names, conv1_w_momentum=np.zeros(3))} if affine else names
    path.write_bytes(pickle.dumps(content, protocol=2))
    converted = convert(read_source(path), 'resnet_v1_%d' % depth)
    assert converted.unmatched == ['fc1000_b', 'fc1000_w']
    with torch.no_grad():
        theirs = net(foreign.seen_by(torch, images[0], 'bgr', IMAGENET, (1, 1, 1))).numpy()
    assert relative_difference(run_resnet(converted, images[0], depth), theirs) < 1e-4


def test_a_torchvision_file_in_detectron2s_clothes(torch, tmp_path, images):
    """As its convert-torchvision-to-d2 writes it: the author tells the convention."""
    net = foreign.resnet(torch, 50)
    names = {}
    for conv, norm, stage, index, branch in foreign.resnet_layers(50):
        new = 'stem.conv1' if stage == 1 else 'res%d.%d.%s' % (stage, index, 'shortcut'
                                                               if branch == 'branch1' else conv.split('.')[-1])
        for name, value in foreign.arrays(net).items():
            if name.rsplit('.', 1)[0] in (conv, norm):
                names[new + ('.norm.' if name.startswith(norm + '.') else '.') + name.rsplit('.', 1)[1]] = value
    path = tmp_path / 'r50.pkl'
    path.write_bytes(pickle.dumps({'model': names, '__author__': 'torchvision', 'matching_heuristics': True}))
    converted = convert(read_source(path), 'resnet_v1_50')
    assert converted.settings['network.STRIDE_IN_3X3']
    with torch.no_grad():
        theirs = net(foreign.seen_by(torch, images[0], 'rgb', IMAGENET, (57.375, 57.12, 58.395))).numpy()
    assert relative_difference(run_resnet(converted, images[0], 50), theirs) < 1e-4


@pytest.mark.parametrize('depth', [18, slow(50)])
@pytest.mark.parametrize('scoped', [False, True])
def test_gluon(tmp_path, images, depth, scoped):
    """MXNet's own model zoo; stage 5 is not dilated there, so the features before it are compared."""
    net = getattr(mx.gluon.model_zoo.vision, 'resnet%d_v1' % depth)()
    net.initialize(mx.init.MSRAPrelu())
    data = (images[0][None, :, :, ::-1].transpose(0, 3, 1, 2) / 255.0
            - np.reshape((0.485, 0.456, 0.406), (1, 3, 1, 1))) / np.reshape(
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
    ours = foreign.run_ours(body, converted,
                            {'data': to_tensor(images[0], converted.settings['network.PIXEL_MEANS'])})[0]
    assert relative_difference(ours, theirs) < 1e-4


@pytest.mark.parametrize('task, symbol, method', [('rfcn', 'resnet_v1_101_rfcn', 'get_test_symbol'),
                                                  ('dff_deeplab', 'resnet_v1_101_flownet_deeplab',
                                                   'get_key_test_symbol')])
def test_the_setting_moves_the_stride_of_every_networks_backbone(task, symbol, method):
    config = segmentation_defaults()     # has the keys of detection too
    strides = []
    for config.network.STRIDE_IN_3X3 in (False, True):
        attributes = getattr(network(task, symbol), method)(config).attr_dict()
        strides.append([attributes['res4a_branch' + branch]['stride'] for branch in ('1', '2a', '2b')])
    assert strides == [['(2, 2)', '(2, 2)', '(1, 1)'], ['(2, 2)', '(1, 1)', '(2, 2)']]


# ---- what is refused

@pytest.mark.parametrize('names, target, reason', [
    ({'layer1.0.conv2.weight', 'conv1.3.weight'}, 'resnet_v1_50', 'its stem is three 3x3 convolutions'),
    ({'layer1.0.conv2.weight', 'layer1.0.se.fc1.weight'}, 'resnet_v1_50', 'squeeze-and-excitation'),
    ({'res2_0_branch2a_w', 'res2_0_branch2a_gn_s'}, 'resnet_v1_50', 'group normalisation'),
    ({'features.0.running_mean', 'features.4.0.body.0.weight'}, 'resnet_v1_50', 'ResNet v2'),
    ({'conv_redir.0.weight', 'upsampled_flow6_to_5.weight'}, 'flownet', 'FlowNetC'),
    ({'flownets_1.predict_flow6.bias'}, 'flownet', 'the stack FlowNet2; take FlowNet2-S'),
    ({'conv1.1.running_mean', 'upsampled_flow6_to_5.weight'}, 'flownet', 'batch normalisation'),
    ({'a.layer1.0.conv2.weight', 'b.layer1.0.conv2.weight'}, 'resnet_v1_50', "2 networks of one kind"),
    ({'layer1.0.conv2.weight'}, 'resnet_v1_50',
     'is no resnet_v1_50: 264 parameters are missing, as conv1.weight, bn1.weight'),
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
    with pytest.raises(CheckpointError,
                       match=r'its res3a_branch2a_weight has shape \(256, 64, 3, 3\), ours \(128, 64, 3, 3\)'):
        convert_own('resnet_v1_18')
    tensors['res3a_branch2a_weight'] = np.ones((128, 64, 3, 3))
    tensors['conv1_weight'] = np.ones((64, 1, 7, 7))
    with pytest.raises(CheckpointError, match=r'its conv1_weight has shape \(64, 1, 7, 7\), ours \(64, 3, 7, 7\)'):
        convert_own('resnet_v1_18')
    tensors['conv1_weight'] = np.ones((64, 3, 7, 7))
    tensors['bn_conv1_beta'] = np.ones(32)
    with pytest.raises(CheckpointError, match=r'its bn_conv1_beta has shape \(32,\), ours \(64,\)'):
        convert_own('resnet_v1_18')
    tensors['bn_conv1_beta'] = np.full(64, np.nan)
    with pytest.raises(CheckpointError, match='gives other outputs than its own framework .*nothing was written'):
        convert_own('resnet_v1_18')
