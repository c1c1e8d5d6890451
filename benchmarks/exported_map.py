"""Mean AP of an exported detector on the test set of its settings, in each engine and precision that can run here.

    python benchmarks/exported_map.py FOLDER --cfg experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml [--interval 10]

FOLDER is what tools/export_model.py --format onnx --precision int8 wrote. The first row, MXNet in float32, is what
the others are compared with.
"""
import argparse
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib  # noqa: E402,F401  before MXNet

import dff  # noqa: E402
from dff.errors import DFFError  # noqa: E402
from dff.sources import image_frames  # noqa: E402
from lib.inference.clip_results import format_detections  # noqa: E402
from lib.inference.testing import TestOptions  # noqa: E402
from lib.tasks.task import task_of  # noqa: E402
from lib.utils.argument_types import positive  # noqa: E402
from lib.utils.cli import run  # noqa: E402

RUNS = [('mxnet', 'float32'), ('onnxruntime', 'float32'), ('onnxruntime', 'int8'), ('openvino', 'float32'),
        ('openvino', 'int8')]
LOWEST = 1e-3       # score, as in a test


def mean_ap(model, dataset, interval, path):
    """Return the mean AP of a Model on `dataset`, of detection.

    interval: of key frames, None: the model's; path: of the detections file that is written.
    """
    with open(path, 'w', encoding='ascii') as stream:
        for clip in dataset.clips():
            images = image_frames(clip.frame_path(index) for index in range(clip.length))
            for result in model(images, interval=interval, thresh=LOWEST, track=False):
                stream.write(format_detections(clip.first_number + result.index, result.detections))
    return dataset.evaluate(path).mean_ap


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', metavar='FOLDER', help='that tools/export_model.py --format onnx wrote')
    parser.add_argument('--cfg', required=True, metavar='FILE.yaml', help='settings with the test set')
    parser.add_argument('--interval', type=positive, metavar='N', help="of key frames (default: the model's)")
    args = parser.parse_args()
    task = task_of(args.cfg)
    task.load_symbols()
    task.update_config(args.cfg)
    dataset, first = task.kind.test_run(task, task.config, TestOptions()).dataset, None
    print('| engine | precision | mAP@0.5 | points from the first |\n|---|---|---|---|', flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for engine, precision in RUNS:
            try:
                model = dff.load(args.folder, backend=engine, precision=precision)
            except DFFError as error:
                print('left out: %s, %s (%s)' % (engine, precision, error))
                continue
            found = mean_ap(model, dataset, args.interval, os.path.join(folder, 'detections.txt'))
            first = found if first is None else first
            print('| %s | %s | %.4f | %+.2f |' % (engine, precision, found, 100 * (found - first)), flush=True)


if __name__ == '__main__':
    run(main)
