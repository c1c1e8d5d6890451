"""Segmentation in video: what it computes for a frame, in the key/current loop of dff/loop.py."""
import contextlib

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from dff.errors import CheckpointError
from dff.loop import key_frame_loop
from dff.results import Segmented
from dff.schedule import Schedule
from lib.inference.key_frames import several_passes
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
# With several passes: the scores at the feature map's size, float32 [C, h, w].
SCORES = Head(list, lambda frame: {'data': frame.tensor}, lambda height, width: {'data': (1, 3, height, width)},
              lambda outputs: outputs[0].asnumpy()[0])
ROWS = 64         # of the frame, whose probabilities are held at a time


def merged_classes(scores, shown):
    """Return the class of highest probability at each pixel of a frame, the mean of several passes: uint8 [H, W].

    Probabilities are averaged (each pass: scores interpolated at the pixel's centre, softmax over the classes), as
    scores of two passes have no common scale: a softmax does not change where all scores of a pixel grow alike, and
    a pass at a size at which the network is sure of everything would outvote the others.

    Args:
        scores: float32 [C, h, w] of each pass.
        shown: the dff.frames.Shown.
    """
    height, width = shown.image.shape[:2]
    passes = [_at_columns(each, one, frame) for each, one, frame in zip(scores, shown.passes, shown.frames)]
    found = np.empty((height, width), np.uint8)
    for top in range(0, height, ROWS):
        end = min(top + ROWS, height)
        mean = sum(_softmax(_between(each, _places(height, frame.im_info[0, 2])[top:end], 1))
                   for each, frame in zip(passes, shown.frames))
        found[top:end] = mean.argmax(axis=0)
    return found


def _at_columns(scores, one, frame):
    """Scores [C, h, w] of a pass at the columns of the frame, from left to right: [C, h, W]."""
    places = _places(frame.image.shape[1], float(frame.im_info[0, 2]))
    return _between(scores, places[::-1] if one.mirrored else places, 2)


def _between(values, places, axis):
    """`values` at `places` of an axis, in cells, linear between two; outside it is the outermost one."""
    places = np.clip(places, 0, values.shape[axis] - 1)
    low = np.minimum(places.astype(int), max(values.shape[axis] - 2, 0))
    share = (places - low).reshape([-1 if each == axis else 1 for each in range(values.ndim)])
    high = np.minimum(low + 1, values.shape[axis] - 1)
    return values.take(low, axis) * (1 - share) + values.take(high, axis) * share


def _softmax(scores):
    """Probabilities of scores [C, ...], over the first axis."""
    powers = np.exp(scores - scores.max(axis=0))
    return powers / powers.sum(axis=0)


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
        if several_passes(cfg):
            self.head = SCORES
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
        return merged_classes(values, frame) if self._passes else values
