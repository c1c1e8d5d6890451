"""Reading what `dff_rfcn/demo.py --json` and `dff run --json` write: both have one form."""
import collections
import json
import math
from typing import Any, Dict, List, NamedTuple, Optional

from dff.errors import DataError, shown
from lib.dataset.exporters.model import Detection

FORM = ('{"classes": [...], "frames": [{"frame": 0, "name": "000000", "detections": [{"class": '
        '..., "score": ..., "box": [x1, y1, x2, y2]}]}]}')
REMEDY = 'give a file that dff_rfcn/demo.py --json or dff run --json wrote'


class Seen(NamedTuple):
    """A frame of the file."""

    position: int
    name: str
    detections: List[Detection]


class Results(NamedTuple):
    """A whole file."""

    classes: List[str]           # without background
    frames: List[Seen]           # by rising index


def read_results(path: str, thresh: float = 0.0) -> Results:
    """Return what a file of detections holds.

    Args:
        path: a JSON file.
        thresh: detections of a lower score are left out.

    Raises:
        DataError: the file cannot be read, or is of another form.
    """
    try:
        with open(path, encoding='utf-8-sig') as stream:
            tree = json.load(stream)
    except OSError as error:
        raise DataError('cannot read %s: %s; %s' % (path, error.strerror, REMEDY)) from None
    except (ValueError, RecursionError) as error:
        raise DataError('%s is not valid JSON: %s; %s' % (path, error, REMEDY)) from None
    if not isinstance(tree, dict) or not isinstance(tree.get('frames'), list):
        raise _wrong(path, 'frames', 'the list of frames of ' + FORM, tree)
    classes = _classes(tree.get('classes'), path)
    frames: Dict[int, Seen] = {}
    for place, entry in enumerate(tree['frames']):
        seen = _frame(entry, classes, thresh, path, 'frames[%d]' % place)
        if seen.position in frames:
            raise _wrong(path, 'frames[%d].frame' % place, 'a frame once', seen.position)
        frames[seen.position] = seen
    if not frames:
        raise _wrong(path, 'frames', 'at least one frame', tree['frames'])
    return Results(classes, [frames[index] for index in sorted(frames)])


def _wrong(path: str, key: str, expected: str, found: Any) -> DataError:
    return DataError('%s: %s: expected %s, found %s; %s'
                     % (path, key, expected, shown(found), REMEDY))


def _classes(names: Any, path: str) -> List[str]:
    """The class names without background, which is the first."""
    if (not isinstance(names, list) or len(names) < 2
            or not all(isinstance(name, str) and name.strip() == name != '' and name.isprintable()
                       for name in names)
            or len(set(names)) < len(names)):
        raise _wrong(path, 'classes', 'a list of different names, background first', names)
    return names[1:]


def _frame(entry: Any, classes: List[str], thresh: float, path: str, key: str) -> Seen:
    if not isinstance(entry, dict):
        raise _wrong(path, key, 'an object', entry)
    index: Any = entry.get('frame')
    name, found = entry.get('name'), entry.get('detections')
    if not _is_whole(index) or index < 0:
        raise _wrong(path, key + '.frame', 'a whole number from 0', index)
    if not isinstance(name, str) or not name:
        raise _wrong(path, key + '.name', 'the name of the frame', name)
    if not isinstance(found, list):
        why = ' (pixels of classes are no boxes: use a detector)' if 'pixels' in entry else ''
        raise _wrong(path, key + '.detections', 'a list' + why, found)
    boxes = [_detection(each, classes, path, '%s.detections[%d]' % (key, place))
             for place, each in enumerate(found)]
    tracks = collections.Counter(box.track for box in boxes if box.track)
    twice = next((track for track, count in tracks.items() if count > 1), None)
    if twice is not None:
        raise _wrong(path, key + '.detections', 'a track once in a frame', twice)
    return Seen(index, name, [box for box in boxes if box.score >= thresh])


def _detection(entry: Any, classes: List[str], path: str, key: str) -> Detection:
    if not isinstance(entry, dict):
        raise _wrong(path, key, 'an object', entry)
    name, score = entry.get('class'), entry.get('score')
    box: Any = entry.get('box')
    if not isinstance(name, str) or name not in classes:
        raise _wrong(path, key + '.class', 'one of "classes", not the first', name)
    if score is None or not _is_number(score):
        raise _wrong(path, key + '.score', 'a number', score)
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise _wrong(path, key + '.box', '[x1, y1, x2, y2]', box)
    if box[2] < box[0] or box[3] < box[1]:
        raise _wrong(path, key + '.box', '[x1, y1, x2, y2] with x1 <= x2 and y1 <= y2', box)
    x1, y1, x2, y2 = map(float, box)
    return Detection(name, float(score), x1, y1, x2, y2, _track(entry, path, key))


def _track(entry: Dict[str, Any], path: str, key: str) -> Optional[int]:
    """The track id of a detection; None where it has none, which is also written as 0 or -1."""
    track = entry.get('track')
    if track is None:
        return None
    if not _is_whole(track) or track < -1:
        raise _wrong(path, key + '.track', 'a whole number', track)
    return track if track > 0 else None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10 ** 9


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 1e9 and math.isfinite(value)
