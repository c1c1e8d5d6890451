"""Times the evaluation of saved detections: OMP_NUM_THREADS=2 python benchmarks/evaluation.py [--frames 176126]

Makes a data set of that many frames with annotations and a detections file with --per_frame
detections for each, runs tools/evaluate_vid.py on it, and gives time and peak memory of that
command. Then compares lib/evaluation/vid_eval.py with a loop over single boxes on --loop_frames
frames: same AP, and how many times faster. A --folder keeps the set, which takes longer to make
than to evaluate, for the next time.
"""
import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import numpy as np  # noqa: E402

from lib.inference.clip_results import format_detections  # noqa: E402
from lib.dataset.formats.classes import load_classes  # noqa: E402
from lib.evaluation.vid_eval import GroundTruth, evaluate  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from dff.errors import ConfigError, DFFError  # noqa: E402
from lib.utils.progress import progress_bar  # noqa: E402

SIZE = (1280, 720)
CLIP = 317              # frames: the average of the 555 validation clips of ImageNet VID
XML = (
    '<annotation><folder>%s</folder><filename>%06d</filename><size><width>1280</width><height>720</height></size>%s</annotation>'
)
OBJECT = (
    '<object><trackid>%d</trackid><name>%s</name><bndbox><xmax>%d</xmax><xmin>%d</xmin><ymax>%d</ymax><ymin>%d</ymin></bndbox>'
    '<occluded>0</occluded><generated>0</generated></object>')


class Scene:
    """One to three objects of one class that move through a clip, and what a detector finds.

    Args:
        rng: np.random.RandomState.
        class_ids: of all classes, background first.
        per_frame: detections in each frame.
    """

    def __init__(self, rng, class_ids, per_frame):
        self.label = rng.randint(1, len(class_ids))
        corner = rng.uniform(0, (900, 500), (rng.randint(1, 4), 2))
        box = np.hstack([corner, corner + rng.uniform(40, 200, corner.shape)])
        speed = np.tile(rng.uniform(-0.6, 0.6, corner.shape), 2)
        self.boxes = [np.clip(np.round(box + i * speed), 0, [side - 1 for side in SIZE * 2]) for i in range(CLIP)]
        self.objects = [
            ''.join(OBJECT % (track, class_ids[self.label], x2, x1, y2, y1)
                    for track, (x1, y1, x2, y2) in enumerate(boxes))
            for boxes in self.boxes
        ]
        self._detections = [
            format_detections(0, self._find(rng, boxes, len(class_ids), per_frame))[1:]
            for boxes in self.boxes
        ]

    def _find(self, rng, boxes, num_classes, count):
        """[count, 6]: class, score, x1, y1, x2, y2. Three near each object, the others anywhere and of any class."""
        near = min(3 * len(boxes), count)
        corner = rng.uniform(0, (1000, 600), (count, 2))
        found = np.hstack([rng.randint(1, num_classes, (count, 1)), rng.beta(0.5, 8, (count, 1)),
                           corner, corner + rng.uniform(5, 120, (count, 2))])
        found[:near, 0], found[:near, 1] = self.label, rng.uniform(0, 1, near)
        found[:near, 2:] = np.tile(boxes, (3, 1))[:near] + rng.normal(0, 12, (near, 4))
        return found

    def lines(self, i, number):
        """Lines of a detections file for frame `i` of the clip under its number."""
        return '%d%s\n' % (number, self._detections[i][:-1].replace('\n0', '\n%d' % number))


def make_set(folder, frames, per_frame, class_ids, seed=0):
    """Write a data set and detections; return (the GroundTruth, path of the detections).

    Twenty scenes take turns: writing the text of new ones would take longer than everything that
    is measured.

    Args:
        folder: to write below; ImageSets must not be there.
        frames: how many.
        per_frame: detections in each.
        class_ids: of all classes, background first.
        seed: of everything that is drawn.
    """
    rng = np.random.RandomState(seed)
    scenes = [Scene(rng, class_ids, per_frame) for _ in range(min(20, -(-frames // CLIP)))]
    os.makedirs(os.path.join(folder, 'ImageSets'))
    videos, boxes, classes = [], [], []
    path = os.path.join(folder, 'detections.txt')
    with open(path, 'w', encoding='ascii') as stream:
        for clip, start in enumerate(
                progress_bar(range(0, frames, CLIP), desc='making the set', unit='clip',
                             leave=False)):
            name, length, scene = 'val/clip_%06d' % start, min(CLIP, frames - start), scenes[clip % len(scenes)]
            videos.append('%s %d 0 %d\n' % (name, start + 1, length))
            target = os.path.join(folder, 'Annotations', 'VID', name)
            os.makedirs(target)
            for i in range(length):
                with open(os.path.join(target, '%06d.xml' % i), 'w', encoding='ascii') as annotation:
                    annotation.write(XML % (name, i, scene.objects[i]))
                stream.write(scene.lines(i, start + i + 1))
            boxes += scene.boxes[:length]
            classes += [scene.label] * length
    with open(os.path.join(folder, 'ImageSets', 'VID_val_videos.txt'), 'w', encoding='ascii') as stream:
        stream.writelines(videos)
    counts = [len(own) for own in boxes]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return GroundTruth(np.arange(1, frames + 1), offsets, np.concatenate(boxes), np.repeat(classes, counts)), path


def loop_over_boxes(truth, path, num_classes):
    """Return the same figures, one box at a time in plain Python: [AP] by class from 1.

    Args:
        truth: GroundTruth.
        path: of the detections.
        num_classes: with the background.
    """
    found = [{} for _ in range(num_classes)]
    with open(path, encoding='ascii') as stream:
        for line in stream:
            number, label, score, x1, y1, x2, y2 = line.split()
            found[int(label)].setdefault(int(number), []).append(
                (float(score), float(x1), float(y1), float(x2), float(y2)))
    wanted = [{} for _ in range(num_classes)]
    for i, number in enumerate(truth.frames.tolist()):
        for row in range(truth.offsets[i], truth.offsets[i + 1]):
            wanted[truth.classes[row]].setdefault(number, []).append(truth.boxes[row].tolist())
    result = []
    for c in range(1, num_classes):
        hits = []
        for number in sorted(found[c]):
            hits += _loop_over_frame(found[c][number], wanted[c].get(number, []))
        result.append(_loop_average_precision(hits, sum(len(boxes) for boxes in wanted[c].values())))
    return result


def _loop_over_frame(found, wanted):
    """[(-score, whether it is a hit)] of the detections of one class in one frame."""
    rows, taken = [], set()
    for score, x1, y1, x2, y2 in sorted(found, key=lambda item: -item[0]):
        best, best_overlap = None, 0.0
        for j, (a1, b1, a2, b2) in enumerate(wanted):
            width, height = min(x2, a2) - max(x1, a1) + 1, min(y2, b2) - max(y1, b1) + 1
            if j in taken or width <= 0 or height <= 0:
                continue
            w, h = a2 - a1 + 1, b2 - b1 + 1
            overlap = width * height / ((x2 - x1 + 1) * (y2 - y1 + 1) + w * h - width * height)
            if overlap >= min(0.5, w * h / ((w + 10) * (h + 10))) and overlap > best_overlap:
                best, best_overlap = j, overlap
        if best is not None:
            taken.add(best)
        rows.append((-score, best is not None))
    return rows


def _loop_average_precision(hits, positives):
    hits.sort(key=lambda item: item[0])
    precisions, true = [], 0
    for place, (_, hit) in enumerate(hits, 1):
        if hit:
            true += 1
            precisions.append(true / place)
    total, highest = 0.0, 0.0
    for precision in reversed(precisions):
        highest = max(highest, precision)
        total += highest
    return total / positives if positives else None if hits else 0.0


def time_command(folder, per_frame, frames):
    """Run tools/evaluate_vid.py on a set; print its time and peak memory.

    folder, per_frame and frames are those of make_set.
    """
    tool = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tools', 'evaluate_vid.py')
    command = [sys.executable, tool, '--dataset', folder, '--image_set', 'VID_val_videos',
               '--detections', os.path.join(folder, 'detections.txt')]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, universal_newlines=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise DFFError('tools/evaluate_vid.py ended with status %d' % done.returncode)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        'tools/evaluate_vid.py, %d frames, %d detections (%.2f GB of text), annotations and all: '
        '%.1f s, processor %.1f s, peak %.0f MiB'
        % (frames, frames * per_frame, os.path.getsize(command[-1]) / 1e9, seconds,
           usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))
    print(done.stdout.splitlines()[-1])


def compare(folder, per_frame, frames, repeats=5):
    """Time `evaluate` and the loop on the same set; print both and their ratio.

    folder, per_frame and frames are those of make_set; repeats: timed pairs.
    """
    classes = load_classes()
    truth, path = make_set(folder, frames, per_frame, classes.ids)
    times = {'loop': [], 'here': []}
    for _ in range(repeats):
        start = time.perf_counter()
        expected = loop_over_boxes(truth, path, len(classes))
        middle = time.perf_counter()
        result = evaluate(truth, path, classes.names)
        times['loop'].append(middle - start)
        times['here'].append(time.perf_counter() - middle)
    differences = [abs(a - b) for a, b in zip(expected, result.ap.values()) if a is not None]
    if max(differences) > 1e-12 or [a is None for a in expected] != [b is None for b in result.ap.values()]:
        raise DFFError('the loop and the evaluation differ: %s, %s' % (expected, result.ap))
    loop, here = (np.median(times[name]) for name in ('loop', 'here'))
    print(
        'the same AP from a loop over boxes, %d frames, %d detections, medians of %d: %.2f s; '
        'lib/evaluation/vid_eval.py %.3f s; %.1f times as fast (aim: 20)'
        % (frames, frames * per_frame, repeats, loop, here,
           np.median(np.divide(times['loop'], times['here']))))


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--frames', type=int, default=176126, help='of the set (default 176126: ImageNet VID val)')
    parser.add_argument('--per_frame', type=int, default=300, help='detections in each (default 300)')
    parser.add_argument('--loop_frames', type=int, default=2000,
                        help='frames to compare with a Python loop on (default 2000)')
    parser.add_argument('--folder', help='keep the set there and use it again (default: a temporary folder, removed)')
    arguments = parser.parse_args()
    if min(arguments.frames, arguments.per_frame, arguments.loop_frames) < 1:
        raise ConfigError('--frames, --per_frame and --loop_frames must be at least 1')
    with tempfile.TemporaryDirectory() as temporary:
        compare(os.path.join(temporary, 'small'), arguments.per_frame, arguments.loop_frames)
        folder = os.path.join(arguments.folder or temporary, '%dx%d' % (arguments.frames, arguments.per_frame))
        if not os.path.isdir(folder):
            make_set(folder + '.part', arguments.frames, arguments.per_frame, load_classes().ids)
            os.rename(folder + '.part', folder)
        time_command(folder, arguments.per_frame, arguments.frames)


if __name__ == '__main__':
    run(main)
