"""Writing clips as a data set in the ILSVRC2015 layout: Data, Annotations, and what was written."""
import math
import os
from typing import Any, Iterator, NamedTuple, Sequence, Set, Tuple, Union
from xml.sax.saxutils import escape

from lib.dataset.formats.classes import BACKGROUND
from lib.dataset.formats.image_set_maker import EXTENSION
from lib.dataset.importers.contact_sheet import Sample
from lib.dataset.importers.media import Decoded, ImageFile, Images, Media, Stretch, Video
from lib.dataset.importers.model import Box, Clip, Labels, Report
from lib.dataset.importers.paths import output_name, unique, without_part
from lib.dataset.importers.summary import Written
from dff.errors import DataError
from lib.utils.progress import progress_bar

UNREADABLE = 'images: unreadable'
_Image = Union[ImageFile, Decoded]


class Frame(NamedTuple):
    """A frame that was written."""

    part: str
    path: str          # in the new data set, without extension
    file: str          # the image
    still: bool
    image: _Image
    place: str         # in the source, for the report


class Layout:
    """Writes clips in the ILSVRC2015 layout, and counts what it wrote in `written`."""

    every_label = True       # whether `look_ahead` reads the labels of all frames that are to be decoded

    def __init__(self, folder: str, wanted: Sequence[str], copy: bool, report: Report) -> None:
        """Set up writing.

        Args:
            folder: where to write.
            wanted: class names to keep; none keeps all.
            copy: copy JPEG files, do not link them.
            report: where to count what is left out.
        """
        self.folder, self.copy, self.report = folder, copy, report
        self.wanted = {class_id(name) for name in wanted}
        self.written = Written()
        self._taken: Set[str] = set()
        self._tracks: Set[int] = set()       # of the clip that is written

    def look_ahead(self, clips: Sequence[Clip]) -> bool:
        """Read labels as `write` will, and count in `written` their frames and what is labelled in them.

        Nothing is written, and of a video no more than a frame decoded. What is not to be decoded is
        looked at until `enough`.

        Args:
            clips: as of `write`.

        Returns whether everything was looked at. Raises DataError where labels cannot be read.
        """
        whole = True
        for clip in sorted(clips, key=lambda clip: clip.part != 'train'):
            linked = _is_linked(clip.media)
            if linked and self.enough(clips) and not self.report.failures:
                whole = False
                continue
            labels, part = clip.open_labels(), clip.part or ''
            for number, image in _labelled(clip.media, labels, self.report):
                place = '%s, frame %d' % (clip.name, number + clip.origin)
                found = self._found(labels, number, image, place)
                if found is not None:
                    self._count(found, part, image, place)
                elif not isinstance(clip.media, Images):
                    whole = False        # the labels are of other frames than they list
                self.written.frames[part] += isinstance(clip.media, Images) and not (found is None and clip.still)
                if (linked or not self.every_label) and self.enough(clips) and not self.report.failures:
                    whole = False
                    break
            if not isinstance(clip.media, Images):
                self.written.frames[part] += clip.media.length or 0
        return whole

    def enough(self, clips: Sequence[Clip]) -> bool:
        """Return whether what is counted so far is enough for an import of `clips`."""
        part = 'train' if any(clip.part == 'train' for clip in clips) else 'val'
        return bool(self.written.boxes[part])

    def write(self, clips: Sequence[Clip]) -> None:
        """Write clips, whose parts are 'train' or 'val', with a progress bar over their frames.

        Raises DataError where labels cannot be read, OSError where the disk refuses.
        """
        lengths = [clip.media.length or 0 for clip in clips]
        total = sum(lengths) if all(lengths) else None         # not every video states its length
        with progress_bar(total=total, desc='importing', unit='frame', leave=False) as bar:
            for clip in clips:
                self._clip(clip, bar)

    def _clip(self, clip, bar):
        base, still = self._place(clip)
        name, labels, position, last = unique(base, self._taken), clip.open_labels(), 0, -1
        seen: Set[int] = set()
        self._tracks = set()
        self.written.samples.start()
        for number, image in readable(clip.media, self.report):
            bar.update()
            seen.add(number)
            if isinstance(clip.media, (Stretch, Video)) and position and number != last + 1:
                # Frames are missing: what follows is a clip of its own, as the frames of a clip
                # follow each other.
                self._count_clip(clip, position)
                name, position = unique('%s_from_%06d' % (base, number), self._taken), 0
            last = number
            place = '%s, frame %d' % (clip.name, number + clip.origin)
            found = self._found(labels, number, image, place)
            if found is None and clip.still:
                continue
            path = name if still else '%s/%06d' % (name, position)
            file = self._image_file(path, still)
            try:
                self.written.how[image.write(file, self.copy)] += 1
            except DataError as error:
                self.report.skip(UNREADABLE, str(error))
                continue
            self.written.sizes['%dx%d' % (image.width, image.height)] += 1
            self.written.labelled[clip.part] += found is not None
            self._store(found, Frame(clip.part, path, file, still, image, place))
            position += 1
        for number in sorted(set(labels.numbers) - seen):
            self.report.skip('frames: labelled, but the clip does not have them',
                             '%s, frame %d' % (clip.name, number + clip.origin))
        self._count_clip(clip, position)
        self.written.tracks += len(self._tracks)
        self.written.remarks += clip.media.remarks() if isinstance(clip.media, (Stretch, Video)) else []

    def _place(self, clip):
        """(path of a clip, whether it is a still) in the new data set."""
        name = '%s/%s' % (clip.part, output_name(without_part(clip.name)))
        return name, clip.still and clip.part == 'train'

    def _found(self, labels, number, image, place):
        """What is labelled in a frame; None where nothing of use is."""
        return labels_of(labels, number, image, self.report)

    def _image_file(self, path, still):
        """The path of the image file of a frame."""
        return self._file('Data', 'DET' if still else 'VID', path + EXTENSION)

    def _store(self, found, frame):
        """Write what is labelled in a frame whose image is written."""
        kept = self._count(found or [], frame.part, frame.image, frame.place)
        self.written.samples.offer(Sample(frame.path, frame.file, kept))
        # Testing needs an annotation for every frame of a clip; training only for those that are labelled.
        if found is not None or frame.part == 'val':
            self._annotation('DET' if frame.still else 'VID', frame.path, frame.image, kept)
        self._tracks.update(box.track for box in kept if box.track is not None)

    def _count(self, found, part, image, place):
        """Count what is labelled in a frame; return what is of use in it."""
        kept = self._usable(found, image, place)
        self.written.boxes[part].update(class_id(box.name) for box in kept)
        return kept

    def _count_clip(self, clip, frames):
        if frames:
            if not clip.still:
                rate = clip.media.rate
                self.written.rates['%g' % round(rate, 3) if rate else 'unknown'] += 1
            (self.written.stills if clip.still else self.written.clips)[clip.part] += 1
            self.written.frames[clip.part] += frames

    def _file(self, kind, tree, path):
        file = os.path.join(self.folder, kind, tree, path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        return file

    def _usable(self, boxes, image, place):
        """Those of `boxes` that training can use, clipped to the image; the others are counted."""
        kept = []
        for box in boxes:
            corners = box.x1, box.y1, box.x2, box.y2
            identifier = class_id(box.name)
            if not all(math.isfinite(value) for value in corners):
                self.report.skip('boxes: a coordinate is no number', place)
            elif box.x2 < box.x1 or box.y2 < box.y1:
                self.report.skip('boxes: smaller than a pixel', place)
            elif box.x2 < 0 or box.y2 < 0 or box.x1 > image.width - 1 or box.y1 > image.height - 1:
                self.report.skip('boxes: outside their image', place)
            elif not identifier or identifier == BACKGROUND:
                self.report.skip('boxes: no class name, or the name of the background', place)
            elif self.wanted and identifier not in self.wanted:
                self.report.skip('boxes: not of the --classes: %s' % identifier, place)
            else:
                inside = (max(box.x1, 0), max(box.y1, 0), min(box.x2, image.width - 1), min(box.y2, image.height - 1))
                if inside != corners:
                    self.report.change(
                        'boxes reached over the edge of their image and were clipped', place)
                self.written.names.setdefault(identifier, class_name(box.name))
                kept.append(box._replace(x1=inside[0], y1=inside[1], x2=inside[2], y2=inside[3]))
        return kept

    def _annotation(self, tree, path, image, boxes):
        folder, name = path.rsplit('/', 1)
        objects = ''.join(_object(box) for box in boxes)
        with open(self._file('Annotations', tree, path + '.xml'), 'w', encoding='utf-8') as stream:
            stream.write('<annotation>\n\t<folder>%s</folder>\n\t<filename>%s</filename>\n\t<size>\n\t\t<width>%d</width>\n'
                         '\t\t<height>%d</height>\n\t</size>\n%s</annotation>\n'
                         % (escape(folder), escape(name), image.width, image.height, objects))


def class_name(name: str) -> str:
    """Return a class name of a source with single spaces and without control characters."""
    return ' '.join(''.join(c if c.isprintable() else ' ' for c in name).split())


def class_id(name: str) -> str:
    """Return what <name> holds and the lines of class lists begin with: the class name, its spaces
    replaced.
    """
    return class_name(name).replace(' ', '_')


def labels_of(labels: Labels, number: int, image: _Image, report: Report) -> Any:
    """Return what is labelled in a frame, as Labels.boxes. An image with an EXIF orientation is taken
    as shown, unless its labels are of the other size.

    Args:
        labels: of the clip.
        number: of the frame.
        image: the frame.
        report: where what was counted in vain is forgotten again.
    """
    if getattr(image, 'orientation', 1) <= 4:
        return labels.boxes(number, image.height, image.width)
    before, failures = report.state(), report.failures
    found = labels.boxes(number, image.height, image.width)
    if found is not None or report.failures == failures or not isinstance(image, ImageFile):
        return found
    after = report.state()
    image.keep_stored()
    found = labels.boxes(number, image.height, image.width)
    report.restore(after if found is None else before)
    return found


def readable(media: Media, report: Report) -> Iterator[Tuple[int, _Image]]:
    """Yield (number, image) of all frames of a clip; image files that cannot be read are counted.

    Args:
        media: of the clip.
        report: where they are counted.
    """
    if not isinstance(media, Images):
        yield from media
        return
    for number, path in zip(media.numbers, media.paths):
        try:
            image = ImageFile(path)
        except DataError as error:
            report.skip(UNREADABLE, str(error))
            continue
        yield number, image


def _labelled(media: Media, labels: Labels, report: Report) -> Iterator[Tuple[int, _Image]]:
    """Yield (number, image) of the frames of a clip that may have labels; of a video all with its first image."""
    if isinstance(media, Images):
        yield from readable(media, report)
        return
    numbers, frames = sorted(labels.numbers), iter(media.video if isinstance(media, Stretch) else media)
    first = next(frames, None) if numbers else None
    frames.close()          # type: ignore[attr-defined]  # a generator, which holds the file open
    yield from ((number, first[1]) for number in numbers if first is not None)


def _is_linked(media: Media) -> bool:
    """Whether the frames of a clip are JPEG files, which are not decoded."""
    return isinstance(media, Images) and all(path.lower().endswith(('.jpg', '.jpeg')) for path in media.paths)


def _object(box: Box) -> str:
    corners = ''.join('\t\t\t<%s>%s</%s>\n' % (tag, ('%.2f' % value).rstrip('0').rstrip('.'), tag)
                      for tag, value in (('xmax', box.x2), ('xmin', box.x1), ('ymax', box.y2), ('ymin', box.y1)))
    track = '' if box.track is None else '\t\t<trackid>%d</trackid>\n' % box.track
    return ('\t<object>\n%s\t\t<name>%s</name>\n\t\t<bndbox>\n%s\t\t</bndbox>\n\t\t<occluded>%d</occluded>\n'
            '\t\t<generated>%d</generated>\n\t</object>\n'
            % (track, escape(class_id(box.name)), corners, box.occluded, box.generated))
