"""Pairs of images with known flow, and batches of them.

A source of pairs is called with a np.random.RandomState and returns a Pair; it draws everything from that, so that a
number names a pair.
"""
import zlib
from collections import namedtuple

import lib  # noqa: F401  (prepares the import of MXNet)
import cv2
import numpy as np

from lib.train.loaders.batches_ahead import NumberedBatches
from lib.symbols.flownet import FLOW_UNIT, STRIDE
from dff.image import to_tensor

# current, reference: BGR uint8 [H, W, 3]; flow: float32 [H, W, 2] in pixels, x first, from current to reference:
# what is at x in `current` is at x + flow(x) in `reference`. A source with the attribute `weighted` gives flows
# [h, w, 3], maybe coarser than the images: x, y, and the weight from 0, where the flow is not known.
Pair = namedtuple('Pair', 'current reference flow')


def draw_pair(source, split, number, seed):
    """Return the Pair `number` of `split`, a name, of `source`; the same one for the same `seed`.
    """
    return source(np.random.RandomState(zlib.crc32(b'%s %d %d' % (split.encode(), seed, number))))


def weighted_mean(flow, size):
    """Return (means of x and y [h, w, 2], weight [h, w, 1]) over the cells of a grid of `size`, (w, h).

    flow: float32 [H, W, 3], x and y times the weight, and the weight.
    """
    small = cv2.resize(flow, size, interpolation=cv2.INTER_AREA)
    weight = small[..., 2:]
    return small[..., :2] / np.maximum(weight, np.float32(1e-6)), weight


FLOW_PIXELS = FLOW_UNIT * STRIDE     # of the image, for one unit of the network's predictions


class PairLoader(NumberedBatches):
    """Batches of pairs: data and data_ref [B, 3, H, W], and the flow at every scale.

    The flow is in units of the predictions.

    Args:
        source: of pairs, see above; they have the size config.SCALES.
        config: the settings.
        batches, batch_size: see NumberedBatches.
        labels: [(name, (h, w))] of the predictions.
        split: a name that the pairs depend on.
    """

    def __init__(self, source, config, batches, batch_size, labels, split='train'):
        self.source, self.config, self.split = source, config, split
        self.sizes, self.weighted = [size for _, size in labels], getattr(source, 'weighted', False)
        shape = (batch_size, 3) + tuple(config.SCALES[0])
        self.provide_data = [('data', shape), ('data_ref', shape)]
        self.provide_label = [(name, (batch_size, 2 + self.weighted) + tuple(size)) for name, size in labels]
        super().__init__(batches, batch_size)

    def arrays(self, number):
        """Return the images and flows of a batch; see NumberedBatches."""
        samples = [self._sample(number * self.batch_size + i) for i in range(self.batch_size)]
        return [np.concatenate(column) for column in zip(*samples)]

    def _sample(self, number):
        pair = draw_pair(self.source, self.split, number, self.config.TRAIN.SEED)
        unit = np.float32(FLOW_PIXELS)
        if self.weighted:
            weighted = np.concatenate([pair.flow[..., :2] * pair.flow[..., 2:] / unit, pair.flow[..., 2:]], axis=2)
            targets = [np.concatenate(weighted_mean(weighted, size[::-1]), axis=2) for size in self.sizes]
        else:
            flow = pair.flow / unit
            targets = [cv2.resize(flow, size[::-1], interpolation=cv2.INTER_AREA) for size in self.sizes]
        targets = [target.transpose(2, 0, 1)[None] for target in targets]
        means = self.config.network.PIXEL_MEANS
        return [to_tensor(pair.current, means), to_tensor(pair.reference, means)] + targets
