"""Video regions of Label Studio: key frames, and the boxes between them."""
import bisect
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from lib.dataset.importers.readers.json_trees import Tree, mapping, turned_edges
from lib.dataset.importers.model import Box, Labels, Report, number, whole

_SIDES = ('x', 'y', 'width', 'height')
_OTHER_RATE = 10        # times more or fewer frames than the video has: it is another video


class Key(NamedTuple):
    """A key frame."""

    frame: int
    enabled: bool                    # whether the object is there after it
    shape: Tuple[float, ...]         # x, y, width, height in percent; rotation in degrees


class Track(NamedTuple):
    """A region of a video."""

    identity: int
    name: str
    frames: List[int]                # of the keys, rising
    keys: List[Key]
    total: Optional[int]             # frames that Label Studio took the video to have


def tracks_of(results: Sequence[Tuple[str, Tree]], place: str, report: Report) -> List[Track]:
    """Return the tracks of a task.

    Args:
        results: (class, result) of the boxes of the annotation.
        place: the task, for the report.
        report: where to count what cannot be used.
    """
    found = []
    for identity, (name, result) in enumerate(results):
        value = mapping(result.get('value'))
        sequence = value.get('sequence')
        if not isinstance(sequence, list) or not sequence:
            report.skip('tracks: without key frames', place)
            continue
        keys = {}
        for entry in map(mapping, sequence):
            frame = whole(entry.get('frame'))
            if frame is None:
                report.skip('boxes: without frame number', place)
                continue
            shape = [number(entry.get(side)) for side in _SIDES]
            rotation = number(entry.get('rotation') or 0)
            keys[frame] = Key(frame, entry.get('enabled') is not False, (*shape, rotation))
        if any(key.shape[4] % 360 for key in keys.values()):
            report.change('boxes: turned rectangles became the upright boxes around them', place)
        if keys:
            frames = sorted(keys)
            found.append(Track(identity, name, frames, [keys[frame] for frame in frames],
                               whole(value.get('framesCount'))))
    return found


def opener(tracks: List[Track], length: Optional[int], first: int, place: str, report: Report
           ) -> Callable[[], Labels]:
    """Return the function that opens the labels of a clip.

    Label Studio counts frames at the rate that the project states, 24 by default, not at that of
    the video: where it counted another number of frames, theirs are taken by their time.

    Args:
        tracks: of the clip.
        length: frames of the clip, None where it is unknown.
        first: what the tracks call its first frame.
        place: the task, for the report.
        report: where to count what is changed.
    """
    count = next((track.total for track in tracks if track.total), None)
    rate = 1.0
    if count and length and abs(count - length) > 1:
        rate = count / length
        text = '%s: %d frames in Label Studio, %d in the video' % (place, count, length)
        if not 1 / _OTHER_RATE <= rate <= _OTHER_RATE:
            report.fail('clips: framesCount is not of this video; give the one that was labelled',
                        text)
        else:
            report.change('clips: labelled at another frame rate, boxes were placed by their time',
                          text)

    def open_labels() -> Labels:
        def boxes(index: int, height: int, width: int) -> Optional[List[Box]]:
            found = (_box_at(track, index * rate + first, (height, width)) for track in tracks)
            return [box for box in found if box]
        numbers = {round((key.frame - first) / rate) for track in tracks for key in track.keys
                   if key.enabled}
        last = (length or 0) - 1
        if rate != 1:       # the last frame may fall behind the end by rounding
            numbers = {min(index, last) if index <= last + 1 else index for index in numbers}
        return Labels(boxes, numbers)
    return open_labels


def _box_at(track: Track, place: float, size: Tuple[int, int]) -> Optional[Box]:
    """The Box of a track at a place between its frames, in pixels of an image of `size`."""
    after = bisect.bisect_right(track.frames, place)
    if not after:
        return None
    before = track.keys[after - 1]
    exact = before.frame == place
    # The object is still there in the key frame that switches it off.
    if not before.enabled and not exact:
        return None
    shape = list(before.shape)
    if before.enabled and after < len(track.keys):
        key = track.keys[after]
        share = (place - before.frame) / (key.frame - before.frame)
        shape = [a + share * (b - a) for a, b in zip(before.shape, key.shape)]
    across, down = size[1] / 100, size[0] / 100
    left, top, right, bottom = turned_edges(shape[0] * across, shape[1] * down, shape[2] * across,
                                            shape[3] * down, shape[4])
    return Box(track.name, left, top, right - 1, bottom - 1, track.identity,
               generated=not exact)
