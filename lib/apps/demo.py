"""Demos: a folder of frames or a video in, what a network finds drawn into another; here of detection."""
import contextlib
import functools
import json
import os
from collections import namedtuple

import lib  # noqa: F401  (prepares the import of MXNet)

from lib.config.cli import apply_arguments
from lib.config.config import merge, resolve, validate
from lib.engine.devices import contexts
from lib.engine.checkpoint import file_name
from lib.inference.exported import exported_settings, is_exported, load_exported
from lib.apps.flags import demo_parser
from lib.inference.predictor import VideoDetector, load_test_params
from dff.timing import Timing
from dff.sources import open_frames, open_writer
from dff.drawing import draw_detections
from lib.dataset.registry import get_class_list
from lib.symbols.registry import get_symbol_instance
from dff.errors import ConfigError, DataError
from dff.files import atomic_path
from lib.utils.progress import progress_bar

# What a task's demo does without flags; paths start at the repository root. symbol: for configs that name none.
Defaults = namedtuple('Defaults', 'cfg model input output symbol')
CLIP = 'demo/ILSVRC2015_val_00007010'


def run_demo(description, config, update_config, defaults, batch=False):
    """Parse the command line and run a detection demo; batch: through the batch network.

    Raises ConfigError, DataError, CheckpointError, SetupError.
    """
    args = demo_parser(description, defaults, batch).parse_args()
    source, output, prefix = open_demo(config, update_config, args, defaults, (
        'the frames of the demo clip are not at %%s: they are the clip val/%s of ImageNet VID (data/README.md says where to get it)'
        % os.path.basename(CLIP)))
    if batch and is_exported(prefix):
        raise ConfigError('%s is an exported model, which takes frames one by one: run it with demo.py' % prefix)
    *network, name = load_model(config, prefix, args.epoch, functools.partial(load_test_params, report=print))
    detector = VideoDetector(config, *network, contexts(config.gpus)[0], args.interval, args.thresh, batch, name)
    class_names = get_class_list(config).names
    with _json_writer(args.json, class_names) as record:
        def draw(result, name):
            record(result, name)
            return draw_detections(result.image, result.detections, class_names)
        timing = run_and_draw(detector, source, output, draw)
    mean = timing.milliseconds()['frame']
    if batch and mean is not None:
        print('%.1f ms a frame (%.2f fps) in batches of %d' % (mean, 1e3 / mean, detector.interval))
    else:
        print(timing.describe())
    print('frames with boxes: %s' % output)
    if args.json:
        print('detections: %s' % args.json)


def open_demo(config, update_config, args, defaults, no_default):
    """Load the settings of `args` into `config`; returns (FrameSource, output path, prefix of the parameters or exported folder).

    no_default: what is missing where the default input is not at %s. Raises ConfigError, DataError, CheckpointError.
    """
    if is_exported(args.model):
        update_config = functools.partial(_use_settings_of, args.model, config)
    apply_arguments(config, update_config, args)
    config.symbol = config.symbol or defaults.symbol
    source_path = args.input or resolve(defaults.input)
    if not os.path.exists(source_path) and args.input is None:
        raise DataError((no_default + '. Name your own frames or video with --input; `sh init.sh --demo` makes clips and trains a small '
                         'model for them') % source_path)
    source = open_frames(source_path)
    output = args.output or resolve(defaults.output)
    for flag, path in (('--output', output), ('--labels', getattr(args, 'labels', None))):
        if path is not None and os.path.realpath(path) == os.path.realpath(source_path):
            raise DataError('%s is the same as --input (%s): the frames would be overwritten' % (flag, path))
    return source, output, args.model or resolve(defaults.model)


def _use_settings_of(folder, config, _cfg_path):
    """Settings from an exported folder in the place of a YAML file; ConfigError where its network is of another task."""
    settings = exported_settings(folder)
    config.symbol = settings['symbol']
    get_symbol_instance(config)
    merge(config, settings, folder)
    validate(config, folder)


def load_model(config, model, epoch, load):
    """(symbol instance, arg_params, aux_params, what to call them): of an exported folder, else of the checkpoint that
    load(prefix, epoch) reads. Raises ConfigError, CheckpointError."""
    if is_exported(model):
        return load_exported(model)
    return (get_symbol_instance(config),) + tuple(load(model, epoch)) + (file_name(model, epoch),)


def run_and_draw(predictor, source, output, draw):
    """Run a VideoPredictor over the FrameSource `source` and write each picture as it comes; returns the Timing.

    draw(result, name of the frame) -> BGR uint8 picture. output: an .mp4 file or a folder.
    """
    timing = Timing(warm_up=predictor.warm_up)
    with open_writer(output, source.fps) as write, contextlib.closing(predictor.run(source)) as results, \
            progress_bar(total=source.length, unit='frame', desc='running') as bar:
        for result in results:
            name = source.name(result.index)
            write(draw(result, name), name)
            timing.add(result)
            bar.update()
    return timing


@contextlib.contextmanager
def _json_writer(path, class_names):
    """record(result, name) into the JSON file `path`, a frame a line, in constant memory; None: does nothing."""
    if path is None:
        yield lambda result, name: None
        return
    try:
        folder = os.path.dirname(os.path.abspath(path))
        os.makedirs(folder, exist_ok=True)
        if os.path.isdir(path) or not os.access(folder, os.W_OK):
            raise PermissionError(13, 'it is a folder, or its folder is read-only')
    except OSError as error:
        raise DataError('cannot write %s: %s' % (path, error.strerror)) from None
    with atomic_path(path) as temporary, open(temporary, 'w', encoding='utf-8') as stream:
        stream.write('{"classes": %s,\n "frames": [' % json.dumps(class_names))
        separator = '\n  '

        def record(result, name):
            nonlocal separator
            boxes = [{'class': class_names[int(row[0])], 'score': round(row[1], 4), 'box': [round(value, 2) for value in row[2:]]}
                     for row in result.detections.tolist()]
            stream.write(separator + json.dumps({'frame': result.index, 'name': name, 'key': result.is_key, 'detections': boxes}))
            separator = ',\n  '
        yield record
        stream.write('\n]}\n')
