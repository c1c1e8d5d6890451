"""Ids on clips of people, from their annotated boxes some dropped and all jittered, against a plain IoU tracker.

    python benchmarks/track_ids.py ../shared/video/person [--drop 0.1] [--jitter 0.05] [--seeds 5]

The folder has <clip>.mp4 or .avi next to <clip>.txt, MOT Challenge text. The trackers:

    plain IoU              a box joins the track whose box of the frame before overlaps it most, by 0.5 at least; a
                           track that finds none ends (Bochinski et al. 2017, without its limits of score and length)
    ours, boxes alone      dff.tracking, as where networks hand out no flow
    ours, along the flow   the same with the flow to the key frame, in cells of 16 pixels as the networks give it; it
                           is OpenCV's DIS, since the clips need no network here
"""
import argparse
import glob
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from dff.boxes import overlaps  # noqa: E402
from dff.errors import DataError  # noqa: E402
from dff.frames import Frame  # noqa: E402
from dff.sources import open_frames  # noqa: E402
from dff.tracking.follow import Follower  # noqa: E402
from dff.tracking.motion import STRIDE  # noqa: E402
from dff.tracking.tracker import Tracker, best_pairs  # noqa: E402
from lib.evaluation.track_eval import evaluate_tracks  # noqa: E402
from lib.evaluation.tracks_file import Tracks  # noqa: E402
from lib.evaluation.vid_eval import GroundTruth  # noqa: E402
from lib.utils.cli import run  # noqa: E402

VIDEOS = '.mp4', '.avi'
SCORE = 0.9
CLASSES = ['__background__', 'person']


def annotated(path):
    """Return (frames, ids, boxes) of MOT Challenge text: int64 [n] from 0, int64 [n], float64 [n, 4] inclusive."""
    table = np.loadtxt(path, delimiter=',', ndmin=2)
    table = table[table[:, 6] > 0]
    corner = table[:, 2:4] - 1
    return (table[:, 0].astype(np.int64) - 1, table[:, 1].astype(np.int64),
            np.hstack([corner, corner + table[:, 4:6] - 1]))


def disturbed(frames, boxes, drop, jitter, seed):
    """Return {frame: detections [n, 6]} of annotated `boxes` in their `frames`, a share `drop` of them left out.

    jitter: standard deviation of the centre and of the logarithm of the sides, relative to the sides; seed:
    of both.
    """
    random = np.random.RandomState(seed)
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    centres = boxes[:, :2] + sides / 2 + random.randn(len(boxes), 2) * jitter * sides
    sides = sides * np.exp(random.randn(len(boxes), 2) * jitter)
    rows = np.column_stack([np.ones(len(boxes)), np.full(len(boxes), SCORE), centres - sides / 2,
                            centres + sides / 2 - 1])
    kept = random.rand(len(boxes)) >= drop
    return {frame: rows[kept & (frames == frame)] for frame in np.unique(frames).tolist()}


def flows_to_key_frames(images, interval):
    """Return [float32 [2, h, w] of cells, or None of a key frame] for each of the BGR `images`."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    found, key = [], None
    for number, image in enumerate(images):
        height, width = image.shape[:2]
        # The cells are so much larger than pixels that half of these are enough.
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (width // 2, height // 2),
                          interpolation=cv2.INTER_AREA)
        if number % interval == 0:
            key = grey
            found.append(None)
            continue
        flow = dis.calc(grey, key, None)
        cells = cv2.resize(flow, (width // STRIDE, height // STRIDE), interpolation=cv2.INTER_AREA) * 2 / STRIDE
        found.append(np.ascontiguousarray(cells.transpose(2, 0, 1)))
    return found


def plain_iou(detections, length):
    """Yield the ids of each frame, by overlap with the frame before alone."""
    boxes, ids, following = np.empty((0, 4)), np.empty(0, np.int64), 1
    for frame in range(length):
        rows = detections.get(frame, np.empty((0, 6)))
        own = np.zeros(len(rows), np.int64)
        for row, column in best_pairs(overlaps(rows[:, 2:], boxes), 0.5):
            own[row] = ids[column]
        new = own == 0
        own[new] = following + np.arange(new.sum())
        following += int(new.sum())
        boxes, ids = rows[:, 2:], own
        yield own


def ours(detections, length, interval, flows=None):
    """Yield the ids of each frame by dff.tracking.

    Args:
        detections: of disturbed.
        length: frames of the clip.
        interval: of key frames.
        flows: of flows_to_key_frames; None: boxes alone.
    """
    follower = Follower(Tracker())
    image = np.empty((0, 0, 3), np.uint8)
    frame = Frame(image, image, np.ones((1, 3), np.float32))
    for number in range(length):
        rows = detections.get(number, np.empty((0, 6)))
        first = number % interval == 0
        if flows is None:
            yield follower(rows, frame, True, None, first)
        else:
            yield follower(rows, frame, first, flows[number], first)


def score(truth, detections, ids):
    """Return the Counts of `ids`, an iterable of each frame's, of `detections` against the GroundTruth `truth`."""
    # As a file of tracks has it: what has no id is none of theirs.
    parts = [(np.full(np.count_nonzero(own), frame), own[own > 0], detections[frame][own > 0, 2:])
             for frame, own in enumerate(ids) if len(own)]
    frames, numbers, boxes = (np.concatenate(column) for column in zip(*parts))
    tracks = Tracks(frames, numbers, boxes, np.ones(len(frames), np.int64))
    return evaluate_tracks(truth, tracks, CLASSES).total


def measure(folder, args):
    """Print a table of all clips in `folder`."""
    videos = sorted(path for ending in VIDEOS for path in glob.glob(os.path.join(folder, '*' + ending))
                    if os.path.isfile(os.path.splitext(path)[0] + '.txt'))
    if not videos:
        raise DataError('%s holds no video (%s) with a .txt of its boxes next to it' % (folder, ', '.join(VIDEOS)))
    print('%g %% of the boxes dropped, jitter %g of their sides, mean of %d seeds, an interval of %d\n'
          % (100 * args.drop, args.jitter, args.seeds, args.interval))
    print('| clip | tracker | IDF1 | MOTA | ID switches | fragments |\n|---|---|---|---|---|---|')
    for path in videos:
        name = os.path.splitext(os.path.basename(path))[0]
        frames, ids, boxes = annotated(os.path.splitext(path)[0] + '.txt')
        order = np.argsort(frames, kind='stable')
        frames, ids, boxes = frames[order], ids[order], boxes[order]
        flows = flows_to_key_frames(open_frames(path), args.interval)
        length = len(flows)
        offsets = np.searchsorted(frames, np.arange(length + 1))
        truth = GroundTruth(np.arange(length), offsets, boxes, np.ones(len(boxes), np.int64), tracks=ids)
        totals = {}
        for seed in range(args.seeds):
            found = disturbed(frames, boxes, args.drop, args.jitter, seed)
            for tracker, given in (('plain IoU', plain_iou(found, length)),
                                   ('ours, boxes alone', ours(found, length, args.interval)),
                                   ('ours, along the flow', ours(found, length, args.interval, flows))):
                totals.setdefault(tracker, []).append(score(truth, found, given))
        for tracker, counts in totals.items():
            print('| %s | %s | %s |' % (name, tracker, ' | '.join(means(counts))), flush=True)


def means(counts):
    """Return the cells of a row: means of a list of Counts."""
    def mean(get):
        return float(np.mean([get(each) for each in counts]))
    return ['%.4f' % mean(lambda each: each.idf1), '%.4f' % mean(lambda each: each.mota),
            '%.0f' % mean(lambda each: each.switches), '%.0f' % mean(lambda each: each.fragments)]


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('folder', metavar='FOLDER', help='videos and their boxes')
    parser.add_argument('--drop', type=float, default=0.1, metavar='SHARE', help='of the boxes (default 0.1)')
    parser.add_argument('--jitter', type=float, default=0.05, metavar='SHARE', help='of their sides (default 0.05)')
    parser.add_argument('--interval', type=int, default=10, metavar='N', help='of key frames (default 10)')
    parser.add_argument('--seeds', type=int, default=5, metavar='N', help='to take the mean of (default 5)')
    args = parser.parse_args()
    measure(args.folder, args)


if __name__ == '__main__':
    run(main)
