"""FlyingChairs: pairs of .ppm images and their .flo (Dosovitskiy et al., arXiv 1504.06852)."""
import os
import re

import numpy as np

from lib.flow.pairs import Pair
from dff.errors import DataError
from dff.image import read_image

FLO_TAG = 202021.25        # the first float of every .flo file
SPLIT_FILE = 'FlyingChairs_train_val.txt'
SPLITS = {'train': '1', 'val': '2'}
NAME = re.compile(r'(\d+)_flow\.flo$')


def read_flo(path):
    """Flow of a .flo file (Middlebury), float32 [H, W, 2], x first. Raises DataError where it is no whole one."""
    try:
        data = np.fromfile(str(path), np.uint8)
    except OSError as error:
        raise DataError('cannot read the flow %s: %s' % (path, error.strerror or error)) from None
    if data.size < 12 or data[:4].view('<f4')[0] != np.float32(FLO_TAG):
        raise DataError('%s is not a .flo file: it does not begin with %.2f' % (path, FLO_TAG))
    width, height = data[4:12].view('<i4')
    if min(width, height) < 1 or data.size != 12 + 8 * int(width) * int(height):
        raise DataError('%s says %d x %d pixels, which takes %d bytes; it has %d' % (
            path, width, height, 12 + 8 * int(width) * int(height), data.size))
    return data[12:].view('<f4').reshape(height, width, 2).astype(np.float32)


class FlyingChairs:
    """A source of pairs: `folder`/data/NNNNN_img1.ppm, _img2.ppm, _flow.flo, or the files in `folder` itself.

    split: 'train' or 'val', by FlyingChairs_train_val.txt (a line a pair: 1 or 2) in `folder` or beside it; without the
    file, every 35th pair is for 'val', about as many as the authors took. Raises DataError: no pairs, a bad split.
    """

    def __init__(self, folder, split):
        if split not in SPLITS:
            raise DataError("FlyingChairs has the image sets %s; found '%s'" % (' and '.join(SPLITS), split))
        data = os.path.join(folder, 'data')
        self.folder = data if os.path.isdir(data) else folder
        if not os.path.isdir(self.folder):
            raise DataError(
                'the folder of FlyingChairs, %s, does not exist; data/README.md says where to get it'
                % folder)
        numbers = sorted(match.group(1) for match in map(NAME.match, os.listdir(self.folder)) if match)
        self.numbers = [number for number, part in zip(numbers, _parts(folder, len(numbers))) if part == SPLITS[split]]
        if not self.numbers:
            raise DataError(
                '%s holds no pairs for %s: expected 00001_img1.ppm, 00001_img2.ppm, 00001_flow.flo and so on'
                % (self.folder, split))

    def __len__(self):
        return len(self.numbers)

    def __call__(self, rng):
        return self.pair(rng.randint(len(self)))

    def pair(self, index):
        """Pair `index` of the split. Raises DataError where a file is broken or the sizes differ."""
        prefix = os.path.join(self.folder, self.numbers[index])
        pair = Pair(read_image(prefix + '_img1.ppm'), read_image(prefix + '_img2.ppm'), read_flo(prefix + '_flow.flo'))
        if len({array.shape[:2] for array in pair}) > 1:
            raise DataError('%s_*: the images and the flow have different sizes: %s' % (
                prefix, ', '.join('%d x %d' % array.shape[1::-1] for array in pair)))
        return pair


def _parts(folder, count):
    """'1' or '2' for each of `count` pairs."""
    for place in (folder, os.path.dirname(os.path.abspath(folder))):
        path = os.path.join(place, SPLIT_FILE)
        if os.path.isfile(path):
            with open(path, encoding='utf-8') as stream:
                parts = stream.read().split()
            if len(parts) != count or set(parts) - set(SPLITS.values()):
                raise DataError('%s has %d lines (of 1 or 2) for %d pairs' % (path, len(parts), count))
            return parts
    return ['2' if index % 35 == 34 else '1' for index in range(count)]
