"""Put a trained network into one folder that the demos run without a YAML file: python tools/export_model.py --help

    python tools/export_model.py dff_rfcn --cfg experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml --output model/toy_vid
    python dff_rfcn/demo.py --model model/toy_vid --input VIDEO
"""
import importlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
from lib.config.cli import apply_arguments, base_parser  # noqa: E402
from lib.engine.checkpoint import file_name, load_params  # noqa: E402
from lib.inference.exported import export_model  # noqa: E402
from lib.apps.flags import INTERVAL, positive  # noqa: E402
from lib.inference.predictor import load_test_params  # noqa: E402
from lib.inference.tester import parameter_file  # noqa: E402
from lib.dataset.registry import get_class_list  # noqa: E402
from lib.symbols.registry import get_symbol_instance  # noqa: E402
from lib.utils.cli import run  # noqa: E402

TASKS = {'rfcn': 'detection', 'dff_rfcn': 'detection', 'deeplab': 'segmentation', 'dff_deeplab': 'segmentation'}


def parse_arguments():
    parser = base_parser(__doc__.split('\n')[0])
    parser.add_argument('task', choices=list(TASKS))
    parser.add_argument('--model', metavar='PREFIX', help=(
        'parameters are PREFIX-%%04d.params (default: what training with FILE.yaml wrote)'))
    parser.add_argument('--epoch', type=int, default=0, metavar='N', help='number in their name, with --model (default 0)')
    parser.add_argument('--interval', type=positive, metavar='N', help='%s; overrides TEST.KEY_FRAME_INTERVAL' % INTERVAL)
    parser.add_argument('--output', required=True, metavar='FOLDER', help='the folder to write')
    return parser.parse_args()


def main():
    args = parse_arguments()
    importlib.import_module(args.task + '.symbols')
    settings = importlib.import_module(args.task + '.config.config')
    config = settings.config
    cfg_path = apply_arguments(config, settings.update_config, args)
    config.TEST.KEY_FRAME_INTERVAL = args.interval or config.TEST.KEY_FRAME_INTERVAL
    prefix, epoch = args.model, args.epoch
    if prefix is None:
        prefix, epoch = parameter_file(config, cfg_path, args.task)[1], config.TEST.test_epoch
    detection = TASKS[args.task] == 'detection'
    params = load_test_params(prefix, epoch, print) if detection else load_params(prefix, epoch)
    classes = get_class_list(config, TASKS[args.task])
    if detection:
        lines = classes.names[1:]       # without the background
    else:
        lines = ['%s %d %d %d' % ((name,) + tuple(colour)) for name, colour in zip(classes.names, classes.palette.tolist())]
    export_model(config, get_symbol_instance(config), *params, lines, args.output, file_name(os.path.basename(prefix), epoch))
    print('written: %s. Run it: python %s/demo.py --model %s --input VIDEO_OR_FOLDER' % (args.output, args.task, args.output))


if __name__ == '__main__':
    run(main)
