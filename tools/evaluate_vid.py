"""Evaluate saved detections: AP of every class, of slow, medium and fast objects, and their means.

    python tools/evaluate_vid.py --cfg FILE.yaml --image_set VID_val_videos --detections FILE
        [--json OUT] [--plots FOLDER] [--by-clip] [--cameras FILE]
    python tools/evaluate_vid.py --dataset FOLDER --classes FILE --image_set VID_val_videos
        --detections FILE
    python tools/evaluate_vid.py --cfg FILE.yaml --detections FOLDER [--seq-nms] [--rescore max]
    python tools/evaluate_vid.py --cfg FILE.yaml --tracks FILE

--tracks, alone or with --detections, evaluates ids: IDF1, MOTA, ID switches and fragments of what
a test with TEST.TRACK, or `dff run --mot`, wrote.

--numbers 51-101 restricts the evaluation to frames with these numbers; an image set that lists
only some frames does too. Speeds need track ids in the annotations: the mean IoU of an object's
box with its boxes in the 10 frames before and after.

FOLDER is that of a test run with TEST.SAVE_RAW: its boxes before NMS are evaluated, after NMS, and
with --seq-nms after Seq-NMS.
"""
import argparse
import contextlib
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from lib.config.config import detection_defaults_for, update_from_file  # noqa: E402
from lib.config.defaults import detection_defaults  # noqa: E402
from lib.dataset.formats.classes import load_classes  # noqa: E402
from lib.evaluation.coco_eval import coco_ap  # noqa: E402
from lib.evaluation.groups import by_clip  # noqa: E402
from lib.dataset.sets.imagenet_vid import ImageNetVID  # noqa: E402
from lib.dataset.registry import get_dataset  # noqa: E402
from lib.evaluation.track_eval import evaluate_tracks  # noqa: E402
from lib.evaluation.tracks_file import read_tracks  # noqa: E402
from lib.evaluation.vid_eval import evaluate  # noqa: E402
from lib.evaluation.vid_eval_files import write_csv, write_plots  # noqa: E402
from lib.boxes.seq_nms import selection_of  # noqa: E402
from lib.inference.clip_results import write_saved  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from lib.utils.paths import resolve  # noqa: E402
from dff.errors import ConfigError, DataError  # noqa: E402
from dff.files import read_json, write_json  # noqa: E402
from dff.tracking.seq_nms import RESCORE  # noqa: E402


def add_dataset_flags(parser):
    """Add the flags that say what to compare with; also those of tools/report.py."""
    parser.add_argument('--cfg', metavar='FILE.yaml',
                        help='settings of the experiment, for the data set and its classes')
    parser.add_argument('--dataset', metavar='FOLDER', help='instead of --cfg: a data set in the ILSVRC2015 layout')
    parser.add_argument(
        '--classes', metavar='FILE',
        help='with --dataset: `id name` lines; without, the 30 ImageNet VID classes')
    parser.add_argument(
        '--image_set', metavar='SET',
        help='as in ImageSets/SET.txt; with --cfg by default the one that the test next to '
             'DETECTIONS was on, as its data set, else its dataset.test_image_set')


def check_dataset_flags(args):
    """Raise ConfigError where those flags contradict each other."""
    if (args.cfg is None) == (args.dataset is None):
        raise ConfigError('give either --cfg FILE.yaml or --dataset FOLDER')
    if args.cfg is not None and args.classes is not None:
        raise ConfigError('--classes goes with --dataset; with --cfg, dataset.CLASSES says the classes')
    if args.dataset is not None and args.image_set is None:
        raise ConfigError('--dataset needs --image_set, for instance VID_val_videos')


def parse_arguments(arguments=None):
    """The command line; raises ConfigError where neither --cfg nor --dataset says what to compare with."""
    parser = argparse.ArgumentParser(description='Evaluate saved detections: AP of every class and their mean.')
    add_dataset_flags(parser)
    parser.add_argument('--tracks', metavar='FILE',
                        help='tracks, lines of `frame_number,id,left,top,width,height,score,class`')
    parser.add_argument('--detections', metavar='FILE',
                        help='lines of `frame_number class_index score x1 y1 x2 y2`, or the folder '
                             'of a test run with TEST.SAVE_RAW')
    parser.add_argument('--seq-nms', action='store_true',
                        help='boxes of a clip that follow each other share a score (Seq-NMS), '
                             'before NMS; for the folder of a test run')
    parser.add_argument('--rescore', choices=RESCORE,
                        help='with --seq-nms: the mean of the scores or the largest (default: '
                             'TEST.SEQ_NMS_RESCORE of --cfg, else avg)')
    parser.add_argument('--numbers', metavar='FIRST-LAST', help='evaluate only the frames with these numbers')
    parser.add_argument('--by-clip', action='store_true', help='also AP of every clip')
    parser.add_argument('--cameras', metavar='FILE',
                        help='also AP of every camera, by lines of `camera clip ...`, * for any letters')
    parser.add_argument('--json', metavar='OUT', help='write the result to this file too')
    parser.add_argument('--csv', metavar='OUT', help='write a table to this file: a row a class')
    parser.add_argument('--plots', metavar='FOLDER', help='draw precision-recall curves there')
    parser.add_argument(
        '--coco', action='store_true',
        help='also AP@[.5:.95] by the rules of COCO; not streamed: 48 bytes of memory a '
        'detection, and pycocotools takes about 1 kB for each of one class (needs requirements-coco.txt)'
    )
    args = parser.parse_args(arguments)
    check_dataset_flags(args)
    if args.rescore is not None and not args.seq_nms:
        raise ConfigError('--rescore goes with --seq-nms')
    if args.detections is None:
        given = [flag for flag in ('numbers', 'csv', 'plots', 'coco', 'seq_nms', 'by_clip', 'cameras')
                 if getattr(args, flag)]
        if args.tracks is None or given:
            raise ConfigError('%s --detections FILE' % (
                '--%s needs' % given[0].replace('_', '-') if given else 'give --tracks FILE or'))
    if args.numbers and (args.by_clip or args.cameras):
        raise ConfigError('--by-clip and --cameras are of whole clips: leave --numbers out')
    args.numbers = _numbers(args.numbers)
    return args


def _numbers(text):
    if text is None:
        return None
    match = re.fullmatch(r'(\d+)-(\d+)', text)
    if not match or int(match.group(1)) > int(match.group(2)):
        raise ConfigError('--numbers: expected FIRST-LAST, as in 51-101; found %r' % text)
    return int(match.group(1)), int(match.group(2))


def load_settings(args):
    """The settings that the command line names, else the defaults. Raises ConfigError."""
    cfg = detection_defaults() if args.cfg is None else detection_defaults_for(args.cfg)
    if args.cfg is not None:
        update_from_file(cfg, args.cfg)
    return cfg


def take_data_of_test(args, cfg, path):
    """Set args.image_set and the folder of the data set to what the test was on that wrote `path`.

    Frame numbers count the frames of one image set: by another one they would be those of other frames. A line says so
    where the settings name others.

    Args:
        args: parsed arguments; with --image_set that stays, with --dataset all.
        cfg: of load_settings, changed.
        path: of detections or tracks, or a test's folder.
    """
    if args.cfg is None:
        return
    folder = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
    tested = _of_file(folder, 'made_with.json', 'dataset')
    data = tested.get('dataset_path') if isinstance(tested, dict) else None
    # One that is gone was moved, to where the settings say.
    if isinstance(data, str) and os.path.isdir(resolve(data)) and not _is_same(data, cfg.dataset.dataset_path):
        print('%s is of a test on the data set %s, which is taken instead of %s; --dataset names another one'
              % (path, data, cfg.dataset.dataset_path), file=sys.stderr)
        cfg.dataset.dataset_path = data
    image_set = _of_file(folder, 'results.json', 'image_set')
    if args.image_set is None and isinstance(image_set, str) and image_set != cfg.dataset.test_image_set:
        print('%s is of a test on %s, which is taken instead of %s; --image_set names another one'
              % (path, image_set, cfg.dataset.test_image_set), file=sys.stderr)
        args.image_set = image_set


def _of_file(folder, name, key):
    """The entry `key` of a file of a test; None where there is none: of no test, or of one that has not ended."""
    return (read_json(os.path.join(folder, name)) or {}).get(key)


def _is_same(path, other):
    return os.path.realpath(resolve(path)) == os.path.realpath(resolve(other))


def open_dataset(args, cfg):
    """The data set that the command line names. Raises ConfigError, DataError."""
    if args.cfg is None:
        classes = load_classes(None if args.classes is None else os.path.abspath(args.classes))
        return ImageNetVID(args.image_set, args.dataset, classes)
    return get_dataset(cfg, args.image_set or cfg.dataset.test_image_set, 'detection')


@contextlib.contextmanager
def detections_file(args, cfg, num_classes):
    """Yield the path of a detections file: --detections, or one made of boxes that a test saved.

    Args:
        args: parsed arguments.
        cfg: of load_settings.
        num_classes: with the background.

    Raises DataError.
    """
    if not args.seq_nms and not os.path.isdir(args.detections):
        yield args.detections
        return
    selection = selection_of(cfg, thresh=0.0)
    selection = selection._replace(
        rescore=(args.rescore or cfg.TEST.SEQ_NMS_RESCORE) if args.seq_nms else None)
    with tempfile.NamedTemporaryFile('w', suffix='.txt', encoding='ascii') as stream:
        write_saved(args.detections, num_classes, selection, stream)
        stream.flush()
        yield stream.name


def main():
    """Entry point."""
    args = parse_arguments()
    cfg = load_settings(args)
    take_data_of_test(args, cfg, args.detections or args.tracks)
    dataset = open_dataset(args, cfg)
    truth = dataset.ground_truth()
    tracks = None
    if args.tracks:
        tracks = evaluate_tracks(truth, read_tracks(args.tracks, len(dataset.classes)), dataset.classes)
        print('\n'.join(tracks.lines()))
    written = {'tracks': tracks.as_dict()} if tracks else {}
    if args.detections is None:
        _write_json(args.json, written)
        return
    with detections_file(args, cfg, len(dataset.classes)) as path:
        coco = coco_ap(truth, path, dataset.classes, args.numbers) if args.coco else None
        result = evaluate(truth, path, dataset.classes, args.numbers)
        parts = {}
        if args.by_clip:
            parts['clips'] = by_clip(dataset, path)
        if args.cameras:
            parts['cameras'] = by_clip(dataset, path, args.cameras)
    result.coco = coco
    print('\n'.join([part.line() for group in parts.values() for part in group] + result.lines()))
    written.update((name, {part.name: part.mean_ap for part in group}) for name, group in parts.items())
    _write_json(args.json, dict(result.as_dict(), **written))
    try:
        if args.csv:
            write_csv(result, args.csv)
        if args.plots:
            print('%d plots in %s' % (len(write_plots(result, args.plots)), args.plots), file=sys.stderr)
    except OSError as error:
        raise DataError('cannot write %s: %s' % (error.filename, error.strerror)) from None


def _write_json(path, content):
    if path:
        try:
            write_json(path, content)
        except OSError as error:
            raise DataError('cannot write %s: %s' % (path, error.strerror)) from None


if __name__ == '__main__':
    run(main)
