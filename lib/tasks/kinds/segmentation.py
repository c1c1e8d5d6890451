"""The kind of task that finds the class of every pixel."""
import contextlib
import os

import numpy as np

from dff.labels import draw_legend, overlay
from lib.dataset.formats.label_png import write_label_png
from lib.dataset.registry import get_class_list
from lib.dataset.segdb import load_segdb
from lib.engine.checkpoint import load_params
from lib.inference.segmentation_testing import SegmentationTest
from lib.inference.segmenter import VideoSegmenter
from lib.tasks.task import KINDS
from lib.train.lr_scheduler import CITYSCAPES_RATE
from lib.train.metric import segmentation_metrics
from lib.train.loaders.seg_loader import SegLoader
from lib.utils.argument_types import not_negative, score


@KINDS.register('segmentation')
class Segmentation:
    """See lib/tasks/kinds/README.md for what a kind answers."""

    lr_rule = CITYSCAPES_RATE
    train_metrics = staticmethod(segmentation_metrics)
    test_run = SegmentationTest
    has_batch_network = False
    drawn = "classes' colours"
    no_demo_clip = ('there is no demo clip at %(path)s: put frames of one snippet of Cityscapes there '
                    '(leftImg8bit_sequence; data/README.md '
                    'says where to get it)')

    @staticmethod
    def load_params(prefix, epoch, report):
        """Return (arg_params, aux_params) of <prefix>-<epoch>.params; there is nothing to `report`. Raises
        CheckpointError.
        """
        return load_params(prefix, epoch)

    @staticmethod
    def train_loader(config, devices, references):
        """Return the TrainLoader of `config` for so many `devices`; references: frames that come with each, 0 or 1."""
        return SegLoader(*load_segdb(config), config, devices, bool(references))

    @staticmethod
    def predictor(config, network, params, device, interval, source, args=None):
        """Return a VideoSegmenter, as Detection.predictor does a VideoDetector.

        config, network, params, device, interval, source, args: as there.
        """
        return VideoSegmenter(config, network, *params, device, interval, source)

    @staticmethod
    def class_lines(config):
        """Return what dataset.CLASSES lists, for an exported model."""
        classes = get_class_list(config, 'segmentation')
        return ['%s %d %d %d' % (name, *colour) for name, colour in zip(classes.names, classes.palette.tolist())]

    @staticmethod
    def add_test_flags(parser):
        """Add the flags of testing that other kinds do not have."""
        parser.add_argument('--distance', type=not_negative, metavar='N',
                            help='test labelled frames N frames after their key frame only (default: at all '
                                 'distances below the interval)')
        parser.add_argument('--vis', action='store_true',
                            help='also write the class maps as coloured PNG files into the output folder')
        parser.add_argument('--thresh', type=score,
                            help='taken for old command lines; class maps have no scores to cut')

    @staticmethod
    def test_options(args):
        """Return the TestOptions of parsed arguments, as keywords."""
        return {'distance': args.distance}

    @staticmethod
    def add_demo_flags(parser):
        """Add the flags of the demo that other kinds do not have."""
        parser.add_argument('--labels', metavar='FOLDER',
                            help='also write the class maps here, PNG files of class ids with a palette')

    @staticmethod
    def demo_outputs(args):
        """Return [(flag, path or None, what lies there in words)] of what the demo writes beside the pictures."""
        return [('--labels', args.labels, 'class maps')]

    @staticmethod
    @contextlib.contextmanager
    def drawing(config, args):
        """Yield draw(result, name) -> picture, which writes what else the arguments `args` of a demo ask for."""
        classes = get_class_list(config, 'segmentation')

        def draw(result, name):
            if args.labels:
                write_label_png(os.path.join(args.labels, name + '.png'), result.labels, classes.palette)
            picture = overlay(result.image, result.labels, classes.palette)
            draw_legend(picture, classes.names, classes.palette, np.flatnonzero(np.bincount(result.labels.ravel())))
            return picture
        yield draw
