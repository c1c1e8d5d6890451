"""Results of a test run on disk, clip by clip, with the record of what made them; detections are one text
file a clip.
"""
import contextlib
import glob
import hashlib
import json
import os

from dff.errors import DataError
from dff.timing import Timing
from dff.tracking.clip_boxes import SavedBoxes
from dff.tracking.mot import mot_lines
from dff.files import (atomic_path, file_size, flush_all, make_folder, read_json, remove_leftovers,
                       write_json)
from lib.boxes.seq_nms import select
from lib.dataset.formats.image_sets import MAX_CLIP

SUMMARIES = 'results.json', 'detections.txt', 'tracks.txt'     # of all clips of a run
RAW = '.raw.npy'                               # dff.tracking.clip_boxes says what is in it
LINE = '%d %d %.4f %.2f %.2f %.2f %.2f\n'      # frame_number class_index score x1 y1 x2 y2


def format_detections(frame_number, detections):
    """Lines of a detections file for one frame; detections: [n, 6], class, score, x1, y1, x2, y2."""
    values = [value for row in detections.tolist() for value in (frame_number, *row)]
    return (LINE * len(detections)) % tuple(values)


class RunFolder:
    """The folder of one test run: made_with.json, and a record of each finished clip in clips/.

    Args:
        folder: made if needed.
        origin: dict of everything that the results depend on; finished clips are kept only if theirs is equal.
        report: called with one line where `begin` finds results of another origin.
        ignore: keep no finished clip.

    A subclass gives `_name(clip)`, a file name without extension, and `_identity(clip)`, what makes two clips the same.
    """

    CONTENT = 'results'

    def __init__(self, folder, origin, report, ignore=False):
        self.folder, self._report, self._ignore = folder, report, ignore
        self._known_sizes = {}
        self.origin = json.loads(json.dumps(origin))      # as it will be read back: lists for tuples
        self._digest = hashlib.sha256(json.dumps(self.origin, sort_keys=True).encode()).hexdigest()
        make_folder(os.path.abspath(folder))

    def begin(self):
        """Write made_with.json and remove what killed runs left half written, and results of all clips made with
        other settings: for the one that holds the folder.
        """
        path, origin = os.path.join(self.folder, 'made_with.json'), self.origin
        before = read_json(path)
        if before is not None and before != origin:
            old, new = (dict(_leaves(tree)) for tree in (before, origin))
            changed = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
            self._report('%s in %s were made with other settings (%s): all clips run again'
                         % (self.CONTENT, self.folder, ', '.join(changed)))
            # A run that is stopped would leave them beside a made_with.json that is not theirs.
            for name in SUMMARIES:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(os.path.join(self.folder, name))
        for folder in (self.folder, os.path.join(self.folder, 'clips')):
            remove_leftovers(folder)
        write_json(path, origin)

    def finished(self, clip, drawn=False):
        """Whether the clip's results are there, whole, and made as this run makes them; drawn: its images, too."""
        record = self.record(clip)
        return (not self._ignore and record is not None and record.get('made_with') == self._digest
                and record.get('clip') == self._identity(clip) and bool(record.get('drawn') or not drawn))

    def record(self, clip):
        """What `finish` wrote for the clip; None where there is none."""
        return read_json(self._path(clip, '.json'))

    def finish(self, clip, drawn, **content):
        """Write the record that makes `clip` a finished one; drawn: its images are written, too; content:
        goes with it.
        """
        if drawn:
            flush_all()      # pictures are many and small; the record says that they are there
        write_json(self._path(clip, '.json'), dict(content, clip=self._identity(clip), made_with=self._digest,
                                                   drawn=drawn))

    def _sizes(self, frames):
        """A digest of the sizes of a list of image files, which are looked at once.

        Sizes, no times: workers on several machines may have copies of the images.
        """
        key = frames[0], len(frames)
        if key not in self._known_sizes:
            sizes = ' '.join(str(file_size(frame)) for frame in frames)
            self._known_sizes[key] = hashlib.sha256(sizes.encode()).hexdigest()
        return self._known_sizes[key]

    def _path(self, clip, extension):
        return os.path.join(self.folder, 'clips', self._name(clip) + extension)


class ClipResults(RunFolder):
    """Detections of a test run: <clip>.txt holds them, <clip>.json the time that they took, with
    TEST.TRACK <clip>.tracks.txt the tracks, with TEST.SAVE_RAW <clip>.raw.npy the boxes before NMS.

    Args:
        folder, origin, report, ignore: as of RunFolder.
        save_raw: the boxes before NMS are saved.
    """

    CONTENT = 'detections'

    def __init__(self, folder, origin, report, ignore=False, save_raw=False):
        super().__init__(folder, origin, report, ignore)
        self._save_raw = save_raw

    def finished(self, clip, drawn=False):
        """As RunFolder's; the files of detections must be there, too."""
        if not super().finished(clip, drawn) or not os.path.isfile(self._path(clip, '.txt')):
            return False
        # A file alone may be of an earlier run, with other parameters.
        return not self._save_raw or bool(self.record(clip).get('raw')
                                          and os.path.isfile(self.raw_path(clip)))

    def raw_path(self, clip):
        """Return the file for the boxes before NMS; None where they are not saved."""
        return self._path(clip, RAW) if self._save_raw else None

    @contextlib.contextmanager
    def writing(self, clip, timing, drawn=False):
        """Yield write(frame_number, detections, track ids or None). The clip is finished when the block ends well.

        clip: a Clip; timing: its Timing, filled in the block; drawn: its images are written, too.
        """
        path, lines = self._path(clip, '.txt'), []
        with atomic_path(path) as temporary, open(temporary, 'w', encoding='ascii') as stream:
            def write(number, detections, ids=None):
                stream.write(format_detections(number, detections))
                if ids is not None:
                    lines.append(mot_lines(number, detections, ids))
            yield write
        if lines:
            with atomic_path(self._path(clip, '.tracks.txt')) as temporary, \
                    open(temporary, 'w', encoding='ascii') as stream:
                stream.writelines(lines)
        self.finish(clip, drawn, timing=timing.as_dict(), raw=self._save_raw)

    def merge(self, clips):
        """Join the clips' detections, in order, into one file; returns (its path, the Timing of all)."""
        path, timing = os.path.join(self.folder, 'detections.txt'), Timing()
        with atomic_path(path) as temporary, open(temporary, 'w', encoding='ascii') as merged:
            for clip in clips:
                with open(self._path(clip, '.txt'), encoding='ascii') as stream:
                    for line in stream:
                        merged.write(line)
                timing.merge(self.record(clip)['timing'])
        return path, timing

    def merge_tracks(self, clips):
        """Join the clips' tracks, in order, into one file, ids counted on from clip to clip; returns its path."""
        path, most = os.path.join(self.folder, 'tracks.txt'), 0
        with atomic_path(path) as temporary, open(temporary, 'w', encoding='ascii') as merged:
            for clip in clips:
                before = most
                with open(self._path(clip, '.tracks.txt'), encoding='ascii') as stream:
                    for line in stream:
                        frame, number, rest = line.split(',', 2)
                        most = max(most, before + int(number))
                        merged.write('%s,%d,%s' % (frame, before + int(number), rest))
        return path

    def _name(self, clip):
        # The number makes it unique: a list of frames may cut one folder into several clips.
        return '%06d_%s' % (clip.first_number, os.path.basename(clip.name))

    def _identity(self, clip):
        return [clip.name, clip.first_number, clip.length, clip.frame_path(0),
                self._sizes([clip.frame_path(i) for i in range(clip.length)])]


def saved_clips(folder):
    """Yield (number of the first frame, length, file of the boxes before NMS) of each finished clip
    of a test run in `folder`, in the order of numbers; None for a file that was not saved.

    Raises DataError for a record that is none of a clip.
    """
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), 'clips', '*.json'))):
        record = read_json(path) or {}
        clip, raw = record.get('clip'), path[:-len('.json')] + RAW
        # The numbers are those of an image set, within its limits.
        if not (isinstance(clip, list) and len(clip) >= 4 and type(clip[1]) is type(clip[2]) is int
                and 0 <= clip[1] < 2 ** 31 - MAX_CLIP and 0 <= clip[2] <= MAX_CLIP):
            raise DataError('%s is no record of a clip; test again with --ignore_cache' % path)
        yield clip[1], clip[2], raw if record.get('raw') and os.path.isfile(raw) else None


def _leaves(tree, prefix=''):
    """('a.b', value) for every value of a nested dict."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, '%s%s.' % (prefix, key))
        else:
            yield prefix + key, value


def write_saved(folder, num_classes, selection, stream):
    """Write the detections that `selection` makes of boxes that a test with TEST.SAVE_RAW saved.

    Args:
        folder: of the test run.
        num_classes: with the background.
        selection: a Selection.
        stream: text file for lines as of a detections file.

    Raises DataError where `folder` is a file, holds no test run, or one whose boxes were not saved.
    """
    remedy = ("its detections are those after NMS, the boxes before it are gone; test again with "
              "--set TEST.SAVE_RAW=true and give the test's folder")
    if not os.path.isdir(folder):
        raise DataError('%s is %s: %s' % (
            folder, 'a detections file' if os.path.isfile(folder) else 'not there', remedy))
    clips = list(saved_clips(folder))
    if not clips:
        raise DataError('%s holds no finished clips of a test run' % folder)
    for first_number, length, path in clips:
        if path is None:
            raise DataError('%s: %s' % (folder, remedy))
        for index, found in enumerate(select(SavedBoxes(path, length, num_classes), selection)):
            stream.write(format_detections(first_number + index, found))
