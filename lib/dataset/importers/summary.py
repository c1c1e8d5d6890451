"""What an import says at its end."""
import collections
import os
from typing import Counter, Dict, List, NamedTuple, Optional, Sequence

from lib.dataset.importers.contact_sheet import Samples
from lib.dataset.importers.model import Clip, Report
from lib.utils.paths import ROOT

_HOW = {'linked': 'linked', 'copied': 'copied', 'converted': 'converted to JPEG (quality 95)',
        'decoded': 'decoded from video',
        'turned': 'turned upright (EXIF orientation) and converted to JPEG (quality 95)'}


FEW = 500                    # frames to train on


class Written:
    """What a Layout (layout.py) has written, counted."""

    def __init__(self) -> None:
        self.clips: Counter[str] = collections.Counter()       # by part
        self.stills: Counter[str] = collections.Counter()      # by part
        self.frames: Counter[str] = collections.Counter()      # by part, clips and stills
        self.labelled: Counter[str] = collections.Counter()    # frames by part
        self.how: Counter[str] = collections.Counter()         # images: linked, copied, converted, decoded
        # By part, then by class id.
        self.boxes: Dict[str, Counter[str]] = {'train': collections.Counter(), 'val': collections.Counter()}
        self.tracks = 0
        self.sizes: Counter[str] = collections.Counter()       # frames by size, such as 640x480
        self.rates: Counter[str] = collections.Counter()       # clips by frames a second
        self.samples = Samples()                               # for the contact sheet
        # Lines about videos whose frames could not all be read.
        self.remarks: List[str] = []
        self.names: Dict[str, str] = {}          # {class id: class name} in order of first occurrence


class Lists(NamedTuple):
    """The image sets that were made."""

    lines: Sequence[str]     # what is in them
    images: int              # frames that those for training name
    per_clip: int            # as of Options
    fitted: Sequence[str]    # how the settings were fitted to the boxes


def summary(dst: str, clips: Sequence[Clip], written: Written, report: Report, lists: Lists,
            files: Sequence[str], content: Optional[List[str]] = None) -> List[str]:
    """Return the lines that say what was imported.

    Args:
        dst: the data set.
        clips: of it.
        written: what was written, counted.
        report: what was left out, changed and assumed.
        lists: the image sets.
        files: names of the settings and pictures in `dst` that the user may want to open.
        content: lines about what is labelled, of masks; None for boxes.
    """
    lines = _parts(clips, written) + (_boxes(written) if content is None else content)
    lines.append('images:     %s' % ', '.join('%d %s' % (count, _HOW[how])
                                              for how, count in written.how.most_common()))
    rates = ', '.join('%s (%d clips)' % rate for rate in written.rates.most_common(4))
    lines.append('size:       %s%s'
                 % (_counts(written.sizes), '; frames a second: %s' % rates if rates else ''))
    lines += report.lines()
    lines += ['list:       ' + line for line in lists.lines]
    if lists.images:
        labelled = written.labelled['train']
        more = ''
        if lists.per_clip and lists.images < labelled:
            more = '; --per_clip 0 names all with a box'
        lines.append('            training names %d of %d labelled frames%s'
                     % (lists.images, labelled, more))
        lines += _few(lists, labelled, written.clips['train'])
    lines += ['fitted:     ' + line for line in lists.fitted]
    lines += ['warning:    ' + line for line in written.remarks]
    unlabelled = written.frames['val'] - written.labelled['val']
    if written.stills['train'] and not written.clips['train']:
        lines.append(
            'warning:    there are only stills to train on, which do not train the flow of DFF '
            'networks; are they frames of clips (--clips)?')
    if not written.frames['val']:
        lines.append(
            'warning:    nothing is for validation: train with train_end2end.py, as the scripts that '
            'test too refuse to start; or import again with --val 0.2')
    if unlabelled and content is None:
        lines.append(
            'warning:    %d frames for validation are not labelled and count as frames without '
            'objects'
            % unlabelled)
    inside = os.path.realpath(dst).startswith(os.path.realpath(ROOT) + os.sep)
    folder = os.path.relpath(dst, ROOT) if inside else dst
    for name in files:
        title = 'settings:' if name.endswith('.yaml') else 'look at:'
        lines.append('%-11s %s' % (title, os.path.join(folder, name)))
    return lines


def _few(lists: Lists, labelled: int, clips: int) -> List[str]:
    """A warning where the lists name few frames, and could name more than twice as many."""
    if not lists.per_clip or not clips or lists.images >= FEW or labelled < 2 * lists.images + lists.per_clip:
        return []
    wanted = -(-min(FEW, labelled) // clips)
    return ['warning:    %d frames are few to learn from: import again with --per_clip %d, or 0 for all'
            % (lists.images, wanted)]


def _boxes(written: Written) -> List[str]:
    boxes = written.boxes
    classes = ', '.join('%s (boxes %d + %d)'
                        % (written.names[name], boxes['train'][name], boxes['val'][name])
                        for name in sorted(written.names))
    return ['classes:    %s' % classes, 'tracks:     %d' % written.tracks]


def _parts(clips: Sequence[Clip], written: Written) -> List[str]:
    lines = []
    for part, title in (('train', 'training'), ('val', 'validation')):
        counts = [('clips', written.clips[part]), ('stills', written.stills[part]),
                  ('frames', written.frames[part]), ('labelled', written.labelled[part]),
                  ('boxes', sum(written.boxes[part].values()))]
        shown = ('%s %d' % count for count in counts if count[1] or count[0] == 'frames')
        lines.append('%-11s %s' % (title + ':', ', '.join(shown)))
    names = [clip.name for clip in clips if clip.part == 'val']
    if names:
        lines.append('            clips %s%s'
                     % (', '.join(names[:8]), ', ...' if len(names) > 8 else ''))
    return lines


def _counts(counter: Counter[str]) -> str:
    """The most frequent entries, `640x480 (12 frames)`, and how many others there are."""
    shown = ', '.join('%s (%d frames)' % entry for entry in counter.most_common(3))
    return shown + (' and %d other sizes' % (len(counter) - 3) if len(counter) > 3 else '')
