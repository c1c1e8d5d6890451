"""Demos of all tasks: a folder of frames or a video in, what a network finds drawn into another."""
import contextlib
import functools
import os

import lib  # noqa: F401  (prepares the import of MXNet)

from dff.errors import ConfigError, DataError
from dff.sources import open_frames
from dff.timing import Timing
from dff.writers import CODECS, browser_note, check_output, chosen_fps, open_writer
from lib.config.checks import validate
from lib.config.cli import apply_arguments, base_parser
from lib.config.config import merge
from lib.engine.checkpoint import file_name
from lib.engine.devices import contexts
from lib.engine.trained_with import check_training
from lib.inference.exported import exported_settings, is_exported, load_exported
from lib.inference.key_frames import require_one_pass
from lib.inference.testing import check_classes
from lib.symbols.registry import get_symbol_instance
from lib.utils.argument_types import EPOCH, INTERVAL, epoch_or_best, positive
from lib.utils.paths import resolve
from lib.utils.progress import progress_bar


def demo_parser(task, description, batch=False):
    """Return the parser of the demo of `task`; description: for --help; batch: of that through the batch network."""
    defaults, kind = task.demo, task.kind
    parser = base_parser(description, default_cfg=defaults.cfg)
    parser.add_argument('--input', metavar='PATH', help='folder of frames or video file (default %s)' % defaults.input)
    parser.add_argument('--output', metavar='PATH',
                        help='folder, or video file (%s), for the frames with %s (default %s)'
                             % (', '.join(CODECS), kind.drawn, defaults.output))
    parser.add_argument('--fps', type=float, metavar='N',
                        help='frames a second of the video written (default: those of a video file, else 25)')
    parser.add_argument('--model', metavar='PREFIX', help=(
        'parameters are PREFIX-%%%%04d.params (default %s); or a folder of tools/export_model.py' % defaults.model))
    parser.add_argument('--epoch', type=epoch_or_best, default=0, metavar='N', help=EPOCH)
    parser.add_argument('--precision', choices=('float32', 'int8'),
                        help='int8 is for the CPU; overrides TEST.PRECISION')
    parser.add_argument('--interval', type=positive, metavar='N', help='%s; overrides TEST.KEY_FRAME_INTERVAL' % (
        'frames of one forward' if batch else INTERVAL))
    kind.add_demo_flags(parser)
    parser.set_defaults(batch=batch)
    return parser


def run_demo(task, args):
    """Run the demo of `task` by the parsed arguments `args` of demo_parser.

    Raises ConfigError, DataError, CheckpointError, SetupError.
    """
    config, kind = task.config, task.kind
    task.load_symbols()
    source, output, prefix = open_demo(task, args)
    if args.batch and is_exported(prefix):
        raise ConfigError('%s is an exported model, which takes frames one by one: run it with demo.py' % prefix)
    with kind.drawing(config, args) as draw:
        network, params, name = load_model(task, prefix, args.epoch)
        device = contexts(config.gpus.split(',')[0])[0]      # one of those that the settings, made for training, name
        predictor = kind.predictor(config, network, params, device, args.interval, name, args)
        timing = run_and_draw(predictor, source, output, draw,
                              chosen_fps(args.fps, source.fps, output))
    for line in source.remarks():
        print('warning: %s' % line)
    mean = timing.milliseconds()['frame']
    if args.batch and mean is not None:
        print('%.1f ms a frame (%.2f fps) in batches of %d' % (mean, 1e3 / mean, predictor.interval))
    else:
        print(timing.describe())
    print('frames with %s: %s' % (kind.drawn, output))
    if browser_note(output):
        print(browser_note(output))
    for _, path, what in kind.demo_outputs(args):
        if path:
            print('%s: %s' % (what, path))


def open_demo(task, args):
    """Load the settings of `args` into task.config; returns (FrameSource, output path, prefix of the
    parameters or exported folder).

    Raises ConfigError, DataError, CheckpointError.
    """
    config, defaults = task.config, task.demo
    update_config = functools.partial(_use_settings_of, args.model,
                                      config) if is_exported(args.model) else task.update_config
    apply_arguments(config, update_config, args)
    config.symbol = config.symbol or defaults.symbol
    source_path = args.input or resolve(defaults.input)
    if not os.path.exists(source_path) and args.input is None:
        missing = task.kind.no_demo_clip % {'path': source_path, 'clip': os.path.basename(source_path)}
        raise DataError('%s. Name your own frames or video with --input; `sh init.sh --demo` makes clips and '
                        'trains a small model '
                        'for them' % missing)
    source = open_frames(source_path)
    output = args.output or resolve(defaults.output)
    check_output(output)
    chosen_fps(args.fps, source.fps, output)
    for flag, path, _ in [('--output', output, '')] + task.kind.demo_outputs(args):
        if path and os.path.realpath(path) == os.path.realpath(source_path):
            raise DataError('%s is the same as --input (%s): the frames would be overwritten' % (flag, path))
    return source, output, args.model or resolve(defaults.model)


def _use_settings_of(folder, config, _cfg_path):
    """Settings from an exported folder in the place of a YAML file; ConfigError where its network is of
    another task.
    """
    settings = exported_settings(folder)
    config.symbol = settings['symbol']
    get_symbol_instance(config)
    merge(config, settings, folder)
    validate(config, folder)


def load_model(task, model, epoch):
    """Return (symbol instance, (arg_params, aux_params), what to call them) of a task.

    Args:
        task: with its settings.
        model: prefix of a checkpoint, or an exported folder.
        epoch: of a checkpoint.

    Raises ConfigError, CheckpointError.
    """
    network = get_symbol_instance(task.config)
    if is_exported(model):
        require_one_pass(task.config, 'an exported model sees each frame once')
        return load_exported(model, network)
    check_classes(task.kind, task.config, model, epoch)
    check_training(task.config, network, task.kind.class_lines(task.config), model, epoch)
    return network, task.kind.load_params(model, epoch, print), file_name(model, epoch)


def run_and_draw(predictor, source, output, draw, fps):
    """Run a VideoPredictor over a clip and write each picture as it comes; returns the Timing.

    Args:
        predictor: a VideoPredictor.
        source: a FrameSource.
        output: a video file or a folder, as open_writer takes them.
        draw: (result, name of the frame) -> BGR uint8 picture.
        fps: frames a second of a video.
    """
    timing = Timing(warm_up=predictor.warm_up)
    with open_writer(output, fps) as write, contextlib.closing(predictor.run(source)) as results, \
            progress_bar(total=source.length, unit='frame', desc='running') as bar:
        for result in predictor.after_clip(_counted(results, bar), source):
            name = source.name(result.index)
            timing.add(result)
            result = result._replace(index=source.number(result.index))
            write(draw(result, name), name)
    return timing


def _counted(results, bar):
    """Yield from `results`, moving a progress bar after each."""
    for result in results:
        yield result
        bar.update()
