"""Detections on disk, one text file a clip, and the record of what made them."""
import contextlib
import hashlib
import json
import os

from lib.core.timing import Timing
from lib.utils.files import atomic_path

LINE = '%d %d %.4f %.2f %.2f %.2f %.2f\n'      # frame_number class_index score x1 y1 x2 y2


def format_detections(frame_number, detections):
    """Lines of a detections file for one frame; detections: [n, 6], class, score, x1, y1, x2, y2."""
    values = [value for row in detections.tolist() for value in (frame_number, *row)]
    return (LINE * len(detections)) % tuple(values)


def file_digest(path):
    """SHA-256 of a file, as hex."""
    digest = hashlib.sha256()
    with open(path, 'rb') as stream:
        for block in iter(lambda: stream.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


class ClipResults:
    """The folder of one test run: <clip>.txt holds detections, <clip>.json its time and what it was made with.

    Args:
        folder: made if needed.
        origin: dict of everything that detections depend on; finished clips are kept only if theirs is equal.
        report: called with one line where detections of another origin are found.
        ignore: keep no finished clip.
    """

    def __init__(self, folder, origin, report, ignore=False):
        self.folder, self._ignore = folder, ignore
        origin = json.loads(json.dumps(origin))      # as it will be read back: lists for tuples
        self._digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, 'made_with.json')
        before = _read_json(path)
        if before is not None and before != origin:
            old, new = (dict(_leaves(tree)) for tree in (before, origin))
            changed = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
            report('detections in %s were made with other settings (%s): all clips run again' % (folder, ', '.join(changed)))
        write_json(path, origin)

    def finished(self, clip, drawn=False):
        """Whether the clip's detections are there, whole, and made as this run makes them; drawn: its images, too."""
        record = _read_json(self._path(clip, '.json'))
        return (not self._ignore and record is not None and record.get('made_with') == self._digest
                and record.get('clip') == _identity(clip) and (record.get('drawn') or not drawn)
                and os.path.isfile(self._path(clip, '.txt')))

    @contextlib.contextmanager
    def writing(self, clip, timing, drawn=False):
        """Context manager giving write(frame_number, detections). The clip is finished when the block ends well."""
        path = self._path(clip, '.txt')
        with atomic_path(path) as temporary, open(temporary, 'w', encoding='ascii') as stream:
            yield lambda number, detections: stream.write(format_detections(number, detections))
        write_json(self._path(clip, '.json'), {'clip': _identity(clip), 'made_with': self._digest, 'drawn': drawn,
                                                'timing': timing.as_dict()})

    def merge(self, clips):
        """Join the clips' detections, in order, into one file; returns (its path, the Timing of all)."""
        path, timing = os.path.join(self.folder, 'detections.txt'), Timing()
        with atomic_path(path) as temporary, open(temporary, 'w', encoding='ascii') as merged:
            for clip in clips:
                with open(self._path(clip, '.txt'), encoding='ascii') as stream:
                    for line in stream:
                        merged.write(line)
                timing.merge(_read_json(self._path(clip, '.json'))['timing'])
        return path, timing

    def _path(self, clip, extension):
        # The number makes it unique: a list of frames may cut one folder into several clips.
        return os.path.join(self.folder, 'clips', '%06d_%s%s' % (clip.first_number, os.path.basename(clip.name), extension))


def _identity(clip):
    return [clip.name, clip.first_number, clip.length, clip.frame_path(0)]


def _leaves(tree, prefix=''):
    """('a.b', value) for every value of a nested dict."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, '%s%s.' % (prefix, key))
        else:
            yield prefix + key, value


def _read_json(path):
    """The dict in the file; None where there is none."""
    try:
        with open(path, encoding='utf-8') as stream:
            content = json.load(stream)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_json(path, content):
    """Write `content` as an indented JSON file, whole or not at all."""
    with atomic_path(path) as temporary:
        with open(temporary, 'w', encoding='utf-8') as stream:
            json.dump(content, stream, indent=1, sort_keys=True)
