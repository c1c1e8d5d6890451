"""Pairs of frames of a data set's own clips, with a teacher's flow between them."""

from collections import namedtuple

import cv2
import numpy as np

from dff.errors import DataError
from dff.image import read_image, resize
from lib.dataset.formats.records import frame_path
from lib.flow.moved_frames import moved_pair
from lib.flow.pairs import Pair
from lib.flow.teacher import GRID, window_flows
from lib.utils.progress import progress_bar

GAIN = (0.7, 1.3)  # of the brightness of both images of a pair
MOVES = 1.0  # pixels against the middle of all motion: what moves on its own
EMPHASIS = 4.0  # more weight of what moves on its own
LEAST = 4  # values of a flow of something that moves
# pattern: of the clip's frames; frames: numbers of consecutive frames, backwards in time; images:
# of these, BGR uint8 [H, W, 3]; flows: between the first of them and each of the others, see
# window_flows.
Window = namedtuple('Window', 'pattern frames images flows')


class RealFrames:
    """A source of pairs: a part of the first frame of a window, and of one of the others.

    Either is the current one. Their flow has a third channel, the weight, and a value for
    GRID x GRID pixels. The part holds something that moves, if anything does; half of them are
    mirrored.

    Args:
        windows: of make_windows.
        size: (height, width) of the pairs, multiples of GRID; smaller frames are padded.
    """

    weighted = True

    def __init__(self, windows, size):
        self.windows, self.size = windows, tuple(size)

    def __call__(self, rng):
        window = self.windows[rng.randint(len(self.windows))]
        at, back, gain = rng.randint(len(window.flows)), rng.randint(2), rng.uniform(*GAIN)
        flow = window.flows[at, back].astype(np.float32)
        images = [window.images[0], window.images[at + 1]][:: -1 if back else 1]
        top, left = (
            GRID * start
            for start in part_around(
                place(own_motion(flow) > MOVES, rng),
                flow.shape,
                [side // GRID for side in self.size],
                rng,
            )
        )
        images = [part_of(image, top, left, self.size) for image in images]
        flow = part_of(flow, top // GRID, left // GRID, [side // GRID for side in self.size])
        if rng.randint(2):
            images, flow = (
                [image[:, ::-1] for image in images],
                flow[:, ::-1] * np.float32([-1, 1, 1]),
            )
        images = [np.clip(image * np.float32(gain), 0, 255).astype(np.uint8) for image in images]
        return Pair(images[0], images[1], flow)


class MovedParts(RealFrames):
    """A source of pairs: a part of the first frame of a window, moved along a flow of our own.

    What moves on its own in the clip gets a motion of its own.

    Args:
        windows, size: see RealFrames.
        largest_motion: pixels; see moved_pair.
    """

    def __init__(self, windows, size, largest_motion):
        super().__init__(windows, size)
        self.largest_motion = largest_motion

    def __call__(self, rng):
        window = self.windows[rng.randint(len(self.windows))]
        moves = (own_motion(window.flows[-1, 0].astype(np.float32)) > MOVES).astype(np.uint8)
        top, left = (
            GRID * start
            for start in part_around(
                place(moves, rng), moves.shape, [side // GRID for side in self.size], rng
            )
        )
        image = window.images[0][top : top + self.size[0], left : left + self.size[1]]
        x, y, width, height, area = cv2.connectedComponentsWithStats(moves)[2][1:].T * GRID
        boxes = np.stack([x, y, x + width, y + height], axis=1)[area > GRID * LEAST] - np.array(
            [left, top, left, top]
        )
        current, flow = moved_pair(image, boxes, self.largest_motion, rng)
        flow = np.concatenate([flow, np.ones_like(flow[..., :1])], axis=2)
        return Pair(*(part_of(array, 0, 0, self.size) for array in (current, image, flow)))


class Emphasised:
    """A source of pairs: of several weighted sources, with more weight of what moves on its own.

    Args:
        sources: of pairs whose flow has weights; each gives as many.
        emphasis: the weight of what moves against the middle of all motion is 1 + this.
    """

    weighted = True

    def __init__(self, sources, emphasis=EMPHASIS):
        self.sources, self.emphasis = sources, emphasis

    def __call__(self, rng):
        pair = self.sources[rng.randint(len(self.sources))](rng)
        flow = pair.flow.copy()
        flow[..., 2] *= 1 + self.emphasis * np.clip(own_motion(flow) / MOVES - 0.5, 0, 1)
        return pair._replace(flow=flow)


def own_motion(flow):
    """Return by how many pixels a flow [h, w, 3] with weights differs from its middle: [h, w]."""
    sample = flow[::4, ::4][flow[::4, ::4, 2] > 0.5]
    middle = np.median(sample[:, :2], axis=0) if len(sample) else np.zeros(2, np.float32)
    return np.linalg.norm(flow[..., :2] - middle, axis=2) * (flow[..., 2] > 0.5)


def place(wanted, rng):
    """Return (row, column) of a random true value of `wanted`, bool [h, w]; of any if none is."""
    rows, columns = np.nonzero(wanted)
    if not len(rows):
        return tuple(rng.randint(side) for side in wanted.shape)
    index = rng.randint(len(rows))
    return rows[index], columns[index]


def part_around(point, shape, size, rng):
    """Return (top, left) of a random part of an array that holds a point.

    Args:
        point: (row, column).
        shape: of the array.
        size: (height, width) of the part.
        rng: np.random.RandomState.
    """
    return [
        int(np.clip(at - rng.randint(side), 0, max(0, have - side)))
        for at, have, side in zip(point, shape, size)
    ]


def part_of(array, top, left, size):
    """Return `size` of an array [h, w, c] from (top, left) on, zeros where it ends before."""
    part = array[top : top + size[0], left : left + size[1]]
    if part.shape[:2] == tuple(size):
        return part
    whole = np.zeros(tuple(size) + array.shape[2:], array.dtype)
    whole[: part.shape[0], : part.shape[1]] = part
    return whole


def make_windows(clips, size, count, distance, what):
    """Return up to `count` Windows, spread evenly over the frames of all clips.

    Args:
        clips: (pattern, first frame, frames) of each clip.
        size: SCALES that frames are brought to.
        count: windows at most.
        distance: frames from the first of a window to its last, at most; less in shorter clips.
        what: of the clips, for messages.

    Raises:
        DataError: no clip has two frames; a frame is missing, or has another size than others.
    """
    long = [clip for clip in clips if clip[2] > 1]
    if not long:
        raise DataError(
            '%s: none of the %d clips has two frames, which motion between neighbours takes; '
            'name a list of clips, or leave out --neighbours' % (what, len(clips))
        )
    currents = [
        (pattern, first, number)
        for pattern, first, length in long
        for number in range(first + min(distance, length - 1), first + length)
    ]
    chosen = np.unique(np.linspace(0, len(currents) - 1, count).round().astype(int))
    return [
        _window(currents[index], size, distance)
        for index in progress_bar(chosen, unit='window', desc='flow of ' + what, leave=False)
    ]


def _window(current, size, distance):
    pattern, first, number = current
    frames = list(range(number, max(first, number - distance) - 1, -1))
    paths = [frame_path(pattern, frame) for frame in frames]
    images = [read_image(path) for path in paths]
    for path, image in zip(paths, images):
        if image.shape != images[0].shape:
            raise DataError('%s and %s belong to one clip but differ in size' % (paths[0], path))
    images = [resize(image, size)[0] for image in images]
    return Window(pattern, frames, images, window_flows(images))
