"""Segmentation in video: what it computes for a frame, in the key/current loop of dff/loop.py."""
import contextlib

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from dff.errors import CheckpointError
from dff.loop import key_frame_loop
from dff.results import Segmented
from dff.schedule import Schedule
from lib.inference.networks import Head
from lib.inference.predictor import VideoPredictor
from lib.symbols.deeplab import STRIDE
from lib.symbols.initialise import initial_value
from lib.symbols.operators import class_map


def _symbols(outputs):
    """Class ids at the frame's own pixels, from the scores at the feature map's size.

    The test networks enlarge the scores to their input, 16 times along each side, and only then could the best class be
    taken; between the two lie up to a hundred times the memory and most of the head's time. Interpolating
    and choosing in one step, in the frame's pixels, gives the same ids without, also where SCALES changed
    the frame's size.
    """
    return [class_map(outputs[0], mx.sym.Variable('rows'), mx.sym.Variable('columns'))]


def _inputs(frame):
    height, width = frame.image.shape[:2]
    scale = float(frame.im_info[0, 2])
    rows, columns = (_places(size, scale) for size in (height, width))
    return {'data': frame.tensor, 'rows': rows, 'columns': columns}


def _places(size, scale):
    """Where the pixels of one axis lie in the score map, in cells: centres at half cells, STRIDE network
    pixels to a cell.
    """
    return ((np.arange(size, dtype=np.float64) + 0.5) * scale / STRIDE - 0.5).astype(np.float32)


def _input_shapes(height, width):
    return {'data': (1, 3, height, width), 'rows': (height,), 'columns': (width,)}


SEGMENTATION = Head(_symbols, _inputs, _input_shapes, lambda outputs: outputs[0].asnumpy()[0])


class VideoSegmenter(VideoPredictor):
    """Class ids of the pixels of clips. `run` yields a Segmented for each image.

    Args:
        cfg, symbol_instance, arg_params, aux_params, ctx, interval, source: as of VideoPredictor.

    Raises CheckpointError also where the fixed interpolation `upsampling_weight` is another one than bilinear.
    """

    head, result = SEGMENTATION, Segmented

    def __init__(self, cfg, symbol_instance, arg_params, aux_params, ctx, interval=None, source='the parameters given'):
        weight = arg_params.get('upsampling_weight')
        if weight is not None and not np.allclose(
                weight.asnumpy(), initial_value('upsampling_weight', weight.shape, 0), atol=1e-4):
            raise CheckpointError('%s: upsampling_weight is not the bilinear interpolation that these networks '
                                  'have for good; '
                                  'another one is not supported' % source)
        super().__init__(cfg, symbol_instance, arg_params, aux_params, ctx, interval, source)

    def calibrate(self, images):
        """Let int8 networks that no record of their ranges exists of measure them on the first of `images`,
        as `run` does.
        """
        if self._precision.to_calibrate():
            with contextlib.closing(self.run(images)) as results:
                next(results, None)

    def from_key(self, frames):
        """Yield a Segmented for each Frame of the list `frames`, of one size: the first is the key frame of
        all others.
        """
        return key_frame_loop(frames, Schedule(len(frames)), self.networks, self._post_process, self.result)

    def _post_process(self, values, frame):
        return values
