"""The kind of task that finds boxes of classes in frames."""
import contextlib

from dff.runtime.outputs import writing
from dff.runtime.results import Detections
from dff.sources import DEFAULT_FPS
from lib.boxes.seq_nms import whole_clip_of
from lib.dataset.registry import get_class_list
from lib.dataset.roidb import load_roidb
from lib.inference.detection_testing import DetectionTest
from lib.inference.detector import VideoDetector, load_test_params
from lib.tasks.task import KINDS
from lib.train.loaders.detection_loader import DetectionLoader
from lib.train.lr_scheduler import PAPER_RATE
from lib.train.metric import detection_metrics
from lib.utils.argument_types import score


SEQ_NMS = 'boxes of a clip that follow each other share a score (Seq-NMS); sets TEST.SEQ_NMS'


@KINDS.register('detection')
class Detection:
    """See lib/tasks/kinds/README.md for what a kind answers."""

    lr_rule = PAPER_RATE
    train_metrics = staticmethod(detection_metrics)
    test_run = DetectionTest
    load_params = staticmethod(load_test_params)
    has_batch_network = True
    drawn = 'boxes'
    no_demo_clip = ('the frames of the demo clip are not at %(path)s: they are the clip val/%(clip)s of ImageNet '
                    'VID (data/README.md '
                    'says where to get it)')

    @staticmethod
    def train_loader(config, devices, references):
        """Return the TrainLoader of `config` for so many `devices`; references: frames that come with each."""
        return DetectionLoader(load_roidb(config), config, devices, references)

    @staticmethod
    def predictor(config, network, params, device, interval, source, args=None):
        """Return a VideoDetector; thresh, batch and Seq-NMS come with `args`.

        Args:
            config: settings of the task.
            network: symbol instance.
            params: (arg_params, aux_params).
            device: mx.Context.
            interval: of key frames; None: that of the settings.
            source: name of the parameters.
            args: parsed arguments of a demo.
        """
        options = {}
        if args:
            options = {'thresh': args.thresh, 'batch': args.batch}
            if config.TEST.SEQ_NMS:
                options['whole_clip'] = whole_clip_of(config, args.thresh)
        return VideoDetector(config, network, *params, device, interval, source=source, **options)

    @staticmethod
    def class_lines(config):
        """Return what dataset.CLASSES lists, for an exported model."""
        return get_class_list(config, 'detection').names[1:]       # without the background

    @staticmethod
    def add_test_flags(parser):
        """Add the flags of testing that other kinds do not have."""
        parser.add_argument('--thresh', type=score, default=1e-3, help='lowest score of a detection (default 0.001)')
        parser.add_argument('--vis', action='store_true',
                            help='also write every frame with its boxes into the output folder')
        parser.add_argument('--track', action='store_true',
                            help='also give detections ids and evaluate those; sets TEST.TRACK')
        parser.add_argument('--seq-nms', action='store_true', help=SEQ_NMS)

    @staticmethod
    def test_options(args):
        """Return the TestOptions of parsed arguments, as keywords."""
        return {'thresh': args.thresh}

    @staticmethod
    def add_demo_flags(parser):
        """Add the flags of the demo that other kinds do not have."""
        parser.add_argument('--json', metavar='FILE', help='also write the detections here')
        parser.add_argument('--track', action='store_true',
                            help='an id for every detection, followed along the flow; sets TEST.TRACK')
        parser.add_argument('--mot', metavar='FILE', help='also write the tracks here, MOT Challenge text')
        parser.add_argument('--thresh', type=score, default=0.7,
                            help='lowest score of the boxes drawn and written (default 0.7)')
        parser.add_argument('--seq-nms', action='store_true',
                            help=SEQ_NMS + "; results come after the clip's end")

    @staticmethod
    def demo_outputs(args):
        """Return [(flag, path or None, what lies there in words)] of what the demo writes beside the pictures."""
        return [('--json', args.json, 'detections'), ('--mot', args.mot, 'tracks')]

    @staticmethod
    @contextlib.contextmanager
    def drawing(config, args):
        """Yield draw(result, name) -> picture, which writes what else the arguments `args` of a demo ask for."""
        names = get_class_list(config, 'detection').names
        with writing('detection', names, DEFAULT_FPS, None, args.json, args.mot) as write:
            def draw(result, name):
                found = Detections(result.index, name, result.image, result.is_key, result.seconds, names, None, 0,
                                   result.detections, result.track_ids)
                write(found)
                return found.draw()
            yield draw
