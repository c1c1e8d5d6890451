"""Segmentation data sets of plain folders: frames, label PNGs of the same names, and a class file."""
import os
import re
from collections import Counter
from typing import Dict, List, Optional, Sequence, Tuple

from easydict import EasyDict

from lib.utils.paths import resolve
from lib.dataset.formats.classes import ClassSetting
from lib.dataset.formats.problems import ReportFunction, refuse
from lib.dataset.registry import register
from lib.dataset.sets.seg_dataset import SegDataset
from lib.dataset.formats.seg_records import SegRecord
from dff.errors import DataError
from dff.files import image_files, natural_key

LABEL_SUFFIX = 'annot'         # of the folder of an image set's labels
_PART = re.compile(r'(.+)_(first|from)(\d+)')


@register('SegFolder')
class SegFolder(SegDataset):
    """<path>/<image set>/ holds frames, <path>/<image set>annot/ their label PNGs,
    <path>/classes.txt the classes.

    Frames and labels have the same names. A folder below the image set's is a clip, whose frames
    need not all be labelled; frames beside such folders are stills, which need a label. The image
    sets `<name>_first<N>` and `<name>_from<N>` hold the first N frames of each clip of <name>, or
    the labels of the others (the frames before them stay in the clip: key frames may be among
    them).
    """

    @classmethod
    def default_classes(cls, cfg: EasyDict) -> ClassSetting:
        """Return the path of <dataset_path>/classes.txt."""
        return os.path.join(resolve(cfg.dataset.dataset_path), 'classes.txt')

    def find_records(self) -> List[SegRecord]:
        """See SegDataset."""
        name, part, count = self._parts()
        root, label_root = os.path.join(self.path, name), os.path.join(self.path, name + LABEL_SUFFIX)
        frames, labels = self._walk(root, 'frames'), self._walk(label_root, 'label PNGs')
        for place, found in labels.items():
            for stem in found:
                if stem not in frames.get(place, {}):
                    self.report(
                        'label without frame',
                        '',
                        'label %s has no frame: there is no JPEG or PNG file %s in %s'
                        % (
                            os.path.join(label_root, place, found[stem]),
                            stem,
                            os.path.join(root, place),
                        ),
                    )
        records: List[SegRecord] = []
        for place, names in frames.items():
            for stems in self.split(list(names), place, os.path.join(root, place)):
                clip = [os.path.join(root, place, names[stem]) for stem in stems]
                here = labels.get(place, {})
                if len(clip) == 1 and stems[0] not in here:
                    self.report(
                        'frame without label',
                        '',
                        'frame %s has no label: %s does not exist (frames of a clip, which '
                        'need not all be labelled, belong in a folder of their own)'
                        % (clip[0], os.path.join(label_root, place, stems[0] + '.png')),
                    )
                clip = clip[:count] if part == 'first' else clip
                start = count if part == 'from' else 0
                records += [SegRecord(path, os.path.join(label_root, place, here[stem]), clip, i)
                            for i, (stem, path) in enumerate(zip(stems, clip)) if stem in here and i >= start]
        if not records:
            advice = 'put label PNGs of the same names in %s' % label_root
            raise DataError("image set '%s': no labelled frame is left in %s; %s"
                            % (self.name, root, 'no clip is that long' if part == 'from' else advice))
        return records

    def _parts(self) -> Tuple[str, str, int]:
        """(folder, 'first' or 'from' or '', frames) of the image set's name."""
        match = _PART.fullmatch(self.name)
        if match and not os.path.isdir(os.path.join(self.path, self.name)):
            return match.group(1), match.group(2), int(match.group(3))
        return self.name, '', 0

    def _walk(self, root: str, content: str) -> Dict[str, Dict[str, str]]:
        """{folder below `root`: {file name without extension: file name}} of the images there,
        both in order.

        content: what they are, for messages; all but 'frames' must be PNG files.
        """
        if not os.path.isdir(root):
            sets = sorted(name[:-len(LABEL_SUFFIX)] for name in os.listdir(self.path) if name.endswith(LABEL_SUFFIX))
            raise DataError("image set '%s': the folder %s, for its %s, does not exist; data/README.md describes the "
                            'layout; image sets with a folder of labels: %s'
                            % (self.name, root, content, ', '.join(sets) or 'none'))
        found: Dict[str, Dict[str, str]] = {}
        for place, folders, _ in os.walk(root, followlinks=True):
            folders[:] = sorted((name for name in folders if not name.startswith('.')), key=natural_key)
            below = '' if place == root else os.path.relpath(place, root)
            for name in image_files(place):
                stems = found.setdefault(below, {})
                stem, extension = os.path.splitext(name)
                if stem in stems:
                    raise DataError('%s holds %s and %s; remove one of them' % (place, stems[stem], name))
                if content != 'frames' and extension.lower() != '.png':
                    self.report(
                        'label form',
                        '',
                        'label %s is no PNG file; JPEG changes pixels, so that ids are lost: make '
                        'the '
                        'label again as PNG' % os.path.join(place, name),
                    )
                    continue
                stems[stem] = name
        if not found:
            raise DataError("image set '%s': there are no %s in %s" % (self.name, content, root))
        return found

    def split(self, stems: Sequence[str], place: str, folder: str) -> List[List[str]]:
        """Return the clips, lists of names, that the frames of a folder make; a clip of one name
        is a still.

        Args:
            stems: names without extension, in order.
            place: path of the folder below the image set's, '' for that itself.
            folder: its whole path, for messages.

        Raises:
            DataError: a clip lacks a frame.
        """
        if place == '':
            return [[stem] for stem in stems]
        check_numbers(stems, folder, self.report)
        return [list(stems)]


def frame_number(stem: str) -> Tuple[str, Optional[int]]:
    """Return (what stands before it, number) of a frame whose name ends in a number; (name, None)
    of another.
    """
    match = re.fullmatch(r'(.*?)(\d+)', stem)
    return (match.group(1), int(match.group(2))) if match else (stem, None)


def check_numbers(stems: Sequence[str], folder: str, report: ReportFunction = refuse) -> None:
    """Report where names count evenly, as 000003, 000005, 000007, but a number is left out.

    stems: names of a clip's frames without extension, in order. folder: for messages. report: by
    default raises DataError.
    """
    parts = [frame_number(stem) for stem in stems]
    numbers = [number for _, number in parts if number is not None]
    if len({prefix for prefix, _ in parts}) > 1 or len(numbers) < len(parts) or len(parts) < 3:
        return
    steps = [after - before for before, after in zip(numbers, numbers[1:])]
    step, times = Counter(steps).most_common(1)[0]
    if step < 1 or times * 2 <= len(steps) or any(other % step for other in steps):      # as in time stamps
        return
    for stem, (prefix, _), number, other in zip(stems, parts, numbers, steps):
        if other != step:
            report(
                'frames missing',
                '',
                'clip %s: after frame %s comes %s%d, but the others are %d apart; add the missing '
                'frames, or make two clips (folders) of it'
                % (folder, stem, prefix, number + other, step),
            )
