"""The figures of a report as HTML."""
from typing import List, Sequence

import numpy as np

from lib.evaluation.error_costs import COSTS
from lib.evaluation.groups import Part
from lib.evaluation.motion import NO_MOTION
from lib.evaluation.outcomes import HIT, KINDS
from lib.report.facts import Facts
from lib.report.html_parts import bar, curve, link, number, table, text

MOST_CURVES, MOST_CONFUSED = 60, 30


def summary(facts: Facts) -> List[str]:
    """Return what stands at the top: the mean AP, and what costs most."""
    chosen, gains = facts.chosen, {name: facts.costs.mean(facts.costs.gains[name]) for name in COSTS}
    kinds = [name for name in COSTS if name not in ('false', 'unfound')]
    worst = max(kinds, key=lambda name: gains[name])
    found, objects, wrong = int(chosen.found.sum()), len(chosen.found), int(chosen.wrong.sum())
    lines = ['<p><b>Mean AP@0.5: %s</b> of 100, over %d frames of %d clips with %d objects. What costs most are '
             'errors of the kind <b>%s</b> (%s): %s points.</p>'
             % (number(facts.mean_ap), len(facts.truth.frames), len(facts.clips), objects, worst,
                COSTS[worst], number(gains[worst])),
             '<p>Detections with a score of %.4g and more find %d of the %d objects (recall %s); %d of them are wrong '
             '(precision %s).</p>' % (chosen.score, found, objects, number(found / objects), wrong,
                                      number(found / max(1, found + wrong)))]
    if facts.outcomes.ignored:
        lines.append('<p>%d detections are of frames that are not evaluated.</p>' % facts.outcomes.ignored)
    return lines


def errors(facts: Facts) -> List[str]:
    """Return what each kind of error costs, in all and by class."""
    costs, chosen = facts.costs, facts.chosen
    counts = {name: 0 for name in COSTS}
    for own in facts.outcomes.classes:
        kinds = own.kinds[own.scores >= chosen.score]
        for kind, n in zip(KINDS, np.bincount(kinds, minlength=len(KINDS))):
            if kind in counts:
                counts[kind] += int(n)
    counts.update(missed=int(facts.outcomes.missed.sum()), false=int(chosen.wrong.sum()),
                  unfound=int(chosen.missed.sum()))
    rows = [['%s: %s' % (name, text(meaning)), number(costs.mean(costs.gains[name])),
             bar(costs.mean(costs.gains[name]), 'cost'), str(counts[name])] for name, meaning in COSTS.items()]
    names = [c for c in range(1, len(facts.classes)) if costs.ap[c] is not None]
    by_class = [[text(facts.classes[c]), number(costs.ap[c]), *(number(costs.gains[name][c]) for name in COSTS)]
                for c in names]
    return ['<h2>Kinds of error, and what they cost</h2>'
            '<p class="note">Cost: points of mean AP that would be gained if that kind alone were corrected, after '
            'TIDE (Bolya et al. 2020). The gains do not add up. Numbers are of detections with a score of %.4g '
            'and more; <i>missed</i> are objects without even a weak detection on or near them.</p>' % chosen.score,
            table(['kind', 'costs', '', 'number'], rows),
            table(['class', 'AP', *COSTS], by_class)]


def by_class(facts: Facts) -> List[str]:
    """Return AP by class, and of each by size and speed."""
    parts = [part for part in facts.sizes if part.ground_truths] + facts.speeds
    counts = np.bincount(facts.truth.classes, minlength=len(facts.classes))
    rows = [[text(name), str(counts[c]), str(len(facts.outcomes.classes[c].scores)), number(facts.costs.ap[c]),
             bar(facts.costs.ap[c]), *(number(part.ap.get(c)) for part in parts)]
            for c, name in enumerate(facts.classes) if c]
    rows.append(['mean, or all', str(counts.sum()), str(sum(len(own.scores) for own in facts.outcomes.classes)),
                 number(facts.mean_ap), bar(facts.mean_ap), *(number(part.mean_ap) for part in parts)])
    rows.append(['objects', '', '', '', '', *(str(part.ground_truths) for part in parts)])
    heads = ['class', 'objects', 'detections', 'AP', '', *(text(part.name) for part in parts)]
    note = 'Size: square root of the box in pixels of the picture. '
    note += ('Speed: mean IoU of an object\'s box with its boxes up to 10 frames before and after; detections that hit '
             'nothing count for every speed, so AP is low where such objects are few.') if facts.speeds \
        else 'No AP by speed: %s.' % NO_MOTION
    return ['<h2>AP by class, size and speed</h2><p class="note">%s</p>' % note, table(heads, rows, 'mean')]


def by_part(facts: Facts, parts: Sequence[Part], title: str, page: str) -> List[str]:
    """Return AP by clip or camera, the lowest first.

    Args:
        facts: of the test.
        parts: a Part for each; the first frame of a clip is linked.
        title: 'clip' or 'camera'.
        page: path of the report.
    """
    if not parts:
        return []
    rows = []
    clips = title == 'clip'
    missed = np.bincount(facts.clip_of, facts.chosen.missed, len(facts.clips))
    wrong = np.bincount(facts.clip_of, facts.chosen.wrong, len(facts.clips))
    order = sorted(range(len(parts)), key=lambda i: (parts[i].mean_ap is None, parts[i].mean_ap))
    for i in order:
        part, name = parts[i], text(parts[i].name)
        row = [link(facts.clips[i].frame_path(0), name, page) if clips else name, str(part.ground_truths),
               number(part.mean_ap), bar(part.mean_ap), number(part.found / max(1, part.ground_truths))]
        rows.append(row + (['%d' % missed[i], '%d' % wrong[i]] if clips else []))
    heads = [title, 'objects', 'AP', '', 'recall at any score']
    if clips:
        heads += ['missed', 'wrong (score %.4g)' % facts.chosen.score]
    return ['<h2>AP by %s</h2><p class="note">The mean over the classes that occur there.</p>' % title,
            table(heads, rows)]


def curves(facts: Facts) -> List[str]:
    """Return the precision-recall curves; a dot marks the chosen score."""
    parts = ['<h2>Precision and recall</h2><p class="note">To the right recall, upwards precision; the dot is at a '
             'score of %.4g.</p>' % facts.chosen.score]
    counts = np.bincount(facts.truth.classes, minlength=len(facts.classes))
    shown = sorted((c for c in range(1, len(facts.classes)) if counts[c]), key=lambda c: -counts[c])
    for c in shown[:MOST_CURVES]:
        own = facts.outcomes.classes[c]
        places = np.flatnonzero(own.kinds == HIT)
        hits = np.arange(1.0, len(places) + 1)
        n = int((own.scores >= facts.chosen.score).sum())
        there = int((places < n).sum())
        parts.append(curve(np.concatenate([[0.0], hits / counts[c]]),
                           np.concatenate([(hits / (places + 1))[:1] if len(hits) else [0.0], hits / (places + 1)]),
                           '%s, AP %.1f' % (facts.classes[c], 100 * (facts.costs.ap[c] or 0)),
                           (there / counts[c], there / n) if n else None))
    if len(shown) > MOST_CURVES:
        parts.append('<p class="note">%d rarer classes are not drawn.</p>' % (len(shown) - MOST_CURVES))
    return parts


def confusion(facts: Facts) -> List[str]:
    """Return the confusion matrix of the classes with most objects or detections."""
    matrix = facts.chosen.confusion
    busy = np.argsort(-(matrix.sum(axis=0) + matrix.sum(axis=1))[1:], kind='stable')[:MOST_CONFUSED] + 1
    shown = sorted(busy.tolist())
    names = [text(facts.classes[c]) for c in shown]
    rows = [[names[i], *('<span class="hit">%d</span>' % matrix[c, d] if c == d else _count(matrix[c, d])
                         for d in shown), _count(matrix[c, 0])] for i, c in enumerate(shown)]
    rows.append(['no object found by it', *(_count(matrix[0, d]) for d in shown), ''])
    left_out = len(facts.classes) - 1 - len(shown)
    note = ' %d rarer classes are left out.' % left_out if left_out else ''
    return ['<h2>Confusion</h2><p class="note">Rows are what the objects are, columns what they were taken for, with '
            'a score of %.4g and more. The last row are doubles, and boxes off the mark or on nothing.%s</p>'
            % (facts.chosen.score, note), table(['', *names, 'missed'], rows)]


def _count(value):
    return str(value) if value else ''
