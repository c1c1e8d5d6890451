"""Reading a .caffemodel: the trained blobs of a Caffe NetParameter, straight from the protocol-buffer wire format.

Only the few fields that hold weights, and how layers are connected, are looked at (caffe.proto, BVLC), so neither Caffe
nor generated code is needed.
"""
import numpy as np

from dff.errors import CheckpointError
from lib.weights.layers import Layer, Network
from lib.weights.registry import READERS
from lib.weights.wire import fields, varints

# Field numbers of caffe.proto: (layers of a net, name, type, blobs), of today's and of the old layer message.
LAYER_MESSAGES = {100: (1, 2, 7), 2: (4, 5, 6)}
BLOB_DATA, BLOB_SHAPE, BLOB_DOUBLE, BLOB_OLD_SHAPE, SHAPE_DIM = 5, 7, 8, (1, 2, 3, 4), 1
BOTTOM, TOP = 3, 4                  # of today's layer message
# {type of a layer: (field of its parameters, {field in there: what it says})}
SETTINGS = {
    'Convolution': (106, {3: 'pad', 4: 'kernel', 5: 'group', 6: 'stride', 9: 'pad', 10: 'pad', 11: 'kernel',
                          12: 'kernel', 13: 'stride', 14: 'stride', 18: 'dilation'}),
    'Pooling': (121, {1: 'method', 2: 'kernel', 3: 'stride', 4: 'pad', 5: 'kernel', 6: 'kernel', 7: 'stride',
                      8: 'stride', 9: 'pad', 10: 'pad', 12: 'global'}),
    'BatchNorm': (139, {3: 'eps'}),
    'Eltwise': (110, {1: 'method'}),
}
KINDS = {'Convolution': 'conv', 'BatchNorm': 'norm', 'Scale': 'scale', 'ReLU': 'relu', 'Pooling': 'pool',
         'Split': 'same', 'Dropout': 'same'}
ELTWISE_SUM = 1


@READERS.register('.caffemodel')
def read_caffemodel(path):
    """The Network in a file; its tensors are '<layer>.<kind>'.

    kind: weight and bias; of a BatchNorm layer mean and var (its moving-average factor divided out), of a Scale layer
    gamma and beta. Raises CheckpointError where the file is no whole .caffemodel.
    """
    with open(path, 'rb') as stream:
        data = memoryview(stream.read())
    tensors, layers, versions = {}, [], {}
    try:
        for number, value in fields(data):
            if number in LAYER_MESSAGES and isinstance(value, memoryview):
                name, kind, parts = _layer(value, *LAYER_MESSAGES[number])
                tensors.update({'%s.%s' % (name, part): blob for part, blob in parts.items()})
                if number == 100:
                    layers.append(_connected(value, name, kind, parts, versions))
    except (ValueError, IndexError, TypeError, OverflowError) as error:     # what damaged numbers lead to
        raise CheckpointError('%s is not a whole .caffemodel file (%s). Download it '
                              'again' % (path, error)) from error
    if not tensors:
        raise CheckpointError('%s holds no layers with weights: is it a .caffemodel of Caffe?' % path)
    return Network(layers, tensors)


def _layer(data, name_field, type_field, blobs_field):
    """(name, type, {part: array}) of one layer message."""
    name, kind, blobs = '', '', []
    for number, value in fields(data):
        if isinstance(value, int):     # such as the type in the old message
            continue
        if number == name_field:
            name = bytes(value).decode()
        elif number == type_field:
            kind = bytes(value).decode()
        elif number == blobs_field:
            blobs.append(_blob(value))
    if kind == 'BatchNorm' and len(blobs) == 3:
        factor = blobs[2].ravel()[0]
        scale = 1 / factor if factor else 0.0
        return name, kind, {'mean': blobs[0] * scale, 'var': blobs[1] * scale}
    return name, kind, dict(zip(('gamma', 'beta') if kind == 'Scale' else ('weight', 'bias'), blobs))


def _connected(data, name, kind, parts, versions):
    """The Layer of a message of today's kind.

    Many layers of Caffe write over what they read, so that every output gets a number of its own; versions: the
    numbers given out so far, {name: number}.
    """
    ends = {BOTTOM: [], TOP: []}
    for number, value in fields(data):
        if number in ends and isinstance(value, memoryview):
            ends[number].append(bytes(value).decode())
    inputs = ['%s#%d' % (end, versions.get(end, 0)) for end in ends[BOTTOM]]
    for end in ends[TOP]:
        versions[end] = versions.get(end, 0) + 1
    outputs = ['%s#%d' % (end, versions[end]) for end in ends[TOP]]
    settings = _settings(data, kind)
    method = settings.pop('method', None)
    if kind == 'Eltwise' and method in (None, ELTWISE_SUM):
        kind = 'add'
    if kind == 'Pooling':
        settings['max'] = not method and not settings.pop('global', 0)
    tensors = {part: '%s.%s' % (name, part) for part in parts}
    return Layer(KINDS.get(kind, kind), name, inputs, outputs, tensors, settings)


def _settings(data, kind):
    """{what: number} of a layer: the defaults of caffe.proto where it says nothing."""
    found = {'eps': 1e-5} if kind == 'BatchNorm' else {}
    if kind in ('Convolution', 'Pooling'):
        found = {'kernel': 1, 'pad': 0, 'stride': 1, 'dilation': 1, 'group': 1}
    field, meanings = SETTINGS.get(kind, (None, {}))
    for number, value in fields(data):
        if number == field and isinstance(value, memoryview):
            for setting, content in fields(value):
                what = meanings.get(setting)
                if what == 'eps':
                    found[what] = float(np.frombuffer(content, '<f4')[0])
                elif what:
                    found[what] = max(varints(content), default=0)
    return found


def _blob(data):
    """The array of one BlobProto."""
    parts, shape, old_shape = [], None, {}
    for number, value in fields(data):
        if number in (BLOB_DATA, BLOB_DOUBLE):
            parts.append(np.frombuffer(value, '<f4' if number == BLOB_DATA else '<f8'))
        elif number == BLOB_SHAPE:
            shape = [side for field, sides in fields(value) if field == SHAPE_DIM for side in varints(sides)]
        elif number in BLOB_OLD_SHAPE:
            old_shape[number] = value
    values = np.concatenate(parts) if parts else np.zeros(0)
    if shape is None:
        shape = [old_shape.get(number, 1) for number in BLOB_OLD_SHAPE]
        # The old message gives vectors as 1 x 1 x 1 x n.
        shape = shape[3:] if shape[:3] == [1, 1, 1] else shape
    return values.astype(np.float32).reshape(shape)
