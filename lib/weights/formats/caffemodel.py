"""Reading a .caffemodel: the trained blobs of a Caffe NetParameter, straight from the protocol-buffer wire format.

Only the few fields that hold weights are looked at (caffe.proto, BVLC), so neither Caffe nor generated code is needed.
"""
import numpy as np

from lib.weights.registry import READERS
from dff.errors import CheckpointError

# Field numbers of caffe.proto: (layers of a net, name, type, blobs), of today's and of the old layer message.
LAYER_MESSAGES = {100: (1, 2, 7), 2: (4, 5, 6)}
BLOB_DATA, BLOB_SHAPE, BLOB_DOUBLE, BLOB_OLD_SHAPE, SHAPE_DIM = 5, 7, 8, (1, 2, 3, 4), 1
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@READERS.register('.caffemodel')
def read_caffemodel(path):
    """{'<layer>.<kind>': float32 array} of every layer with weights.

    kind: weight and bias; of a BatchNorm layer mean and var (its moving-average factor divided out), of a Scale layer
    gamma and beta. Raises CheckpointError where the file is no whole .caffemodel.
    """
    with open(path, 'rb') as stream:
        data = memoryview(stream.read())
    tensors = {}
    try:
        for number, value in _fields(data):
            if number in LAYER_MESSAGES and isinstance(value, memoryview):
                tensors.update(_layer(value, *LAYER_MESSAGES[number]))
    except (ValueError, IndexError, TypeError, OverflowError) as error:     # what damaged numbers lead to
        raise CheckpointError('%s is not a whole .caffemodel file (%s). Download it '
                              'again' % (path, error)) from error
    if not tensors:
        raise CheckpointError('%s holds no layers with weights: is it a .caffemodel of Caffe?' % path)
    return tensors


def _layer(data, name_field, type_field, blobs_field):
    """{name: array} of one layer message."""
    name, kind, blobs = '', '', []
    for number, value in _fields(data):
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
        return {name + '.mean': blobs[0] * scale, name + '.var': blobs[1] * scale}
    kinds = ('gamma', 'beta') if kind == 'Scale' else ('weight', 'bias')
    return {'%s.%s' % (name, part): blob for part, blob in zip(kinds, blobs)}


def _blob(data):
    """The array of one BlobProto."""
    parts, shape, old_shape = [], None, {}
    for number, value in _fields(data):
        if number in (BLOB_DATA, BLOB_DOUBLE):
            parts.append(np.frombuffer(value, '<f4' if number == BLOB_DATA else '<f8'))
        elif number == BLOB_SHAPE:
            shape = [side for field, sides in _fields(value) if field == SHAPE_DIM for side in _varints(sides)]
        elif number in BLOB_OLD_SHAPE:
            old_shape[number] = value
    values = np.concatenate(parts) if parts else np.zeros(0)
    if shape is None:
        shape = [old_shape.get(number, 1) for number in BLOB_OLD_SHAPE]
        # The old message gives vectors as 1 x 1 x 1 x n.
        shape = shape[3:] if shape[:3] == [1, 1, 1] else shape
    return values.astype(np.float32).reshape(shape)


def _fields(data):
    """Yield (field number, value) of a message: an int for a varint, else a memoryview of the bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, position = _varint(data, position)
        else:
            if wire == BYTES:
                length, position = _varint(data, position)
            elif wire in (FIXED32, FIXED64):
                length = 4 if wire == FIXED32 else 8
            else:
                raise ValueError('byte %d begins no field' % position)
            value = data[position:position + length]
            if len(value) != length:
                raise ValueError('it ends inside a field')
            position += length
        yield number, value


def _varints(value):
    """The numbers of a repeated integer field, packed or not."""
    if isinstance(value, int):
        return [value]
    numbers, position = [], 0
    while position < len(value):
        number, position = _varint(value, position)
        numbers.append(number)
    return numbers


def _varint(data, position):
    """(number, position after it) of the base-128 number at `position`."""
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7f) << shift
        if byte < 0x80:
            return number, position
        shift += 7
        if shift > 63:
            raise ValueError('a number at byte %d has no end' % position)
