"""The report of lib/dataset/check/check.py as one HTML file that needs nothing else."""
import base64
import html
from typing import Any, Iterable, List, Tuple

import cv2
import numpy as np

from dff.drawing import class_colour
from lib.dataset.check.check import CheckedSet, Report
from lib.evaluation.motion import RANGES, SPEEDS, speeds
from lib.dataset.formats.problems import KINDS, LEVELS
from dff.errors import DataError
from dff.files import atomic_path
from dff.image import read_image

SAMPLES, WIDTH = 12, 320       # frames of each image set; pixels
SIDES = (16, 32, 64, 128, 256, 512)
STYLE = '''body { font: 14px sans-serif; margin: 2em auto; max-width: 1040px }
td, th { padding: 1px 8px; text-align: left }
.bar { background: #47a; height: 10px } .error { color: #b00 } .warning { color: #a60 } .note { color: #555 }
li { font-family: monospace; font-size: 12px; overflow-wrap: anywhere }
figure { display: inline-block; margin: 4px } figcaption { font-size: 11px }'''
PAGE = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>%s</title><style>%s</style></head><body>'
BAR = '<tr><td>%s</td><td>%d</td><td style="width:400px"><div class="bar" style="width:%d%%"></div></td></tr>'


def write_html(report: Report, path: str, title: str) -> None:
    """Write an HTML file: problems, boxes by class and size, speeds, and sample frames with their
    boxes drawn.

    report: what the check found; path: of the file; title: its heading, plain text. Raises OSError
    where the disk refuses.
    """
    parts = [PAGE % (_text(title), STYLE), '<h1>%s</h1><p><b>%s</b></p>' % (_text(title), _text(report.summary()))]
    parts += _problems(report)
    for role, counts in report.boxes.items():
        parts += ['<h2>Boxes by class, %s</h2>' % role, _bars(zip(report.classes[1:], counts[1:]))]
    for one in report.sets:
        parts.append('<h2>%s (%s)</h2><p>%d frames, %d boxes</p>'
                     % (_text(one.dataset.name), one.role, len(one.frames), len(one.table.boxes)))
        parts += _sizes(one.table.boxes) + _speeds(one.motion) + _samples(one, report.classes)
    with atomic_path(path) as temporary, open(temporary, 'w', encoding='utf-8', errors='replace') as stream:
        stream.write('\n'.join(parts + ['</body></html>']))


def _text(value: Any) -> str:
    return html.escape(str(value))


def _bars(rows: Iterable[Tuple[str, int]]) -> str:
    """A table of (name, count) with a bar each."""
    rows = list(rows)
    largest = max([count for _, count in rows] + [1])
    bars = (BAR % (_text(name), count, round(100 * count / largest)) for name, count in rows)
    return '<table>%s</table>' % ''.join(bars)


def _problems(report: Report) -> List[str]:
    parts = []
    for level in LEVELS:
        for kind, count in report.problems.level(level).items():
            kept = report.problems.kept[kind]
            lines = [str(problem) for problem in kept]
            if len(kept) < count:
                lines.append('... and %d more' % (count - len(kept)))
            items = ''.join('<li>%s</li>' % _text(line) for line in lines)
            parts.append('<h3 class="%s">%s: %s (%d)</h3><p>%s</p><ul>%s</ul>'
                         % (level, level, kind, count, _text(KINDS[kind][1]), items))
    return parts


def _sizes(boxes: np.ndarray) -> List[str]:
    if not len(boxes):
        return []
    sides = np.sqrt(np.maximum(boxes[:, 2:] - boxes[:, :2] + 1, 0)).prod(axis=1)
    counts = np.bincount(np.searchsorted(SIDES, sides, 'right'), minlength=len(SIDES) + 1)
    names = ['below %d' % SIDES[0], *('%d to %d' % pair for pair in zip(SIDES, SIDES[1:])), '%d and more' % SIDES[-1]]
    return ['<h3>Boxes by size (square root of the area, pixels)</h3>', _bars(zip(names, counts))]


def _speeds(motion: np.ndarray) -> List[str]:
    found = speeds(motion) if len(motion) else None
    if found is None:
        return ['<h3>Motion</h3><p>not known: no object has a track id and a second box within 10 listed frames</p>']
    names = ['%s (motion IoU %s)' % (name, RANGES[name]) for name in SPEEDS] + ['not known']
    return ['<h3>Motion</h3>', _bars(zip(names, [(found == s).sum() for s in (0, 1, 2, -1)]))]


def _samples(one: CheckedSet, names: List[str]) -> List[str]:
    """Frames with boxes, spread evenly over the set, as embedded JPEGs."""
    entries = one.dataset.image_set.entries
    candidates = [i for i in range(len(entries)) if len(one.table.of(i)[0]) and one.frames[i].header is not None]
    places = [(2 * k + 1) * len(candidates) // (2 * SAMPLES) for k in range(SAMPLES if candidates else 0)]
    chosen = dict.fromkeys(candidates[place] for place in places)
    parts = []
    for i in chosen:
        try:
            image = read_image(one.dataset.image_path(entries[i].path))
        except DataError:      # what the header did not tell
            continue
        jpeg = cv2.imencode('.jpg', _draw(image, *one.table.of(i), names), [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
        parts.append('<figure><img alt="" src="data:image/jpeg;base64,%s"><figcaption>%s</figcaption></figure>'
                     % (base64.b64encode(jpeg.tobytes()).decode('ascii'), _text(entries[i].path)))
    return ['<h3>Sample frames</h3>'] + parts


def _draw(image: np.ndarray, boxes: np.ndarray, classes: np.ndarray,
          names: List[str]) -> np.ndarray:
    scale = WIDTH / image.shape[1]
    canvas = cv2.resize(image, (WIDTH, max(1, round(image.shape[0] * scale))), interpolation=cv2.INTER_AREA)
    for box, c in zip(np.clip(boxes * scale, -WIDTH, 4 * WIDTH), classes):
        x1, y1, x2, y2 = (int(round(value)) for value in box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), class_colour(int(c)), 1)
        cv2.putText(canvas, names[c], (x1, max(y1 - 2, 9)), cv2.FONT_HERSHEY_SIMPLEX, 0.35, class_colour(int(c)), 1,
                    cv2.LINE_AA)
    return canvas
