"""When in its clip an object was missed: a line of time for each clip."""
from typing import List

import numpy as np

from lib.report.facts import Facts
from lib.report.html_parts import link, runs, text

MOST, WIDTH, HALF = 100, 800, 18      # clips drawn; pixels: of the longest clip, above and below the line


def timelines(facts: Facts, page: str) -> List[str]:
    """Return a line of time for each clip, those with the most misses first.

    page: path of the report, for the links to frames.
    """
    missed, wrong = facts.chosen.missed, facts.chosen.wrong
    total = np.bincount(facts.clip_of, missed, len(facts.clips))
    order = np.argsort(-total, kind='stable')
    longest = max(clip.length for clip in facts.clips)
    parts = ['<h2>Misses in time</h2><p class="note">Red, upwards: share of the objects of a frame that is missed '
             'at a score of %.4g; orange, downwards: wrong detections, four of them and more to the bottom; the line '
             'is grey where there are objects. A click on red opens the frame.</p>' % facts.chosen.score]
    objects = np.diff(facts.truth.offsets)
    for i in order[:MOST]:
        # In the order of the frame numbers, which the set's list need not have.
        rows = np.flatnonzero(facts.clip_of == i)
        rows = rows[np.argsort(facts.truth.frames[rows], kind='stable')]
        parts.append(_line(facts, i, objects[rows], missed[rows], wrong[rows], WIDTH / longest, page))
    if len(order) > MOST:
        parts.append('<p class="note">%d clips with fewer misses are not drawn; %d of them have none.</p>'
                     % (len(order) - MOST, (total[order[MOST:]] == 0).sum()))
    return parts


def _line(facts, i, objects, missed, wrong, step, page):
    """One clip's line. objects, missed, wrong: int, of each of its frames in order; step: pixels a frame."""
    clip, length = facts.clips[i], len(objects)
    parts = ['<p class="name">%s: %d of %d missed, %d wrong</p><svg width="%d" height="%d">' % (
        link(clip.frame_path(0), text(facts.names[i]), page), missed.sum(), objects.sum(), wrong.sum(),
        round(length * step) + 2, 2 * HALF + 3)]
    grey = ''.join('M%.1f %dh%.1f' % (a * step, HALF + 1, (b - a) * step) for a, b, there in runs(objects > 0) if there)
    low = np.minimum(wrong, 4)
    orange = ''.join('M%.1f %dh%.1fv%.1fh-%.1fz' % (a * step, HALF + 2, (b - a) * step, n * HALF / 4, (b - a) * step)
                     for a, b, n in runs(low) if n)
    parts.append('<path d="%s" stroke="#bbb" stroke-width="2"/><path d="%s" fill="#e90"/>' % (grey, orange))
    for a, b, (m, n) in runs(np.column_stack([missed, objects])):
        if m:
            height = max(2, HALF * m / n)
            first, last = clip.first_frame + a, clip.first_frame + b - 1
            frames = 'frame %d' % first if first == last else 'frames %d to %d' % (first, last)
            shape = ('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#c22"><title>%s: %d of %d missed</title>'
                     '</rect>' % (a * step, HALF - height, max(0.8, (b - a) * step), height, frames, m, n))
            parts.append(link(clip.frame_path(a), shape, page))
    return ''.join(parts) + '</svg>'
