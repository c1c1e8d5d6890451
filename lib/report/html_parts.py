"""Pieces of HTML and SVG. Whatever comes from files goes through `text`."""
import html
import os
import re
from typing import Any, Iterable, List, Optional, Sequence, Tuple
from urllib.parse import quote

import numpy as np

STYLE = '''body { font: 14px sans-serif; margin: 2em auto; max-width: 1080px; color: #222 }
h1 { font-size: 22px } h2 { font-size: 18px; margin-top: 2em; border-bottom: 1px solid #ccc }
table { border-collapse: collapse; margin: 6px 0 } td, th { padding: 2px 9px; text-align: right }
th { font-weight: 600; color: #555; vertical-align: bottom } td:first-child, th:first-child { text-align: left }
tr:nth-child(even) { background: #f5f6f8 } .note { color: #666; max-width: 860px }
.mean td { border-top: 1px solid #999 }
.bar { background: #47a; height: 9px; display: inline-block }
.cost { background: #c63 } .name { overflow-wrap: anywhere }
figure { display: inline-block; margin: 4px 2px; width: 340px; vertical-align: top }
figcaption { font-size: 11px; overflow-wrap: anywhere }
figure img { width: 340px } svg { background: #fff } svg text { font: 11px sans-serif; fill: #555 }
.hit { background: #cec } .scroll { overflow-x: auto }'''
CONTROLS = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f]')     # what no HTML may hold


def text(value: Any) -> str:
    """Return `value` as text of a page."""
    return html.escape(CONTROLS.sub('?', str(value)))


def link(path: str, content: str, page: str) -> str:
    """Return `content`, HTML, as a link to the file `path`, from a page that will be at `page`."""
    relative = os.path.relpath(os.path.abspath(path), os.path.dirname(os.path.abspath(page)))
    address = quote(os.fsencode(relative.replace(os.sep, '/')))
    return '<a href="./%s">%s</a>' % (address, content)


def number(value: Optional[float]) -> str:
    """Return a share as text, in hundredths, as AP is spoken of; a dash where there is none."""
    return '&ndash;' if value is None or np.isnan(value) else '%.1f' % (100 * value)


def bar(value: Optional[float], kind: str = '') -> str:
    """Return a bar as long as `value`, 0 to 1; kind: its style's name."""
    return '<span class="bar %s" style="width:%dpx"></span>' % (kind, round(160 * min(1, max(0, value or 0))))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], last: str = '') -> str:
    """Return a table; heads: of the columns; rows: of HTML cells; last: style of the last row."""
    lines = ['<tr>%s</tr>' % ''.join('<td>%s</td>' % cell for cell in row) for row in rows]
    if last and lines:
        lines[-1] = lines[-1].replace('<tr>', '<tr class="%s">' % last, 1)
    return '<div class="scroll"><table><tr>%s</tr>%s</table></div>' % (
        ''.join('<th>%s</th>' % head for head in heads), '\n'.join(lines))


def curve(recall: np.ndarray, precision: np.ndarray, title: str, marked: Optional[Tuple[float, float]]) -> str:
    """Return a precision-recall curve as SVG.

    Args:
        recall, precision: float [n], ascending recall.
        title: plain text, above it.
        marked: (recall, precision) of a point to show, None for none.
    """
    if len(recall) > 200:
        chosen = np.unique(np.linspace(0, len(recall) - 1, 200).round().astype(int))
        recall, precision = recall[chosen], precision[chosen]
    points = ' '.join('%.1f,%.1f' % (30 + 150 * x, 170 - 150 * y) for x, y in zip(recall, precision))
    parts = ['<svg width="196" height="196" role="img"><title>%s</title>' % text(title),
             '<text x="30" y="13">%s</text>' % text(title if len(title) < 30 else title[:28] + '…')]
    for place in (0, 0.5, 1):
        x, y = 30 + 150 * place, 170 - 150 * place
        parts.append('<path d="M%d 20V170M30 %dH180" stroke="#ddd"/><text x="%d" y="184" text-anchor="middle">%g</text>'
                     '<text x="25" y="%d" text-anchor="end">%g</text>' % (x, y, x, place, y + 4, place))
    parts.append('<polyline points="%s" fill="none" stroke="#27a" stroke-width="1.5"/>' % points)
    if marked is not None:
        parts.append('<circle cx="%.1f" cy="%.1f" r="3.5" fill="#c63"/>'
                     % (30 + 150 * marked[0], 170 - 150 * marked[1]))
    return ''.join(parts) + '</svg>'


def runs(values: np.ndarray) -> List[Tuple[int, int, Any]]:
    """Return [(first, behind the last, value)] of the stretches of equal `values`, [n] or [n, k]."""
    values = np.asarray(values)
    if not len(values):
        return []
    rows = values.reshape(len(values), -1)
    starts = np.flatnonzero(np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)]))
    return [(int(a), int(b), values[a]) for a, b in zip(starts, [*starts[1:], len(values)])]
