"""Conversions of layers: convolutions, poolings, activations, arithmetic, and what only moves
values.
"""

import numpy as np

from lib.onnx_export.converter import converts, unsupported

ELEMENTWISE = {
    'elemwise_add': 'Add',
    'elemwise_mul': 'Mul',
    'elemwise_sub': 'Sub',
    'broadcast_add': 'Add',
    'broadcast_mul': 'Mul',
    'broadcast_sub': 'Sub',
}
ACTIVATIONS = {'relu': 'Relu', 'sigmoid': 'Sigmoid', 'tanh': 'Tanh', 'softrelu': 'Softplus'}


def _both_ends(pad):
    """ONNX's pads, begins before ends, of MXNet's `pad`."""
    return list(pad) + list(pad)


@converts('Convolution')
def convolution(build, node, inputs):
    """Return Conv; build, node, inputs: see converter.py."""
    return build.op(
        'Conv',
        *inputs,
        kernel_shape=list(node.get('kernel')),
        strides=list(node.get('stride', (1, 1))),
        pads=_both_ends(node.get('pad', (0, 0))),
        dilations=list(node.get('dilate', (1, 1))),
        group=node.get('num_group', 1),
    )


@converts('Deconvolution')
def deconvolution(build, node, inputs):
    """Return ConvTranspose; build, node, inputs: see converter.py."""
    if node.get('target_shape'):
        raise unsupported(node, 'a target_shape')
    return build.op(
        'ConvTranspose',
        *inputs,
        kernel_shape=list(node.get('kernel')),
        strides=list(node.get('stride', (1, 1))),
        pads=_both_ends(node.get('pad', (0, 0))),
        output_padding=list(node.get('adj', (0, 0))),
        dilations=list(node.get('dilate', (1, 1))),
        group=node.get('num_group', 1),
    )


@converts('Pooling')
def pooling(build, node, inputs):
    """Return MaxPool or AveragePool; build, node, inputs: see converter.py."""
    kind, kernel, pad = node.get('pool_type', 'max'), node.get('kernel'), node.get('pad', (0, 0))
    stride, value = node.get('stride', (1, 1)), inputs[0]
    rounds_up = node.get('pooling_convention', 'valid') == 'full'
    if node.get('global_pool', False) or kind not in ('max', 'avg', 'sum'):
        raise unsupported(node, 'pool_type %s or global_pool' % kind)
    window = dict(kernel_shape=list(kernel), strides=list(stride))
    if kind == 'max':
        return build.op('MaxPool', value, pads=_both_ends(pad), ceil_mode=int(rounds_up), **window)
    if rounds_up:
        # Runtimes divide a window that hangs over the edge by different counts. Where it hangs
        # over by one cell of two, that
        # cell can be a copy of its neighbour: the mean is the same.
        if (kind, kernel, stride, pad) != ('avg', (2, 2), (2, 2), (0, 0)):
            raise unsupported(
                node, 'pooling_convention full and other settings than a mean of 2x2'
            )
        value = build.op('Pad', value, [0, 0, 0, 0, 0, 0, 1, 1], mode='edge')
    counts = kind == 'sum' or node.get('count_include_pad', True)
    mean = build.op(
        'AveragePool', value, pads=_both_ends(pad), count_include_pad=int(counts), **window
    )
    return build.op('Mul', mean, float(np.prod(kernel))) if kind == 'sum' else mean


@converts('UpSampling')
def up_sampling(build, node, inputs):
    """Return Resize, each cell as often as its scale says; build, node, inputs: see converter.py."""
    if node.get('sample_type') != 'nearest' or len(inputs) != 1:
        raise unsupported(node, 'sample_type %s or several inputs' % node.get('sample_type'))
    scale = float(node.get('scale'))
    return build.op(
        'Resize',
        inputs[0],
        '',
        np.array([1, 1, scale, scale], np.float32),
        mode='nearest',
        nearest_mode='floor',
        coordinate_transformation_mode='asymmetric',
    )


@converts('Activation')
def activation(build, node, inputs):
    """Return Relu and the like; build, node, inputs: see converter.py."""
    if node.get('act_type') not in ACTIVATIONS:
        raise unsupported(node, 'act_type %s' % node.get('act_type'))
    return build.op(ACTIVATIONS[node.get('act_type')], *inputs)


@converts('LeakyReLU')
def leaky_relu(build, node, inputs):
    """Return LeakyRelu; build, node, inputs: see converter.py."""
    if node.get('act_type', 'leaky') != 'leaky':
        raise unsupported(node, 'act_type %s' % node.get('act_type'))
    return build.op('LeakyRelu', *inputs, alpha=float(node.get('slope', 0.25)))


@converts('softmax')
def softmax(build, node, inputs):
    """Return Softmax; build, node, inputs: see converter.py."""
    return build.op('Softmax', inputs[0], axis=node.get('axis', -1))


@converts(*ELEMENTWISE)
def elementwise(build, node, inputs):
    """Return Add, Sub or Mul; build, node, inputs: see converter.py."""
    return build.op(ELEMENTWISE[node.op], *inputs)


@converts('_mul_scalar')
def times_number(build, node, inputs):
    """Return Mul with a number; build, node, inputs: see converter.py."""
    return build.op('Mul', inputs[0], float(node.get('scalar')))


@converts('_rminus_scalar')
def number_less(build, node, inputs):
    """Return Sub from a number; build, node, inputs: see converter.py."""
    return build.op('Sub', float(node.get('scalar')), inputs[0])


@converts('dot')
def dot(build, node, inputs):
    """Return MatMul; build, node, inputs: see converter.py."""
    if node.get('transpose_a', False) or node.get('transpose_b', False):
        raise unsupported(node, 'transpose_a or transpose_b')
    return build.op('MatMul', *inputs)


@converts('BlockGrad', '_copy')
def same(build, node, inputs):
    """Return the input itself; build, node, inputs: see converter.py."""
    return inputs[0]


@converts('_full')
def full(build, node, inputs):
    """Return a constant; build, node, inputs: see converter.py."""
    return build.value(np.full(node.get('shape'), node.get('value'), np.float32))


@converts('Concat')
def concat(build, node, inputs):
    """Return Concat; build, node, inputs: see converter.py."""
    return build.op('Concat', *inputs, axis=node.get('dim', 1))


@converts('stack')
def stack(build, node, inputs):
    """Return Concat along an axis that is made for it; build, node, inputs: see converter.py."""
    axis = node.get('axis', 0)
    return build.op(
        'Concat', *(build.op('Unsqueeze', value, [axis]) for value in inputs), axis=axis
    )


@converts('tile')
def tile(build, node, inputs):
    """Return Tile, of values with as many axes as it has factors; build, node, inputs: see
    converter.py.
    """
    return build.op('Tile', inputs[0], list(node.get('reps')))


@converts('Pad')
def pad(build, node, inputs):
    """Return Pad; build, node, inputs: see converter.py."""
    width, mode = node.get('pad_width'), node.get('mode')
    if mode not in ('edge', 'constant'):
        raise unsupported(node, 'mode %s' % mode)
    amount = list(width[::2]) + list(width[1::2])
    more = (float(node.get('constant_value', 0)),) if mode == 'constant' else ()
    return build.op('Pad', inputs[0], amount, *more, mode=mode)


@converts('slice_axis')
def slice_axis(build, node, inputs):
    """Return Slice; build, node, inputs: see converter.py."""
    end = node.get('end')
    return build.part(
        inputs[0],
        node.get('axis'),
        node.get('begin'),
        np.iinfo(np.int64).max if end in (None, 'None') else end,
    )


@converts('slice_like')
def slice_like(build, node, inputs):
    """Return Slice to the size of another value; build, node, inputs: see converter.py."""
    axes = list(node.get('axes', ()))
    if not axes:
        raise unsupported(node, 'no axes')
    return build.op(
        'Slice',
        inputs[0],
        [0] * len(axes),
        build.join(*(build.size(inputs[1], axis) for axis in axes)),
        axes,
    )


@converts('Reshape')
def reshape(build, node, inputs):
    """Return Reshape; build, node, inputs: see converter.py.

    MXNet's 0 keeps an axis, -3 makes one of two; each number but -1 uses up one axis of the input,
    -3 two.
    """
    sizes, axis, known = [], 0, True
    for place, size in enumerate(node.get('shape')):
        if size < -3 or size == -2 or node.get('reverse', False):
            raise unsupported(node, 'shape %s' % (node.get('shape'),))
        if size == -3:
            sizes.append(
                build.op('Mul', build.size(inputs[0], axis), build.size(inputs[0], axis + 1))
            )
            known = False
        elif size == 0 and axis != place:
            sizes.append(build.size(inputs[0], axis))
            known = False
        else:
            sizes.append(size)
        axis += 2 if size == -3 else 1
    if known:
        return build.op('Reshape', inputs[0], sizes)
    # Once an axis has moved, ONNX's 0 would keep another one.
    return build.op(
        'Reshape',
        inputs[0],
        build.join(
            *(
                build.size(inputs[0], place) if size == 0 else size
                for place, size in enumerate(sizes)
            )
        ),
    )
