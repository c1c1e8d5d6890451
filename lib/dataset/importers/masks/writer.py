"""Writing clips with label maps as a SegFolder (lib/dataset/sets/seg_folder.py)."""
import os
from typing import Counter, Dict, List, Sequence, Tuple

import cv2
import numpy as np
from PIL import Image

from dff.errors import DataError
from dff.labels import IGNORE_LABEL, default_palette, draw_legend, overlay
from lib.dataset.formats.colour_files import is_void
from lib.dataset.formats.seg_labels import open_png
from lib.dataset.importers.contact_sheet import (Sample, as_tile, picture_of, with_caption,
                                                 write_tiles)
from lib.dataset.importers.layout import Layout, class_name, labels_of
from lib.dataset.importers.masks.model import MOST_CLASSES, UNLABELLED
from lib.dataset.importers.model import Clip, Import
from lib.dataset.importers.paths import output_name, without_part
from lib.dataset.importers.settings import Data, write_settings
from lib.dataset.importers.summary import Lists, summary

BACKGROUND, SHEET, LABELS = 'background', 'contact_sheet.png', 'annot'
NOTHING = 'frames: no pixel of a class, all would be ignored'


def write_masks(folder: str, what: Import) -> Tuple[List[str], Counter[str]]:
    """Write a source of label maps; return (lines of the summary, frames by part).

    Clips and stills for training become the image set `train`, those for validation `val`; each has
    a folder of JPEG files and one, <name>annot, of label PNGs. Beside them are classes.txt,
    <name>_deeplab.yaml, <name>_dff_deeplab.yaml and contact_sheet.png, six frames under the colours
    of their classes. Classes that no pixel has are left out.

    Args:
        folder: to write into.
        what: the source, and what is imported of it.

    Raises:
        DataError: labels cannot be read, or fewer than two classes are left.
    """
    state, ahead = what.report.state(), MaskLayout('', what)
    whole = ahead.look_ahead(what.clips)
    if what.report.failures:
        raise DataError('%s: %s' % (what.src, '; '.join(what.report.failures)))
    if whole:
        ahead.names()
    what.report.restore(state)
    layout = MaskLayout(folder, what)
    layout.write(what.clips)
    if what.report.failures:
        raise DataError('%s: %s' % (what.src, '; '.join(what.report.failures)))
    written = layout.written
    names, palette = layout.finish()
    with open(os.path.join(folder, 'classes.txt'), 'w', encoding='utf-8') as stream:
        for name, colour in zip(names, palette.tolist()):
            stream.write('%s %d %d %d\n' % (name, *colour))
    (width, height), = ([int(side) for side in size.split('x')]
                        for size, _ in written.sizes.most_common(1))
    size = min(width, height), max(width, height)
    data = Data(os.path.abspath(what.dst), len(names), ['train'],
                len(layout.labels.get('train', ())), 'segmentation', size)
    yamls, _ = write_settings(folder, data, what.options.devices, what.options.network)
    write_tiles(os.path.join(folder, SHEET),
                [_tile(sample, folder, names, palette) for sample in written.samples.chosen()])
    counted = ['%s: label maps %d' % (name, len(paths)) for name, paths in layout.labels.items()]
    lines = summary(what.dst, what.clips, written, what.report, Lists(counted, 0, 0, []),
                    yamls + [SHEET], layout.lines(names))
    return lines, written.frames


class MaskLayout(Layout):
    """Writes clips with label maps, and counts what it wrote in `written`."""

    every_label = False       # label maps are drawn, which takes as long as decoding

    def __init__(self, folder: str, what: Import) -> None:
        """Set up writing into `folder`."""
        super().__init__(folder, (), what.options.copy, what.report)
        self.labels: Dict[str, List[str]] = {}      # files by image set
        self.pixels = {part: np.zeros(256, np.int64) for part in ('train', 'val')}
        self._what = what
        self._ids: Dict[str, int] = {}       # by name, before classes are left out
        self._dropped: Dict[int, str] = {}   # classes that are not asked for, by place in the source
        self._table = self._table_of()

    def _table_of(self) -> np.ndarray:
        """The id of each place in Source.classes, uint8 [256]; sets `_ids` and `_dropped`."""
        source, options = self._what.source, self._what.options
        wanted = list(map(_plain, options.classes))
        given = list(map(_plain, source.classes))
        if len(given) > MOST_CLASSES:
            raise DataError('%s: it has %d classes; label maps have room for %d: take others out'
                            % (self._what.src, len(given), MOST_CLASSES))
        if '' in given:
            raise DataError('%s: a class has no name; name it, or take it out' % self._what.src)
        unknown = [name for name in wanted if name not in given + [BACKGROUND]]
        if unknown:
            raise DataError('--classes: there is no class %s; the classes of the source are %s'
                            % (', '.join(unknown), ', '.join(dict.fromkeys(given))[:300]))
        table = np.full(256, IGNORE_LABEL, np.uint8)
        order = [name for name in dict.fromkeys(wanted or given) if not is_void(name)]
        if options.unlabelled == 'ignore':
            order = [name for name in order if name != BACKGROUND or name in wanted]
        elif BACKGROUND not in order:
            order.insert(0, BACKGROUND)
        self._ids = {name: index for index, name in enumerate(order)}
        rest = IGNORE_LABEL if options.unlabelled == 'ignore' else self._ids[BACKGROUND]
        for index, name in enumerate(given):
            if is_void(name):
                self.report.assume('pixels of the class %s are ignored (%d)' % (name, IGNORE_LABEL))
            else:
                table[index] = self._ids.get(name, rest)
        table[UNLABELLED] = rest
        self._dropped = {index: name for index, name in enumerate(given)
                         if not is_void(name) and name not in self._ids and name != BACKGROUND}
        return table

    def _place(self, clip):
        """See Layout."""
        name = output_name(without_part(clip.name))
        if not clip.still:
            return '%s/%s' % (clip.part, name), False
        return '%s/%s' % (clip.part, name.replace('/', '_')), True

    def _found(self, labels, number, image, place):
        """See Layout: a label map of the new ids."""
        found = labels_of(labels, number, image, self.report)
        if found is None:
            return None
        counts = np.bincount(found.ravel(), minlength=256)
        label = cv2.LUT(found, self._table)
        if (label == IGNORE_LABEL).all():
            self.report.skip(NOTHING, place)
            return None
        for index, name in self._dropped.items():
            if counts[index]:
                self.report.skip('label maps: pixels not of the --classes: %s' % name, place)
        if counts[UNLABELLED]:
            self.report.assume(
                'pixels without class are ignored (%d)' % IGNORE_LABEL
                if self._table[UNLABELLED] == IGNORE_LABEL else
                'pixels without class are of the class %s; --unlabelled ignore has them ignored'
                % BACKGROUND)
        return label

    def _image_file(self, path, still):
        """See Layout."""
        return self._file('.', '.', path + '.jpg')

    def _store(self, found, frame):
        """See Layout."""
        if found is None:
            return
        image_set, below = frame.path.split('/', 1)
        path = self._file('.', image_set + LABELS, below + '.png')
        Image.fromarray(found).save(path)
        self.labels.setdefault(image_set, []).append(path)
        counts = self._count(found, frame.part, frame.image, frame.place)
        present = np.flatnonzero(counts[:IGNORE_LABEL]).tolist()
        self.written.samples.offer(Sample(frame.path, frame.file, present))

    def _count(self, found, part, image, place):
        """See Layout; return the pixels of each id."""
        counts = np.bincount(found.ravel(), minlength=256)
        self.pixels[part] += counts
        return counts

    def enough(self, clips: Sequence[Clip]) -> bool:
        """See Layout."""
        return sum(bool(seen) for seen in self._seen()[:len(self._ids)]) > 1

    def _seen(self):
        """Pixels of each id, int64 [256]."""
        return self.pixels['train'] + self.pixels['val']

    def names(self) -> List[str]:
        """Return the classes that pixels have. Raises DataError where fewer than two are left."""
        seen = self._seen()
        names = [name for name, index in self._ids.items() if seen[index]]
        for name in self._ids:
            if name not in names and name != BACKGROUND:
                self.report.skip('classes: no pixel has them', name)
        if len(names) < 2:
            raise DataError(
                'the label maps hold %s only; expected two classes at least%s'
                % (' and '.join(names) or 'no class',
                   '; --unlabelled background makes one of the pixels without class'
                   if self._what.options.unlabelled == 'ignore' else ''))
        return names

    def finish(self) -> Tuple[List[str], np.ndarray]:
        """Leave out classes that no pixel has, in all label maps; return (names, palette uint8
        [n, 3] RGB). Raises DataError where fewer than two are left."""
        names = self.names()
        table = np.full(256, IGNORE_LABEL, np.uint8)
        for index, name in enumerate(names):
            table[self._ids[name]] = index
        if any(self._ids[name] != index for index, name in enumerate(names)):
            for path in (path for paths in self.labels.values() for path in paths):
                Image.fromarray(cv2.LUT(np.asarray(open_png(path)), table)).save(path)
        first = int(names[0] != BACKGROUND)             # without background no class is black
        palette = default_palette(len(names) + first)[first:]
        colours = {_plain(name): colour for name, colour in self._what.source.colours.items()}
        for index, name in enumerate(names):
            palette[index] = colours.get(name, palette[index])
        return names, palette

    def lines(self, names: Sequence[str]) -> List[str]:
        """Return the lines of the summary about the classes `names`: their shares of the pixels
        that count, in training and validation."""
        totals = {part: max(1, int(counts[:IGNORE_LABEL].sum()))
                  for part, counts in self.pixels.items()}
        shares = ['%s (%s)' % (name, ' + '.join(
            '%.3g %%' % (100 * self.pixels[part][self._ids[name]] / totals[part])
            for part in ('train', 'val'))) for name in names]
        ignored = ' + '.join('%.3g %%' % (100 * counts[IGNORE_LABEL] / max(1, counts.sum()))
                             for counts in self.pixels.values())
        return ['classes:    %s' % ', '.join(shares), 'ignored:    %s of the pixels' % ignored]


def _plain(name: str) -> str:
    """A class name as it is written; all names of the background are one."""
    plain = class_name(name)
    return BACKGROUND if plain.strip('_- ').lower() == BACKGROUND else plain


def _tile(sample: Sample, folder: str, names: Sequence[str], palette: np.ndarray) -> np.ndarray:
    """A frame under the colours of its classes, with their names and its caption."""
    image_set, below = sample.caption.split('/', 1)
    label = np.asarray(open_png(os.path.join(folder, image_set + LABELS, below + '.png')))
    image = picture_of(sample)
    drawn = overlay(image, label, palette) if image.shape[:2] == label.shape else image
    tile = as_tile(drawn)
    present = np.flatnonzero(np.bincount(label.ravel(), minlength=256)[:len(names)])
    draw_legend(tile, names, palette, present.tolist())
    return with_caption(tile, sample)
