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
from lib.symbols.flownet import FLOW_UNIT
from dff.image import to_tensor

# current, reference: BGR uint8 [H, W, 3]; flow: float32 [H, W, 2] in pixels, x first, from current to reference:
# what is at x in `current` is at x + flow(x) in `reference`.
Pair = namedtuple('Pair', 'current reference flow')


def draw_pair(source, split, number, seed):
    """Return the Pair `number` of `split`, a name, of `source`; the same one for the same `seed`.
    """
    return source(np.random.RandomState(zlib.crc32(b'%s %d %d' % (split.encode(), seed, number))))


def flow_unit(config):
    """Image pixels for one unit of the network's predictions."""
    return FLOW_UNIT * config.network.RCNN_FEAT_STRIDE


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
        self.sizes = [size for _, size in labels]
        shape = (batch_size, 3) + tuple(config.SCALES[0])
        self.provide_data = [('data', shape), ('data_ref', shape)]
        self.provide_label = [(name, (batch_size, 2) + tuple(size)) for name, size in labels]
        super().__init__(batches, batch_size)

    def arrays(self, number):
        """Return the images and flows of a batch; see NumberedBatches."""
        samples = [self._sample(number * self.batch_size + i) for i in range(self.batch_size)]
        return [np.concatenate(column) for column in zip(*samples)]

    def _sample(self, number):
        pair = draw_pair(self.source, self.split, number, self.config.TRAIN.SEED)
        flow = pair.flow / np.float32(flow_unit(self.config))
        targets = [
            cv2.resize(flow, size[::-1], interpolation=cv2.INTER_AREA).transpose(2, 0, 1)[None]
            for size in self.sizes
        ]
        means = self.config.network.PIXEL_MEANS
        return [to_tensor(pair.current, means), to_tensor(pair.reference, means)] + targets
