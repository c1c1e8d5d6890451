"""The files of other frameworks, built as those write them, with random numbers; and their networks in PyTorch.

No name or layout here comes from lib/weights: they are written down a second time on purpose.
"""
import struct

import numpy as np

from lib.weights.readers import Source
from tests.helpers.symbol_tools import run

UNITS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


# ---- networks in PyTorch

def resnet(torch, depth, stride_in_3x3=True, seed=0):
    """A ResNet-v1 with torchvision's names, and stage 5 dilated as in DFF; its output is that of layer4."""
    nn = torch.nn
    torch.manual_seed(seed)

    class Unit(nn.Module):
        def __init__(self, into, filters, stride, dilation):
            super().__init__()
            first, second = (1, stride) if stride_in_3x3 else (stride, 1)
            if depth < 50:
                out = filters
                self.conv1 = nn.Conv2d(into, filters, 3, stride, dilation, dilation, bias=False)
                self.conv2 = nn.Conv2d(filters, filters, 3, 1, dilation, dilation, bias=False)
            else:
                out = 4 * filters
                self.conv1 = nn.Conv2d(into, filters, 1, first, bias=False)
                self.conv2 = nn.Conv2d(filters, filters, 3, second, dilation, dilation, bias=False)
                self.conv3 = nn.Conv2d(filters, out, 1, bias=False)
            for number, channels in enumerate((filters, filters, out)[:2 if depth < 50 else 3], start=1):
                setattr(self, 'bn%d' % number, nn.BatchNorm2d(channels))
            self.downsample = None
            if stride > 1 or into != out:
                self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

        def forward(self, data):
            body = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(data)))))
            if depth >= 50:
                body = self.bn3(self.conv3(torch.relu(body)))
            return torch.relu(body + (data if self.downsample is None else self.downsample(data)))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
            self.pool = nn.MaxPool2d(3, 2, 1)
            into = 64
            for stage, count in enumerate(UNITS[depth], start=1):
                filters, units = 32 * 2 ** stage, []
                for index in range(count):
                    units.append(Unit(into, filters, 2 if index == 0 and stage in (2, 3) else 1,
                                      2 if stage == 4 else 1))
                    into = filters * (4 if depth >= 50 else 1)
                setattr(self, 'layer%d' % stage, nn.Sequential(*units))
            self.fc = nn.Linear(into, 10)

        def forward(self, data):
            body = self.pool(torch.relu(self.bn1(self.conv1(data))))
            return self.layer4(self.layer3(self.layer2(self.layer1(body))))

    net = Net()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.7)
            nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    return net.eval()


def flownet(torch, biases=True, seed=0):
    """FlowNetS with the names of FlowNet2-S (biases) or of ClementPinard's (none in predictions and deconvolutions).

    Its output: the predictions from coarse to fine, the finest after DFF's halving.
    """
    nn = torch.nn
    torch.manual_seed(seed)

    def conv(into, out, kernel=3, stride=1):
        return nn.Sequential(nn.Conv2d(into, out, kernel, stride, (kernel - 1) // 2), nn.LeakyReLU(0.1))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = conv(6, 64, 7, 2), conv(64, 128, 5, 2)
            self.conv3, self.conv3_1 = conv(128, 256, 5, 2), conv(256, 256)
            self.conv4, self.conv4_1 = conv(256, 512, 3, 2), conv(512, 512)
            self.conv5, self.conv5_1 = conv(512, 512, 3, 2), conv(512, 512)
            self.conv6, self.conv6_1 = conv(512, 1024, 3, 2), conv(1024, 1024)
            for level, into in ((6, 1024), (5, 1026), (4, 770), (3, 386), (2, 194)):
                setattr(self, 'predict_flow%d' % level, nn.Conv2d(into, 2, 3, 1, 1, bias=biases))
                if level > 2:
                    setattr(self, 'deconv%d' % (level - 1), nn.Sequential(
                        nn.ConvTranspose2d(into, 2 ** (level + 3), 4, 2, 1, bias=biases), nn.LeakyReLU(0.1)))
                    setattr(self, 'upsampled_flow%d_to_%d' % (level, level - 1),
                            nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=False))

        def forward(self, pair):
            c2 = self.conv2(self.conv1(pair))
            c3 = self.conv3_1(self.conv3(c2))
            c4 = self.conv4_1(self.conv4(c3))
            c5 = self.conv5_1(self.conv5(c4))
            body, flows = self.conv6_1(self.conv6(c5)), []
            for level, skip in ((6, c5), (5, c4), (4, c3), (3, c2)):
                flows.append(getattr(self, 'predict_flow%d' % level)(body))
                up = getattr(self, 'upsampled_flow%d_to_%d' % (level, level - 1))(flows[-1])
                body = torch.cat([skip, getattr(self, 'deconv%d' % (level - 1))(body), up], dim=1)
            return flows + [self.predict_flow2(nn.functional.avg_pool2d(body, 2))]

    net = Net()
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.05)
    return net.eval()


def arrays(net):
    """{name: array} of a network's state."""
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


# ---- comparing

def run_ours(symbol, converted, inputs):
    params = [{name[4:]: value for name, value in converted.params.items() if name.startswith(sort)}
              for sort in ('arg:', 'aux:')]
    return list(run(symbol, inputs, *params)[0].values())


def seen_by(torch, image, order, means, stds):
    """The image [H, W, 3] (BGR) as a foreign network's input; means and stds listed blue, green, red."""
    values = (image - np.array(means)) / np.array(stds)
    values = values[:, :, ::-1 if order == 'rgb' else 1].transpose(2, 0, 1)[None]
    return torch.from_numpy(values.astype(np.float32).copy())


def save_torch(torch, path, state):
    torch.save({name: torch.as_tensor(value) for name, value in state.items()}, str(path))
    return path


def source_of(net):
    """The Source of a network's state, as if read from a file."""
    return Source('w.pth', {name: value for name, value in arrays(net).items() if value.dtype == np.float32}, '')


# ---- names

def unit_letter(depth, stage, index):
    """The unit's name in Caffe's releases; stage from 2."""
    return 'b%d' % index if index and depth > 50 and stage in (3, 4) else 'abcdef'[index]


def resnet_layers(depth):
    """(torchvision's convolution, its normalisation, stage, unit, branch of Caffe's names) of every layer."""
    found = [('conv1', 'bn1', 1, 0, '')]
    for stage, count in enumerate(UNITS[depth], start=1):
        for index in range(count):
            unit = 'layer%d.%d.' % (stage, index)
            if index == 0 and (stage > 1 or depth >= 50):
                found.append((unit + 'downsample.0', unit + 'downsample.1', stage + 1, 0, 'branch1'))
            for number in range(1, 3 if depth < 50 else 4):
                found.append((unit + 'conv%d' % number, unit + 'bn%d' % number, stage + 1, index,
                              'branch2' + ' abc'[number]))
    return found


def caffe_layers(state, depth, factor=999.98, bias=None):
    """[(layer, type, blobs)] as in MSRA's .caffemodel, from torchvision's state; bias: of conv1."""
    found = []
    for conv, norm, stage, index, branch in resnet_layers(depth):
        suffix = 'conv1' if stage == 1 else '%d%s_%s' % (stage, unit_letter(depth, stage, index), branch)
        name = suffix if stage == 1 else 'res' + suffix
        blobs = [state[conv + '.weight']] + ([bias] if stage == 1 and bias is not None else [])
        found.append((name, 'Convolution', blobs))
        bn = 'bn_conv1' if stage == 1 else 'bn' + suffix
        statistics = [state[norm + '.running_mean'] * factor, state[norm + '.running_var'] * factor, np.array([factor])]
        found.append((bn, 'BatchNorm', statistics))
        found.append((bn.replace('bn', 'scale', 1), 'Scale', [state[norm + '.weight'], state[norm + '.bias']]))
        found.append((suffix + '_relu', 'ReLU', []))
    return found + [('fc1000', 'InnerProduct', [np.zeros((1000, 8)), np.zeros(1000)])]


def detectron_names(state, depth, affine=False):
    """{name: array} as in detectron2's R-50.pkl, or with `affine` as in Detectron's, from torchvision's state."""
    found = {}
    for conv, norm, stage, index, branch in resnet_layers(depth):
        name = 'conv1' if stage == 1 else 'res%d_%d_%s' % (stage, index, branch)
        bn = 'res_conv1_bn' if stage == 1 else name + '_bn'
        gamma, beta, mean, var = (state[norm + '.' + part]
                                  for part in ('weight', 'bias', 'running_mean', 'running_var'))
        found[name + '_w'] = state[conv + '.weight']
        if affine:
            scale = gamma / np.sqrt(var + 1e-5)
            found.update({bn + '_s': scale, bn + '_b': beta - mean * scale})
        else:
            found.update({bn + '_gamma': gamma, bn + '_beta': beta, bn + '_running_mean': mean,
                          bn + '_running_var': var})
    found.update(fc1000_w=np.zeros((1000, 8), np.float32), fc1000_b=np.zeros(1000, np.float32))
    return found


FLOW_LAYERS = ['conv1', 'conv2', 'conv3', 'conv3_1', 'conv4', 'conv4_1', 'conv5', 'conv5_1', 'conv6', 'conv6_1']


def caffe_flow_layers(state):
    """[(layer, type, blobs)] as in DispNet's FlowNetS, from FlowNet2-S' state, channels back to BGR."""
    found = []
    for name in FLOW_LAYERS:
        weight = state[name + '.0.weight']
        weight = np.concatenate([weight[:, 2::-1], weight[:, :2:-1]], axis=1) if name == 'conv1' else weight
        found.append((name, 'Convolution', [weight, state[name + '.0.bias']]))
    for number, level in enumerate((6, 5, 4, 3, 2), start=1):
        name = 'predict_flow%d' % level
        found.append(('Convolution%d' % number, 'Convolution', [state[name + '.weight'], state[name + '.bias']]))
        if level > 2:
            deconv = 'deconv%d' % (level - 1)
            found.append((deconv, 'Deconvolution', [state[deconv + '.0.weight'], state[deconv + '.0.bias']]))
            found.append(('upsample_flow%dto%d' % (level, level - 1), 'Deconvolution',
                          [state['upsampled_flow%d_to_%d.weight' % (level, level - 1)], np.zeros(2)]))
    return found


def mmtracking_flow_names(state):
    """{name: array} as in mmtracking's flownet_simple, from the state without biases."""
    found = {}
    for name, value in state.items():
        layer, *_, part = name.split('.')
        if layer.startswith('conv'):
            stem, _, second = layer.partition('_')
            new = '%s.%d.conv' % (stem, 1 if second else 0)
        elif layer.startswith('upsampled'):
            new = 'upsample_flow%s.conv' % layer[-1]
        else:
            new = ('predict_flow' if layer == 'predict_flow2' else layer) + '.conv'
        found['%s.%s' % (new, part)] = value
    return found


# ---- files

def _varint(number):
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def _field(number, payload):
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def write_caffemodel(path, layers, old=False):
    """A NetParameter with these (layer, type, blobs); old: the layer message and blob shapes of 2014."""
    data = [_field(1, b'net')]
    for name, kind, blobs in layers:
        message = _field(4 if old else 1, name.encode()) + (_varint(5 << 3) + _varint(4)
                                                            if old else _field(2, kind.encode()))
        for blob in blobs:
            blob = np.asarray(blob, '<f4')
            if old:
                sides = (1,) * (4 - blob.ndim) + blob.shape
                shape = b''.join(_varint(number << 3) + _varint(side) for number, side in enumerate(sides, start=1))
            else:
                shape = _field(7, _field(1, b''.join(map(_varint, blob.shape))))
            message += _field(6 if old else 7, shape + _field(5, blob.tobytes()))
        # fields that a reader must pass over: param of a layer, a fixed32 and a fixed64
        message += _field(1001 if old else 6, b'\x08\x01')
        message += _varint(999 << 3 | 5) + struct.pack('<f', 1) + _varint(998 << 3 | 1) + struct.pack('<d', 1)
        data.append(_field(2 if old else 100, message))
    path.write_bytes(b''.join(data))
    return path
