"""Put a trained network into one folder that the demos run without a YAML file: python tools/export_model.py --help

    python tools/export_model.py dff_rfcn --cfg experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml --output model/toy_vid
    python dff_rfcn/demo.py --model model/toy_vid --input VIDEO

With --format onnx the folder also holds ONNX files, which run without MXNet (docs/deploy.md).
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
from lib.config.cli import apply_arguments, base_parser  # noqa: E402
from lib.engine.checkpoint import file_name  # noqa: E402
from lib.inference.exported import export_model  # noqa: E402
from lib.engine.trained_with import check_training  # noqa: E402
from lib.inference.testing import check_classes, parameter_file  # noqa: E402
from lib.symbols.registry import get_symbol_instance  # noqa: E402
from lib.tasks.task import TASKS, open_task  # noqa: E402
from lib.utils.argument_types import EPOCH, INTERVAL, epoch_or_best, positive  # noqa: E402
from lib.onnx_export.export import export_onnx, require_onnx  # noqa: E402
from lib.onnx_export.proto import require_packages  # noqa: E402
from lib.onnx_export.sizes import checked_sizes, image_size  # noqa: E402
from lib.inference.key_frames import input_format, require_one_pass  # noqa: E402
from dff.errors import ConfigError, DFFError  # noqa: E402
from dff.runtime import speed, speed_record  # noqa: E402
from lib.utils.cli import run  # noqa: E402


def parse_arguments():
    """Parse the command line."""
    parser = base_parser(__doc__.split('\n')[0])
    parser.add_argument('task', metavar='TASK', help=', '.join(TASKS.names()))
    parser.add_argument('--model', metavar='PREFIX', help=(
        'parameters are PREFIX-%%04d.params (default: what training with FILE.yaml wrote)'))
    parser.add_argument('--epoch', type=epoch_or_best, default=0, metavar='N',
                        help='with --model: %s' % EPOCH)
    parser.add_argument('--interval', type=positive, metavar='N',
                        help='%s; overrides TEST.KEY_FRAME_INTERVAL' % INTERVAL)
    parser.add_argument('--output', required=True, metavar='FOLDER', help='the folder to write')
    parser.add_argument('--compact', action='store_true', help=(
        'weights of MXNet as 8-bit integers in a compressed file, a quarter of the size; networks still '
        'compute in float32'))
    parser.add_argument('--format', choices=('mxnet', 'onnx'), default='mxnet',
                        help='onnx: ONNX files in addition to those of MXNet')
    parser.add_argument('--size', type=image_size, metavar='HxW',
                        help='with --format onnx: the one size of all images (default any)')
    parser.add_argument('--frames', metavar='PATH',
                        help='with --format onnx: folder or video to compare with (default made up)')
    # Of the files, and not TEST.PRECISION, which the --precision of other commands is.
    parser.add_argument('--precision', choices=('float32', 'float16', 'int8'), default='float32', dest='onnx_precision',
                        help='with --format onnx: also write these; int8 needs --frames')
    args = parser.parse_args()
    if args.format != 'onnx' and (args.size or args.frames or args.onnx_precision != 'float32'):
        parser.error('--size, --frames and --precision are for --format onnx')
    if args.format == 'onnx' and args.compact:
        parser.error('--compact is for MXNet alone; a small ONNX model: --precision int8 or float16')
    return args


def measure_speed(folder, precision, size):
    """Record how fast the engines here compute the model in `folder`, which dff.load chooses one by.

    precision: of its files; size: of --size. Returns lines about it. The model is good without it.
    """
    try:
        figures = speed.measure(folder, precision, size=size)
        speed_record.record(folder, figures)
        return speed.lines(figures)
    except DFFError as error:
        return ['the speed was not measured: %s' % error]


def main():
    """Entry point."""
    args = parse_arguments()
    task = open_task(args.task, args.cfg)
    config = task.config
    cfg_path = apply_arguments(config, task.update_config, args)
    config.TEST.KEY_FRAME_INTERVAL = args.interval or config.TEST.KEY_FRAME_INTERVAL
    require_one_pass(config, 'an exported model sees each frame once')
    if args.format == 'onnx':       # before minutes of work
        require_packages()
        require_onnx(config, args.frames, args.onnx_precision)
        checked_sizes(args.size, input_format(config))
    prefix, epoch = args.model, args.epoch
    if prefix is None:
        prefix, epoch = parameter_file(config, cfg_path, task)[1], config.TEST.test_epoch
    if os.path.realpath(file_name(prefix, epoch)) == os.path.realpath(file_name(os.path.join(args.output, 'model'), 0)):
        raise ConfigError('--output %s: the export would replace the parameters that it is made of (%s); '
                          'name another folder' % (args.output, file_name(prefix, epoch)))
    check_classes(task.kind, config, prefix, epoch)
    network, classes = get_symbol_instance(config), task.kind.class_lines(config)
    check_training(config, network, classes, prefix, epoch)
    params = task.kind.load_params(prefix, epoch, print)
    export_model(config, network, *params, classes, args.output,
                 file_name(os.path.basename(prefix), epoch), args.compact)
    if args.format == 'onnx':
        for line in export_onnx(task, args.output, args.size, args.frames, args.onnx_precision):
            print('onnxruntime against MXNet, %s' % line)
        for precision in dict.fromkeys(('float32', args.onnx_precision)):
            print('\n'.join(measure_speed(args.output, precision, args.size)))
    print('written: %s. Run it: python %s/demo.py --model %s --input VIDEO_OR_FOLDER'
          % (args.output, task.name, args.output))


if __name__ == '__main__':
    run(main)
