"""How well flow follows what moves in real clips: by a network, by DIS, and by no motion."""

from collections import namedtuple

import numpy as np

from dff.boxes import paired_overlaps
from dff.image import resize_scale
from dff.tracking.motion import STRIDE, box_displacements
from lib.dataset.formats.records import frame_path
from lib.flow.evaluate import dis_flow
from lib.flow.pairs import weighted_mean
from lib.utils.progress import progress_bar

TEACHER = 'DIS, step by step'
KNOWN = 0.5  # of a cell: the share whose flow the teacher knows, at least, for the cell to count
# everywhere, objects: mean end-point error in cells, of all cells and of those whose middle is in a
# box; overlap: mean IoU of true boxes, moved along the flow to the other frame, with the true boxes
# there. NaN where nothing counts.
Figures = namedtuple('Figures', 'everywhere objects overlap')


def no_motion(current, reference, stride=STRIDE):
    """Return no motion at all between two images: float32 [2, h, w].

    current, reference: BGR uint8 [H, W, 3]; stride: pixels for a cell.
    """
    return np.zeros((2,) + tuple(-(-side // stride) for side in current.shape[:2]), np.float32)


def dis_cells(current, reference, stride=STRIDE):
    """Return the flow that DIS finds between two images at once: float32 [2, h, w], cells.

    current, reference: BGR uint8 [H, W, 3]; stride: pixels for a cell.
    """
    flow = dis_flow(current, reference)
    known = np.concatenate([flow, np.ones_like(flow[..., :1])], axis=2)
    return _cells(known, current.shape, stride)[0]


def measure(windows, boxes, methods, distances, stride=STRIDE):
    """Return ({name: {distance: Figures}}, {distance: mean motion of a box, cells}).

    The names are those of `methods`, and TEACHER.

    Args:
        windows: Windows, see lib.flow.real_frames; their flows are what is right.
        boxes: function of (pattern, frame) to (boxes [n, 4] in pixels of the windows' images,
            track ids [n]).
        methods: {name: function of (current, reference) to its flow [2, h, w] in cells}.
        distances: from the current frame to the reference, frames.
        stride: pixels for a cell.
    """
    rows = {name: {distance: [] for distance in distances} for name in [TEACHER] + list(methods)}
    motion = {distance: [] for distance in distances}
    for window in progress_bar(windows, unit='window', desc='measuring', leave=False):
        current = window.images[0]
        for distance in (distance for distance in distances if distance <= len(window.flows)):
            reference = window.images[distance]
            flow = window.flows[distance - 1, 0].astype(np.float32)
            truth, weight = _cells(flow, current.shape, stride)
            ends = [boxes(window.pattern, window.frames[at]) for at in (0, distance)]
            here, there = _same_objects(*ends)
            motion[distance].extend(
                np.linalg.norm(_middles(there) - _middles(here), axis=1) / stride
            )
            inside = _inside(ends[0][0], truth.shape[1:], stride)
            for name in rows:
                flow = truth if name == TEACHER else methods[name](current, reference)
                found = _sums(flow, truth, weight > KNOWN, inside, here, there, stride)
                rows[name][distance].append(found)
    return (
        {
            name: {distance: _figures(found) for distance, found in parts.items()}
            for name, parts in rows.items()
        },
        {
            distance: float(np.mean(lengths)) if lengths else np.nan
            for distance, lengths in motion.items()
        },
    )


def _cells(flow, shape, stride):
    """(flow [2, h, w] in cells, weight [h, w]) of a flow [H, W, 3], for an image of `shape`."""
    weighted = np.concatenate([flow[..., :2] * flow[..., 2:] / stride, flow[..., 2:]], axis=2)
    mean, weight = weighted_mean(weighted, tuple(-(-side // stride) for side in shape[1::-1]))
    return mean.transpose(2, 0, 1), weight[..., 0]


def _same_objects(here, there):
    """The boxes of objects in both frames, in one order; of (boxes, track ids) of each."""
    _, first, second = np.intersect1d(here[1], there[1], return_indices=True)
    return here[0][first], there[0][second]


def _middles(boxes):
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _inside(boxes, shape, stride):
    """Whether the middles of the cells, [h, w], are in a box of `boxes`."""
    y, x = (stride * (np.arange(side) + 0.5) for side in shape)
    found = np.zeros(shape, bool)
    for x1, y1, x2, y2 in boxes:
        found |= ((y >= y1) & (y <= y2))[:, None] & ((x >= x1) & (x <= x2))
    return found


def _sums(flow, truth, known, inside, here, there, stride):
    """Sums and counts, [3, 2], of what Figures are the means of."""
    error = np.linalg.norm(flow[:, : truth.shape[1], : truth.shape[2]] - truth, axis=0)
    overlaps = []
    if len(here):
        moved = here + np.tile(box_displacements(here, flow, 1.0, stride), 2)
        overlaps = paired_overlaps(moved, there)
    return [(error[part].sum(), part.sum()) for part in (known, known & inside)] + [
        (np.sum(overlaps), len(here))
    ]


def _figures(rows):
    total, count = np.sum(rows, axis=0).T if rows else (np.zeros(3), np.zeros(3))
    return Figures(*(float(value / n) if n else float('nan') for value, n in zip(total, count)))


def table(figures, motion, stride=STRIDE):
    """Return lines that show what `measure` returns: a line a distance, three figures a method.

    figures, motion: of `measure`; stride: pixels for a cell.
    """
    lines = [
        'flow in other clips: end-point error in cells of %d pixels, everywhere and in boxes; IoU '
        'of boxes that follow it' % stride,
        '%6s %10s' % ('frames', 'boxes move') + ''.join('  %20s' % name for name in figures),
    ]
    for distance, length in motion.items():
        cells = ('%6.3f %6.3f %6.3f' % found[distance] for found in figures.values())
        lines.append('%6d %10.2f' % (distance, length) + ''.join('  %20s' % cell for cell in cells))
    return lines


def tracked_boxes(dataset, size):
    """Return the function `boxes` of `measure` for an image set, with frames of `size` (SCALES).

    Objects without a track id, and those of data sets that do not tell them, are left out.
    """
    objects = dataset.tracked_objects() if hasattr(dataset, 'tracked_objects') else {}

    def boxes(pattern, frame):
        found, tracks, shape = objects.get(
            frame_path(pattern, frame), (np.zeros((0, 4)), np.zeros(0, int), (1, 1))
        )
        return found * resize_scale(*shape, size), tracks

    return boxes
