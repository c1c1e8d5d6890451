"""The demos of both tasks: detections in a folder of frames or a video, drawn into another."""
import contextlib
import json
import os
from collections import namedtuple

import lib  # noqa: F401  (prepares the import of MXNet)

from lib.config.cli import apply_arguments
from lib.config.config import resolve
from lib.config.devices import contexts
from lib.core.flags import demo_parser
from lib.core.predictor import VideoDetector, load_test_params
from lib.core.timing import Timing
from lib.core.video_io import open_frames, open_writer
from lib.core.visualise import draw_detections
from lib.dataset.registry import get_class_list
from lib.symbols.registry import get_symbol_instance
from lib.utils.errors import DataError
from lib.utils.files import atomic_path
from lib.utils.progress import progress_bar

# What a task's demo does without flags; paths start at the repository root. symbol: for configs that name none.
Defaults = namedtuple('Defaults', 'cfg model input output symbol')
CLIP = 'demo/ILSVRC2015_val_00007010'


def run_demo(description, config, update_config, defaults, batch=False):
    """Parse the command line and run a demo; batch: through the batch network.

    Raises ConfigError, DataError, CheckpointError, SetupError.
    """
    args = demo_parser(description, defaults, batch).parse_args()
    apply_arguments(config, update_config, args)
    config.symbol = config.symbol or defaults.symbol
    source_path = args.input or resolve(defaults.input)
    if not os.path.exists(source_path) and args.input is None:
        raise DataError('the frames of the demo clip are not at %s: they are the clip val/%s of ImageNet VID (data/README.md says where '
                        'to get it). Name your own frames or video with --input; `sh init.sh --demo` makes clips and trains a small '
                        'model for them' % (source_path, os.path.basename(CLIP)))
    source = open_frames(source_path)
    output = args.output or resolve(defaults.output)
    if os.path.abspath(output) == os.path.abspath(source_path):
        raise DataError('--output is the same as --input (%s): the frames would be overwritten' % output)
    prefix = args.model or resolve(defaults.model)
    params = load_test_params(prefix, args.epoch, print)
    detector = VideoDetector(config, get_symbol_instance(config), *params, contexts(config.gpus)[0], args.interval, args.thresh,
                             batch, '%s-%04d.params' % (prefix, args.epoch))
    timing = detect_and_draw(detector, source, output, args.json, get_class_list(config).names)
    mean = timing.milliseconds()['frame']
    if batch and mean is not None:
        print('%.1f ms a frame (%.2f fps) in batches of %d' % (mean, 1e3 / mean, detector.interval))
    else:
        print(timing.describe())
    print('frames with boxes: %s' % output)
    if args.json:
        print('detections: %s' % args.json)


def detect_and_draw(detector, source, output, json_path, class_names):
    """Run `detector` over the FrameSource `source`, write frames and detections as they come; returns the Timing."""
    timing = Timing(warm_up=detector.warm_up)
    with open_writer(output, source.fps) as draw, _json_writer(json_path, class_names) as record, \
            contextlib.closing(detector.detect(source)) as results, progress_bar(total=source.length, unit='frame', desc='detecting') as bar:
        for result in results:
            name = source.name(result.index)
            record(result, name)
            draw(draw_detections(result.image, result.detections, class_names), name)
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
