"""What stands in an MXNet parameter file, read without MXNet, which aborts or hangs on damaged ones.

The layout is that of `mx.nd.save`: magic number, reserved word, the arrays, the names. Files of all MXNet
versions since 2016 are understood (their arrays begin with different magic numbers).
"""
import os
import struct
from collections import namedtuple

from dff.errors import CheckpointError

LIST_MAGIC = 0x112
ARRAY_V1, ARRAY_V2, ARRAY_V3 = 0xF993fac8, 0xF993fac9, 0xF993faca
MAX_DIMENSIONS = 32
# Bytes of an element by MXNet's type number; names as NumPy has them.
TYPES = {0: ('float32', 4), 1: ('float64', 8), 2: ('float16', 2), 3: ('uint8', 1), 4: ('int32', 4), 5: ('int8', 1),
         6: ('int64', 8), 7: ('bool', 1), 12: ('bfloat16', 2)}
DEVICES = (1, 2, 3, 5)   # CPU, GPU, pinned and shared CPU memory

ArrayInfo = namedtuple('ArrayInfo', 'shape dtype')


def inspect(path):
    """{name: ArrayInfo(shape, dtype)} of a file written by mx.nd.save with names; the numbers are not read.

    Raises CheckpointError, naming the file and what is wrong with it: missing, not of this format, cut short,
    with something behind its end, arrays without names or of kinds that are no parameters.
    """
    try:
        size = os.path.getsize(path)
        with open(path, 'rb') as stream:
            return _Reader(path, stream, size).read()
    except OSError as error:
        raise CheckpointError('cannot read %s: %s' % (path, error.strerror)) from error


def _other_kind(stream):
    """What the first bytes of a file that is no parameter file show it to be, with what to do; ''
    where they show nothing."""
    stream.seek(0)
    head = stream.read(1 << 12)
    if head.startswith(b'PK'):
        if b'.npy' in head:
            return ('; it is a NumPy archive (.npz): load it with numpy.load and write '
                    '{"arg:<name>": mx.nd.array(value)} with mx.nd.save')
        return (
            '; it is a ZIP archive, as PyTorch writes: tools/convert_weights.py converts its '
            'weights'
            if b'.pkl' in head
            else '; it is a ZIP archive: unpack it'
        )
    kinds = (
        (b'\x93NUMPY', 'a NumPy array (.npy), a single one without a name'),
        (
            b'\x80',
            'a Python pickle, as PyTorch writes: tools/convert_weights.py converts its weights',
        ),
        (b'\x1f\x8b', 'compressed (gzip): unpack it'),
        (b'\x89HDF', 'an HDF5 file, as Keras writes'),
        (b'<', 'a web page or XML, perhaps instead of a download: download it again'),
        (b'{', 'JSON, as a -symbol.json: the parameters are in the .params file next to it'),
    )
    return next(
        ('; it is ' + text for start, text in kinds if head.lstrip().startswith(start)), ''
    )


class _Reader:
    """Walks over one file, checking every size against the bytes that are there."""

    def __init__(self, path, stream, size):
        self.path, self.stream, self.size, self.position = path, stream, size, 0

    def read(self):
        if self.size < 24 or self._unpack('<Q', 'its head') != LIST_MAGIC:
            raise CheckpointError('%s is not an MXNet parameter file (.params): its first bytes '
                                  'are others%s' % (self.path, _other_kind(self.stream)))
        self._skip(8, 'its head')
        arrays = [self._array(index) for index in range(self._count('arrays', 4))]
        names = [self._name(index) for index in range(self._count('names', 8))]
        if self.position != self.size:
            raise self._damaged('%d bytes follow its end' % (self.size - self.position))
        if arrays and not names:
            raise CheckpointError(
                '%s holds a list of %d arrays without names, as mx.nd.save writes of a list: save '
                'a dict with '
                'the names of the parameters, {"arg:conv1_weight": ...}' % (self.path, len(arrays))
            )
        if len(names) != len(arrays):
            raise self._damaged('it holds %d arrays but %d names' % (len(arrays), len(names)))
        if len(set(names)) != len(names):
            raise self._damaged('a name is in it twice')
        return dict(zip(names, arrays))

    def _array(self, index):
        where = 'array %d' % index
        magic = self._unpack('<I', where)
        if magic == ARRAY_V3:
            raise CheckpointError("%s was saved with NumPy's shapes (mx.npx.set_np()), which the networks here are "
                                  'not made with: save it again without them' % self.path)
        if magic == ARRAY_V2:
            if self._unpack('<i', where) != 0:
                raise self._damaged('%s is sparse, which no parameter is' % where)
            dimensions, side = self._unpack('<i', where), '<q'
        elif magic == ARRAY_V1:
            dimensions, side = self._unpack('<I', where), '<q'
        else:
            # Until 2017 an array began with its number of dimensions, and sides took four bytes.
            dimensions, side = magic, '<I'
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise self._damaged('%s would have %d dimensions' % (where, dimensions))
        shape = tuple(self._unpack(side, where) for _ in range(dimensions))
        device, _, kind = (self._unpack('<i', where) for _ in range(3))
        if kind not in TYPES or device not in DEVICES or min(shape) < 1:
            raise self._damaged('%s would have type %d and shape %s, on device type %d' % (where, kind, shape, device))
        dtype, width = TYPES[kind]
        for length in shape:
            width *= length
        self._skip(width, where)
        return ArrayInfo(shape, dtype)

    def _name(self, index):
        where = 'name %d' % index
        length = self._unpack('<Q', where)
        self._skip(length, where)
        self.stream.seek(self.position - length)
        try:
            name = self.stream.read(length).decode('utf-8')
        except UnicodeDecodeError as error:
            raise self._damaged('%s is no text' % where) from error
        if '\0' in name:       # MXNet would read another name, which ends there
            raise self._damaged('%s is no text' % where)
        return name

    def _count(self, what, least):
        """A count of things of at least `least` bytes each, which must fit into the rest of the file."""
        count = self._unpack('<Q', 'the number of %s' % what)
        if count * least > self.size - self.position:
            raise self._damaged('%d %s cannot be in the rest of its %d bytes' % (count, what, self.size))
        return count

    def _unpack(self, layout, where):
        start = self.position
        self._skip(struct.calcsize(layout), where)
        self.stream.seek(start)
        return struct.unpack(layout, self.stream.read(self.position - start))[0]

    def _skip(self, count, where):
        if count > self.size - self.position:
            raise self._damaged('it ends at byte %d, in %s, which needs %d more' % (
                self.size, where, count - (self.size - self.position)))
        self.position += count

    def _damaged(self, what):
        return CheckpointError('%s is damaged: %s. Copy or download it again, or use an older one' % (self.path, what))
