"""Small ResNets of other frameworks as lists of layers, under names of no known family; written as files, and run."""
import struct

import numpy as np

from lib.weights.forward import convolve
from tests.helpers.foreign import _field, _varint

CAFFE = {'conv': 'Convolution', 'norm': 'BatchNorm', 'scale': 'Scale', 'relu': 'ReLU', 'pool': 'Pooling',
         'add': 'Eltwise', 'same': 'Split'}


class Net:
    """A list of (kind, name, inputs, output, {part: array}, {setting: number}), grown layer by layer."""

    def __init__(self, units, bottleneck, base, stem, seed=0, bias=True, eps=1e-5, strided=0, pool_pad=0):
        self.rng, self.layers, self.bias, self.eps = np.random.RandomState(seed), [], bias, eps
        body = self.conv_norm('entry', 'picture', 3, stem, 7, 2)
        body = self.add('pool', 'shrink', [self.add('relu', 'entry_r', [body])], {},
                        {'kernel': 3, 'stride': 2, 'pad': pool_pad})
        channels = stem
        self.ends = []
        for stage, count in enumerate(units):
            for unit in range(count):
                name, filters = 's%d_u%d' % (stage, unit), base * 2 ** stage
                out, stride = filters * (4 if bottleneck else 1), 2 if stage and not unit else 1
                body = self.add('same', name + '_split', [body])
                kernels = (1, 3, 1) if bottleneck else (3, 3)
                branch = body
                for index, kernel in enumerate(kernels):
                    branch = self.conv_norm('%s_c%d' % (name, index), branch, channels if not index else filters,
                                            out if index == len(kernels) - 1 else filters, kernel,
                                            stride if index == strided else 1)
                    if index < len(kernels) - 1:
                        branch = self.add('relu', '%s_r%d' % (name, index), [branch])
                short = body
                if not unit and (stride > 1 or channels != out):
                    short = self.conv_norm(name + '_proj', body, channels, out, 1, stride)
                body = self.add('relu', name + '_r', [self.add('add', name + '_sum', [short, branch])])
                channels = out
            self.ends.append(body)
        self.add('pool', 'mean', [body], {}, {'kernel': 2, 'stride': 1, 'pad': 0, 'method': 1})

    def add(self, kind, name, inputs, tensors=None, settings=None):
        self.layers.append((kind, name, inputs, name, tensors or {}, settings or {}))
        return name

    def conv_norm(self, name, body, channels, filters, kernel, stride):
        rng, weight = self.rng, (filters, channels, kernel, kernel)
        parts = {'weight': rng.randn(*weight) * np.sqrt(1.5 / np.prod(weight[1:]))}
        if self.bias:
            parts['bias'] = rng.randn(filters) * 0.1
        body = self.add('conv', name, [body], parts, {'kernel': kernel, 'stride': stride, 'pad': kernel // 2})
        body = self.add('norm', name + '_n', [body], {
            'mean': rng.randn(filters) * 0.1, 'var': rng.uniform(0.5, 1.5, filters)}, {'eps': self.eps})
        return self.add('scale', name + '_s', [body], {
            'gamma': rng.uniform(0.5, 1.5, filters), 'beta': rng.randn(filters) * 0.1})

    def run(self, images, until):
        """What the layer `until` makes of images [1, 3, H, W], by the definitions of its layers."""
        made = {'picture': images}
        for kind, name, inputs, _, tensors, settings in self.layers:
            values = [made[one] for one in inputs]
            column = {part: np.reshape(array, (1, -1, 1, 1)) for part, array in tensors.items()}
            if kind == 'conv':
                made[name] = convolve(values[0], tensors['weight'], tensors.get('bias'), settings['stride'],
                                      settings['pad'])
            elif kind == 'norm':
                made[name] = (values[0] - column['mean']) / np.sqrt(column['var'] + settings['eps'])
            elif kind == 'scale':
                made[name] = values[0] * column['gamma'] + column['beta']
            elif kind == 'relu':
                made[name] = np.maximum(values[0], 0)
            elif kind == 'pool' and name == 'shrink':
                made[name] = _pooled(values[0], settings['pad'])
            elif kind == 'add':
                made[name] = values[0] + values[1]
            else:
                made[name] = values[0]
            if name == until:
                return made[name]
        raise KeyError(until)


def _pooled(values, pad):
    """Maxima over 3 x 3 with stride 2; without padding, windows reach over the far edge, as Caffe's do."""
    low = np.pad(values, ((0, 0), (0, 0), (pad, 3), (pad, 3)), constant_values=-np.inf)
    height, width = ((side + 2 * pad - 3 + (pad == 0)) // 2 + 1 for side in values.shape[2:])
    return np.array([[low[:, :, 2 * y:2 * y + 3, 2 * x:2 * x + 3].max(axis=(2, 3)) for x in range(width)]
                     for y in range(height)]).transpose(2, 3, 0, 1)


def write_caffemodel(path, net):
    """A NetParameter whose normalisations, scales and ReLUs write over what they read, as trained files have them."""
    data, blob_of = [], {'picture': 'picture'}
    for kind, name, inputs, output, tensors, settings in net.layers:
        in_place = kind in ('norm', 'scale', 'relu')
        blob_of[output] = blob_of[inputs[0]] if in_place else name
        message = _field(1, name.encode()) + _field(2, CAFFE[kind].encode())
        for one in inputs:
            message += _field(3, blob_of[one].encode())
        message += _field(4, blob_of[output].encode())
        blobs = list(tensors.values()) + ([np.ones(1)] if kind == 'norm' else [])
        for blob in blobs:
            blob = np.asarray(blob, '<f4')
            message += _field(7, _field(7, _field(1, b''.join(map(_varint, blob.shape)))) + _field(5, blob.tobytes()))
        numbers = {'pad': 3, 'kernel': 4, 'stride': 6} if kind == 'conv' else {
            'method': 1, 'kernel': 2, 'stride': 3, 'pad': 4}
        if kind in ('conv', 'pool'):
            content = b''.join(_varint(numbers[key] << 3) + _varint(value) for key, value in settings.items())
            message += _field(106 if kind == 'conv' else 121, content)
        if kind == 'norm':
            message += _field(139, _varint(3 << 3 | 5) + struct.pack('<f', settings['eps']))
        data.append(_field(100, message))
    path.write_bytes(b''.join(data))
    return path


def write_onnx(onnx, path, net):
    """The same as an ONNX model: BatchNormalization has gamma and beta, Identity stands for a split."""
    nodes, tensors, renamed = [], [], {}

    def store(name, array):
        tensors.append(onnx.numpy_helper.from_array(np.asarray(array, np.float32), name))
        return name

    layers = {layer[1]: layer for layer in net.layers}
    for kind, name, inputs, output, parts, settings in net.layers:
        inputs = [renamed.get(one, one) for one in inputs]
        if kind == 'scale':
            renamed[output] = inputs[0]
        elif kind == 'norm':
            scale = layers[name[:-1] + 's'][4]
            values = [scale['gamma'], scale['beta'], parts['mean'], parts['var']]
            nodes.append(onnx.helper.make_node('BatchNormalization', inputs + [
                store('%s.%d' % (name, index), value) for index, value in enumerate(values)], [output], name=name,
                epsilon=settings['eps']))
        elif kind == 'conv':
            nodes.append(onnx.helper.make_node(
                'Conv', inputs + [store('%s.%s' % (name, part), value) for part, value in parts.items()], [output],
                name=name, strides=[settings['stride']] * 2, pads=[settings['pad']] * 4))
        elif name == 'shrink':
            nodes.append(onnx.helper.make_node('MaxPool', inputs, [output], name=name, kernel_shape=[3, 3],
                                               strides=[2, 2], pads=[settings['pad']] * 4))
        else:
            kinds = {'relu': 'Relu', 'add': 'Add', 'same': 'Identity', 'pool': 'GlobalAveragePool'}
            nodes.append(onnx.helper.make_node(kinds[kind], inputs, [output], name=name))
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(nodes, 'net', [value('picture', 1, [1, 3, 128, 128])],
                                   [value('mean', 1, None)], tensors)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 13)]), str(path))
    return path
