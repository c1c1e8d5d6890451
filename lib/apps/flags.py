"""Command-line flags of the test and demo scripts."""
import argparse

from lib.config.cli import base_parser

INTERVAL = 'frames from one key frame to the next'


def score(text):
    """A score threshold, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError('expected a score from 0 to 1, found %r' % text)
    return value


def positive(text):
    """A whole number above 0, for argparse."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError('expected a whole number of 1 or more, found %r' % text)
    return int(text)


def not_negative(text):
    """A whole number from 0, for argparse."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError('expected a whole number of 0 or more, found %r' % text)
    return int(text)


def test_parser(description):
    """The shared flags and those of testing a detector."""
    parser = _test_parser(description)
    parser.add_argument('--thresh', type=score, default=1e-3, help='lowest score of a detection (default 0.001)')
    parser.add_argument('--vis', action='store_true', help='also write every frame with its boxes into the output folder')
    return parser


def seg_test_parser(description):
    """The shared flags and those of testing segmentation."""
    parser = _test_parser(description)
    parser.add_argument('--distance', type=not_negative, metavar='N',
                        help='test labelled frames N frames after their key frame only (default: at all distances below the interval)')
    parser.add_argument('--vis', action='store_true', help='also write the class maps as coloured PNG files into the output folder')
    parser.add_argument('--thresh', type=score, help='taken for old command lines; class maps have no scores to cut')
    return parser


def _test_parser(description):
    parser = base_parser(description)
    parser.add_argument('--precision', choices=('float32', 'int8'), help='int8 is for the CPU; overrides TEST.PRECISION')
    parser.add_argument('--interval', type=positive, metavar='N', help='%s; overrides TEST.KEY_FRAME_INTERVAL' % INTERVAL)
    parser.add_argument('--ignore_cache', action='store_true', help='run again where results of finished clips exist')
    return parser


def demo_parser(description, defaults, batch=False):
    """The shared flags and those of a detection demo; defaults: lib.apps.demo.Defaults."""
    parser = _demo_parser(description, defaults, 'boxes', 'frames of one forward' if batch else INTERVAL)
    parser.add_argument('--json', metavar='FILE', help='also write the detections here')
    parser.add_argument('--thresh', type=score, default=0.7, help='lowest score of the boxes drawn and written (default 0.7)')
    return parser


def seg_demo_parser(description, defaults):
    """The shared flags and those of a segmentation demo; defaults: lib.apps.demo.Defaults."""
    parser = _demo_parser(description, defaults, "classes' colours", INTERVAL)
    parser.add_argument('--labels', metavar='FOLDER', help='also write the class maps here, PNG files of class ids with a palette')
    return parser


def _demo_parser(description, defaults, drawn, interval):
    parser = base_parser(description, default_cfg=defaults.cfg)
    parser.add_argument('--input', metavar='PATH', help='folder of frames or video file (default %s)' % defaults.input)
    parser.add_argument('--output', metavar='PATH',
                        help='folder, or .mp4 file, for the frames with %s (default %s)' % (drawn, defaults.output))
    parser.add_argument('--model', metavar='PREFIX', help=(
        'parameters are PREFIX-%%%%04d.params (default %s); or a folder of tools/export_model.py' % defaults.model))
    parser.add_argument('--epoch', type=int, default=0, metavar='N', help='number in the name of the parameters (default 0)')
    parser.add_argument('--precision', choices=('float32', 'int8'), help='int8 is for the CPU; overrides TEST.PRECISION')
    parser.add_argument('--interval', type=positive, metavar='N', help='%s; overrides TEST.KEY_FRAME_INTERVAL' % interval)
    return parser
