"""The report of a check as one HTML file that needs nothing else."""

import base64
import html

import cv2
import numpy as np

from dff.drawing import class_colour
from dff.labels import draw_legend, overlay
from lib.dataset.check.check_seg import CheckedSegSet
from lib.evaluation.motion import RANGES, SPEEDS, speeds
from lib.dataset.formats.problems import KINDS, LEVELS
from dff.errors import DataError
from dff.files import atomic_path
from dff.image import read_image

SAMPLES, WIDTH = 12, 320  # frames of each image set; pixels
SIDES = (16, 32, 64, 128, 256, 512)
STYLE = '''body { font: 14px sans-serif; margin: 2em auto; max-width: 1040px }
td, th { padding: 1px 8px; text-align: left }
.bar { background: #47a; height: 10px } .error { color: #b00 } .warning { color: #a60 } .note { color: #555 }
li { font-family: monospace; font-size: 12px; overflow-wrap: anywhere }
figure { display: inline-block; margin: 4px } figcaption { font-size: 11px }'''
PAGE = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>%s</title><style>%s</style></head><body>'
BAR = '<tr><td>%s</td><td>%d</td><td style="width:400px"><div class="bar" style="width:%d%%"></div></td></tr>'


def write_html(report, path, title):
    """Write a Report to `path`: problems, boxes or pixels by class, sizes, speeds, and sample
    frames with what is labelled drawn.

    report: of check or check_segmentation; title: of the page.
    """
    parts = [
        PAGE % (_text(title), STYLE),
        '<h1>%s</h1><p><b>%s</b></p>' % (_text(title), _text(report.summary())),
    ]
    parts += _problems(report)
    for role, counts in report.counts.items():
        parts += [
            '<h2>%s by class, %s</h2>' % (report.unit.capitalize(), role),
            _bars(zip(report.classes, counts)),
        ]
    for one in report.sets:
        parts += (
            _segmentation_set(one, report.classes)
            if isinstance(one, CheckedSegSet)
            else _detection_set(one, report.classes)
        )
    with atomic_path(path) as temporary, open(
        temporary, 'w', encoding='utf-8', errors='replace'
    ) as stream:
        stream.write('\n'.join(parts + ['</body></html>']))


def _detection_set(one, classes):
    return (
        [
            '<h2>%s (%s)</h2><p>%d frames, %d boxes</p>'
            % (_text(one.dataset.name), one.role, len(one.entries), len(one.table.boxes))
        ]
        + _sizes(one.table.boxes)
        + _speeds(one.motion)
        + _samples(one, [''] + classes)
    )


def _segmentation_set(one, classes):
    """Sizes of the frames, and labelled frames with their classes drawn over them."""
    parts = [
        '<h2>%s (%s)</h2><p>%d labelled frames of %d</p>'
        % (_text(one.dataset.name), one.role, len(one.records), one.frames),
        '<h3>Frames by size</h3>',
        _bars(sorted(one.sizes.items())),
        '<h3>Sample frames</h3>',
    ]
    for record in _spread(one.records):
        try:
            image, label = read_image(record.image), one.dataset.read_label(record)
        except DataError:  # listed among the problems
            continue
        picture = overlay(image, label, one.dataset.palette)
        draw_legend(
            picture,
            classes,
            one.dataset.palette,
            np.flatnonzero(np.bincount(label.ravel(), minlength=256)[: len(classes)]),
        )
        parts.append(
            _figure(
                cv2.resize(
                    picture,
                    (WIDTH, max(1, round(picture.shape[0] * WIDTH / picture.shape[1]))),
                    interpolation=cv2.INTER_AREA,
                ),
                one.dataset.name_of(record.image),
            )
        )
    return parts


def _spread(items):
    """SAMPLES of `items`, spread evenly over them."""
    chosen = dict.fromkeys(
        (2 * k + 1) * len(items) // (2 * SAMPLES) for k in range(SAMPLES if items else 0)
    )
    return [items[place] for place in chosen]


def _figure(picture, caption):
    jpeg = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return (
        '<figure><img alt="" src="data:image/jpeg;base64,%s"><figcaption>%s</figcaption></figure>'
        % (base64.b64encode(jpeg.tobytes()).decode('ascii'), _text(caption))
    )


def _text(value):
    return html.escape(str(value))


def _bars(rows):
    """A table of (name, count) with a bar each."""
    rows = list(rows)
    largest = max([count for _, count in rows] + [1])
    return '<table>%s</table>' % ''.join(
        BAR % (_text(name), count, round(100 * count / largest)) for name, count in rows
    )


def _problems(report):
    parts = []
    for level in LEVELS:
        for kind, count in report.problems.level(level).items():
            kept = report.problems.kept[kind]
            more = ['... and %d more' % (count - len(kept))] if len(kept) < count else []
            parts.append(
                '<h3 class="%s">%s: %s (%d)</h3><p>%s</p><ul>%s</ul>'
                % (
                    level,
                    level,
                    kind,
                    count,
                    _text(KINDS[kind][1]),
                    ''.join('<li>%s</li>' % _text(line) for line in kept + more),
                )
            )
    return parts


def _sizes(boxes):
    if not len(boxes):
        return []
    sides = np.sqrt(np.maximum(boxes[:, 2:] - boxes[:, :2] + 1, 0)).prod(axis=1)
    counts = np.bincount(np.searchsorted(SIDES, sides, 'right'), minlength=len(SIDES) + 1)
    names = (
        ['below %d' % SIDES[0]]
        + ['%d to %d' % pair for pair in zip(SIDES, SIDES[1:])]
        + ['%d and more' % SIDES[-1]]
    )
    return ['<h3>Boxes by size (square root of the area, pixels)</h3>', _bars(zip(names, counts))]


def _speeds(motion):
    found = speeds(motion) if len(motion) else None
    if found is None:
        return [
            '<h3>Motion</h3><p>not known: no object has a track id and a second box within 10 listed frames</p>'
        ]
    names = ['%s (motion IoU %s)' % (name, RANGES[name]) for name in SPEEDS] + ['not known']
    return ['<h3>Motion</h3>', _bars(zip(names, [(found == s).sum() for s in (0, 1, 2, -1)]))]


def _samples(one, names):
    """Frames with boxes, spread evenly over the set, as embedded JPEGs."""
    entries = one.dataset.image_set.entries
    candidates = [i for i in range(len(entries)) if len(one.table.of(i)[0]) and one.readable(i)]
    parts = []
    for i in _spread(candidates):
        try:
            image = read_image(one.dataset.image_path(entries[i].path))
        except DataError:  # what the header did not tell
            continue
        boxes, labels = one.table.of(i)
        parts.append(_figure(_draw(image, boxes, labels, names), entries[i].path))
    return ['<h3>Sample frames</h3>'] + parts


def _draw(image, boxes, classes, names):
    scale = WIDTH / image.shape[1]
    canvas = cv2.resize(
        image, (WIDTH, max(1, round(image.shape[0] * scale))), interpolation=cv2.INTER_AREA
    )
    for box, c in zip(np.clip(boxes * scale, -WIDTH, 4 * WIDTH), classes):
        x1, y1, x2, y2 = (int(round(value)) for value in box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), class_colour(int(c)), 1)
        cv2.putText(
            canvas,
            names[c],
            (x1, max(y1 - 2, 9)),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.35,
            class_colour(int(c)),
            1,
            cv2.LINE_AA,
        )
    return canvas
