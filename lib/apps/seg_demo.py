"""The demos of segmentation: class maps of a folder of frames or a video, laid over them."""
import os

import lib  # noqa: F401  (prepares the import of MXNet)
import numpy as np

from lib.engine.devices import contexts
from lib.engine.checkpoint import load_params
from lib.apps.demo import load_model, open_demo, run_and_draw
from lib.apps.flags import seg_demo_parser
from lib.inference.segmenter import VideoSegmenter
from lib.dataset.registry import get_class_list
from lib.evaluation.label_drawing import draw_legend, overlay, write_label_png

CLIP = 'demo/cityscapes'


def run_demo(description, config, update_config, defaults):
    """Parse the command line and run a segmentation demo. Raises ConfigError, DataError, CheckpointError, SetupError."""
    args = seg_demo_parser(description, defaults).parse_args()
    source, output, prefix = open_demo(config, update_config, args, defaults, (
        'there is no demo clip at %s: put frames of one snippet of Cityscapes there (leftImg8bit_sequence; data/README.md says where to '
        'get it)'))
    classes = get_class_list(config, 'segmentation')
    device = contexts(config.gpus.split(',')[0])[0]      # one of those that the settings, made for training, name
    *network, name = load_model(config, prefix, args.epoch, load_params)
    segmenter = VideoSegmenter(config, *network, device, args.interval, name)

    def draw(result, name):
        if args.labels:
            write_label_png(os.path.join(args.labels, name + '.png'), result.labels, classes.palette)
        picture = overlay(result.image, result.labels, classes.palette)
        draw_legend(picture, classes.names, classes.palette, np.flatnonzero(np.bincount(result.labels.ravel())))
        return picture
    print(run_and_draw(segmenter, source, output, draw).describe())
    print('frames with colours of the classes: %s' % output)
    if args.labels:
        print('class maps: %s' % args.labels)
