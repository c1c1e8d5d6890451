"""Evaluation results as files: a table, and precision-recall plots."""
import csv
import os
import re
from typing import Any, List, Tuple

import numpy as np
from matplotlib.figure import Figure

from lib.evaluation.vid_eval import Result
from dff.files import atomic_path


def write_csv(result: Result, path: str) -> None:
    """Write a result as a table to `path`: a row a class, then the mean.

    Columns: class, AP, boxes, detections, AP by speed, COCO's AP; the last two where `result` has
    them.
    """
    speeds, coco = result.speeds.values(), result.coco
    rows: List[List[Any]] = [['class', 'ap', 'ground_truths', 'detections', *('ap_' + name for name in result.speeds)]]
    rows += [[name, ap, result.ground_truths[name], result.detections[name], *(speed.ap[name] for speed in speeds)]
             for name, ap in result.ap.items()]
    rows.append(['mean', result.mean_ap, sum(result.ground_truths.values()), sum(result.detections.values()),
                 *(speed.mean_ap for speed in speeds)])
    if coco:
        for row, value in zip(rows, ['coco_ap', *(coco['classes'][name] for name in result.ap), coco['AP']]):
            row.append(value)
    with atomic_path(path) as temporary:
        with open(temporary, 'w', encoding='utf-8', newline='') as stream:
            csv.writer(stream, lineterminator='\n').writerows(rows)      # None: an empty field


def write_plots(result: Result, folder: str) -> List[str]:
    """Draw the precision-recall curve of every class of `result` that has ground truth, and of all
    in one.

    Return the paths of the PNG files, which lie in `folder`.
    """
    figure = Figure(figsize=(8, 6))
    together = figure.add_subplot()
    paths: List[str] = []
    for i, (name, ap) in enumerate(result.ap.items(), 1):
        if ap is None or not result.ground_truths[name]:
            continue
        recall, precision = curve(result.ranks[name], result.ground_truths[name])
        label = '%s, AP %.3f' % (name, ap)
        together.plot(recall, precision, linewidth=1, label=label)
        single = Figure(figsize=(5, 4))
        axes = single.add_subplot()
        axes.plot(recall, precision)
        file = '%03d_%s.png' % (i, re.sub(r'[^\w-]+', '_', name))
        paths.append(_save(single, axes, label, os.path.join(folder, file)))
    if len(paths) <= 30:
        together.legend(fontsize=6, ncol=2)
    return [_save(figure, together, 'mean AP@0.5 = %.4f' % result.mean_ap, os.path.join(folder, 'all.png'))] + paths


def curve(ranks: np.ndarray, positives: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return (recall, precision) for plotting, at every hit, from recall 0 on.

    ranks, positives: as of vid_eval.average_precision.
    """
    true = np.arange(1.0, len(ranks) + 1)
    precision = true / ranks
    start = precision[:1] if len(ranks) else [0.0]
    return np.concatenate([[0.0], true / positives]), np.concatenate([start, precision])


def _save(figure, axes, title, path):
    axes.set(xlabel='recall', ylabel='precision', xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title(title.replace('$', r'\$'))
    axes.grid(alpha=0.3)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100)
    return path
