"""Evaluation results as files: a table, and precision-recall plots."""
import csv
import os
import re

import numpy as np
from matplotlib.figure import Figure

from dff.files import atomic_path


def write_csv(result, path):
    """Write a vid_eval.Result as a table: a row a class, then the mean; columns class, AP, boxes, detections, AP by speed, COCO's AP."""
    speeds, coco = list(result.speeds), result.coco
    header = ['class', 'ap', 'ground_truths', 'detections'] + ['ap_' + name for name in speeds] + (['coco_ap'] if coco else [])
    rows = [[name, ap, result.ground_truths[name], result.detections[name]] + [result.speeds[speed].ap[name] for speed in speeds]
            + ([coco['classes'][name]] if coco else []) for name, ap in result.ap.items()]
    rows.append(['mean', result.mean_ap, sum(result.ground_truths.values()), sum(result.detections.values())]
                + [result.speeds[speed].mean_ap for speed in speeds] + ([coco['AP']] if coco else []))
    with atomic_path(path) as temporary:
        with open(temporary, 'w', encoding='utf-8', newline='') as stream:
            csv.writer(stream, lineterminator='\n').writerows([header] + rows)      # None: an empty field


def write_plots(result, folder):
    """Draw the precision-recall curve of every class that has ground truth, and of all in one; returns the paths."""
    figure = Figure(figsize=(8, 6))
    together, paths = figure.add_subplot(), []
    for i, (name, ap) in enumerate(result.ap.items(), 1):
        if not result.ground_truths[name]:
            continue
        recall, precision = curve(result.ranks[name], result.ground_truths[name])
        label = '%s, AP %.3f' % (name, ap)
        together.plot(recall, precision, linewidth=1, label=label)
        single = Figure(figsize=(5, 4))
        axes = single.add_subplot()
        axes.plot(recall, precision)
        paths.append(_save(single, axes, label, os.path.join(folder, '%03d_%s.png' % (i, re.sub(r'[^\w-]+', '_', name)))))
    if len(paths) <= 30:
        together.legend(fontsize=6, ncol=2)
    return [_save(figure, together, 'mean AP@0.5 = %.4f' % result.mean_ap, os.path.join(folder, 'all.png'))] + paths


def curve(ranks, positives):
    """(recall, precision) for plotting, at every hit, from recall 0 on; ranks and positives as of vid_eval.average_precision."""
    true = np.arange(1.0, len(ranks) + 1)
    precision = true / ranks
    return np.concatenate([[0.0], true / positives]), np.concatenate([precision[:1] if len(ranks) else [0.0], precision])


def _save(figure, axes, title, path):
    axes.set(xlabel='recall', ylabel='precision', xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title(title.replace('$', r'\$'))
    axes.grid(alpha=0.3)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100)
    return path
