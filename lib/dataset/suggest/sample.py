"""What settings are suggested from: the boxes of the training frames, and how far objects move."""
import os
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from easydict import EasyDict

from dff.boxes import paired_overlaps
from dff.errors import DataError
from lib.dataset.formats.annotations import AnnotationTable, Source, clip_to_image, read_annotations
from lib.dataset.formats.classes import ClassList
from lib.dataset.registry import get_dataset
from lib.dataset.sets.imagenet_vid import ImageNetVID
from lib.utils.paths import image_set_names

MOST_BOXES = 20000               # looked at; of more as many, evenly spread
MOST_LISTED = 5000               # frames of a list that an import looks at
MOST_FRAMES = 200                # of clips, whose earlier frames are looked at for motion
DISTANCES = (1, 2, 4, 9, 19)     # frames back: those of the last frames of intervals of 2, 3, 5, 10 and 20


class Moves(NamedTuple):
    """Objects and where they were some frames before; one row a pair of boxes."""

    clips: np.ndarray          # str [m], folder of the clip
    distances: np.ndarray      # int64 [m], frames between them, of DISTANCES
    shifts: np.ndarray         # float64 [m]: way of the centre in sides of the box, the square root of its area
    overlaps: np.ndarray       # float64 [m]: intersection over union of the two boxes


class Sample(NamedTuple):
    """Boxes to train on."""

    name: str                  # of the image sets
    frames: int                # that have boxes
    stills: int                # of them
    sizes: np.ndarray          # float64 [n, 2]: height and width of the frame of each box, pixels
    boxes: np.ndarray          # float64 [n, 4]: x1 y1 x2 y2, inclusive corners, pixels of the frame
    moves: Optional[Moves]     # None where no object has a track id and an earlier box


def read_sample(cfg: EasyDict) -> Sample:
    """Return the Sample of the training image sets that `cfg.dataset` names.

    Raises ConfigError, DataError; also where no frame has a box of a class.
    """
    names = image_set_names(cfg.dataset.image_set)
    return sample_of([get_dataset(cfg, name, 'detection') for name in names], cfg.dataset.image_set)


def sample_of_lists(folder: str, names: Sequence[str], classes: ClassList) -> Sample:
    """Return the Sample of image sets in the ILSVRC2015 layout, of at most MOST_LISTED frames of each.

    Args:
        folder: the data set.
        names: of the image sets.
        classes: those that are used.

    Raises:
        DataError: as read_sample.
    """
    datasets = [ImageNetVID(name, folder, classes) for name in names]
    for dataset in datasets:
        entries = dataset.image_set.entries
        dataset.image_set.entries = [entries[i] for i in _spread(len(entries), MOST_LISTED)]
    return sample_of(datasets, '+'.join(names))


def sample_of(datasets: Sequence, name: str) -> Sample:
    """Return the Sample of data sets for detection, as get_dataset returns them.

    name: of all their image sets, for messages. Raises DataError as read_sample.
    """
    frames = [frame for dataset in datasets for frame in _frames(dataset) if len(frame.boxes)]
    if not frames:
        raise DataError('%s: no frame has a box of a class of dataset.CLASSES: there is nothing to suggest settings '
                        'from' % name)
    sizes = np.repeat([frame.size for frame in frames], [len(frame.boxes) for frame in frames], axis=0)
    boxes = np.concatenate([frame.boxes for frame in frames])
    chosen = _spread(len(boxes), MOST_BOXES)
    moves = [found for dataset in datasets if isinstance(dataset, ImageNetVID) for found in [_moves(dataset)]
             if found is not None]
    return Sample(name, len(frames), sum(frame.still for frame in frames),
                  sizes[chosen].astype(np.float64), boxes[chosen].astype(np.float64),
                  Moves(*map(np.concatenate, zip(*moves))) if moves else None)


class _Frame(NamedTuple):
    size: Tuple[int, int]      # height, width
    boxes: np.ndarray          # inside the frame
    still: bool


def _frames(dataset: Any) -> Iterator[_Frame]:
    """The frames of a data set; of this layout by the annotations alone, without a look at the pictures."""
    if not isinstance(dataset, ImageNetVID):
        for record in dataset.gt_roidb():
            yield _Frame((record.height, record.width), record.boxes, record.pattern is None)
        return
    table = dataset.annotations()
    for i, entry in enumerate(dataset.image_set.entries):
        height, width = table.sizes[i].tolist()
        yield _Frame((height, width), clip_to_image(table.of(i)[0], height, width)[0], entry.clip is None)


def _spread(count: int, most: int) -> np.ndarray:
    """Indices, at most `most`, evenly spread over `count`."""
    return np.arange(count) if count <= most else np.arange(most) * count // most


def _moves(dataset: ImageNetVID) -> Optional[Moves]:
    """Moves of the objects in some frames of the clips of `dataset`; None where there are none."""
    entries = [entry for entry in dataset.image_set.entries if entry.clip is not None]
    pairs: List[Tuple[str, str, int]] = []
    clips: List[str] = []
    for i in _spread(len(entries), MOST_FRAMES).tolist():
        now, *before = ((os.path.join(dataset.path, 'Annotations', 'VID', str(entries[i].clip), '%06d.xml' % frame))
                        for frame in (entries[i].frame_id - distance for distance in (0,) + DISTANCES) if frame >= 0)
        there = [(now, path, distance) for path, distance in zip(before, DISTANCES) if os.path.isfile(path)]
        pairs, clips = pairs + there, clips + [str(entries[i].clip)] * len(there)
    if not pairs:
        return None
    places: Dict[str, int] = {}
    for path in _both(pairs):
        places.setdefault(path, len(places))
    sources = [Source(path, _picture(path), path) for path in places]
    table = read_annotations(sources, dataset.class_entries, 'annotations of %s' % dataset.name)
    objects = [_objects(table, i) for i in range(len(table))]
    found = [(clip, distance, box, earlier) for clip, (now, before, distance) in zip(clips, pairs)
             for track, box in objects[places[now]].items()
             for earlier in [objects[places[before]].get(track)] if earlier is not None]
    if not found:
        return None
    names, distances, boxes, earlier = (np.array(column) for column in zip(*found))
    sides = np.sqrt(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2] + 1, 1), axis=1))
    way = (boxes[:, :2] + boxes[:, 2:] - earlier[:, :2] - earlier[:, 2:]) / 2
    return Moves(names, distances, np.linalg.norm(way, axis=1) / sides, paired_overlaps(boxes, earlier))


def _both(pairs: Iterable[Tuple[str, str, int]]) -> Iterable[str]:
    return (path for now, before, _ in pairs for path in (now, before))


def _picture(xml: str) -> str:
    """The image that an annotation is of, which is read where the annotation has no size."""
    head, tail = xml.rsplit('Annotations', 1)
    return head + 'Data' + tail[:-len('.xml')] + '.JPEG'


def _objects(table: AnnotationTable, i: int) -> Dict[int, np.ndarray]:
    """{track: box} of an image of an AnnotationTable."""
    rows = range(table.offsets[i], table.offsets[i + 1])
    return {int(table.tracks[row]): table.boxes[row] for row in rows if table.tracks[row] >= 0}
