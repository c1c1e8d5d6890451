"""What single keys of the settings cannot show: keys that contradict each other."""
import math
from typing import Any, List

from dff.errors import ConfigError
from dff.networks import MOST_REACH
from lib.config.ranges import RANGES, check_ranges

TRACKS_OR_WHOLE_CLIP = ("TEST.TRACK follows the detections of each frame, which TEST.SEQ_NMS and TEST.SAVE_RAW "
                        "choose at the clip's end: set one of them")

def validate(config: Any, source: str) -> None:
    """Check ranges (lib/config/ranges.py) and what single keys cannot show.

    source: where the values come from, for messages. Raises ConfigError naming the keys.
    """
    check_ranges(config, source)
    network, train, test = config.network, config.TRAIN, config.TEST
    anchors = len(network.ANCHOR_SCALES) * len(network.ANCHOR_RATIOS)
    scale = train.get('RANDOM_SCALE', [1, 1])
    # The flow network's own training has none of these.
    every, patience, clips = (train.get(key, 0) for key in ('VALIDATE_EVERY', 'PATIENCE', 'VALIDATE_CLIPS'))
    checks = [
        (config.output_path.strip(), "output_path is empty; './output' is usual"),
        (config.dataset.dataset_path.strip(), "dataset.dataset_path is empty: it must name the data set's folder"),
        (train.model_prefix.strip() and '/' not in train.model_prefix,
         'TRAIN.model_prefix must be the beginning of a file name, without a folder (output_path says '
         'where); found %r' % train.model_prefix),
        (network.NUM_ANCHORS == anchors,
         'network.NUM_ANCHORS is %d, but ANCHOR_SCALES x ANCHOR_RATIOS make %d' % (network.NUM_ANCHORS, anchors)),
        (network.DFF_FEAT_DIM % 2 == 0,
         'network.DFF_FEAT_DIM must be even: one half goes to the RPN, one to R-FCN; found %d'
         % network.DFF_FEAT_DIM),
        (network.EMBED_DIM % 4 == 0,
         'network.EMBED_DIM must be a multiple of 4: its first layers have a quarter of the channels; found %d'
         % network.EMBED_DIM),
        (train.MIN_OFFSET <= train.MAX_OFFSET,
         'TRAIN.MIN_OFFSET (%d) is above TRAIN.MAX_OFFSET (%d)' % (train.MIN_OFFSET, train.MAX_OFFSET)),
        (train.BG_THRESH_LO <= train.BG_THRESH_HI,
         'TRAIN.BG_THRESH_LO (%g) is above TRAIN.BG_THRESH_HI (%g)'
         % (train.BG_THRESH_LO, train.BG_THRESH_HI)),
        (train.BATCH_ROIS != 0, 'TRAIN.BATCH_ROIS must be -1 (all) or at least 1, found 0'),
        (scale[0] <= scale[1],
         'TRAIN.RANDOM_SCALE must be two factors, smallest and largest, as in [0.75, 1.5]; found %r'
         % scale),
        (every or not patience,
         'TRAIN.PATIENCE (%d) counts validations, and there are none: set TRAIN.VALIDATE_EVERY '
         'to the epochs between them, as in 1 or 0.25' % patience),
        (every or not clips,
         'TRAIN.VALIDATE_CLIPS (%d) is for validations, and there are none: set '
         'TRAIN.VALIDATE_EVERY' % clips),
        (every <= train.end_epoch,
         'TRAIN.VALIDATE_EVERY is %g epochs, and training ends with epoch %d: nothing would be '
         'validated' % (every, train.end_epoch)),
        (scale == [1, 1] or train.ENABLE_CROP,
         'TRAIN.RANDOM_SCALE needs TRAIN.ENABLE_CROP: all images of a batch must have one size'),
        (len(config.SCALES) == 1 or 'PHOTOMETRIC' in train,
         'SCALES lists %d sizes, which only detection draws from; give one' % len(config.SCALES)
         + (', and TRAIN.RANDOM_SCALE' if 'RANDOM_SCALE' in train else '')),
        (train.get('RANDOM_CROP', 0) + train.get('ZOOM_OUT', 0) <= 1,
         'TRAIN.RANDOM_CROP (%g) and TRAIN.ZOOM_OUT (%g) are shares of the images, more than all together'
         % (train.get('RANDOM_CROP', 0), train.get('ZOOM_OUT', 0))),
        (not (test.get('TRACK') and (test.get('SEQ_NMS') or test.get('SAVE_RAW'))), TRACKS_OR_WHOLE_CLIP),
    ]
    for good, message in checks + _stride_checks(network) + _window_checks(config):
        if not good:
            raise ConfigError('%s: %s' % (source, message))
    lr_steps(train.lr_step, source)


def _stride_checks(network: Any) -> List[Any]:
    """(whether it is so, message) of the heads' strides; segmentation has no FEATURE_STRIDE."""
    stride = network.get('FEATURE_STRIDE', 16)
    follows = ', it follows network.FEATURE_STRIDE' if 'FEATURE_STRIDE' in network else ''
    return [(network[key] == stride,
             'network.%s is %d, but a cell of the feature map is %d pixels wide: leave it out%s'
             % (key, network[key], stride, follows)) for key in ('RPN_FEAT_STRIDE', 'RCNN_FEAT_STRIDE')]


def _window_checks(config: Any) -> List[Any]:
    """(whether it is so, message) of the settings of tasks that aggregate a window of frames (FGFA)."""
    network, train, test = config.network, config.TRAIN, config.TEST
    if 'FGFA_FEAT_DIM' not in network:
        return []
    return [
        (network.FGFA_FEAT_DIM > network.DFF_FEAT_DIM,
         'network.FGFA_FEAT_DIM (%d) must be above DFF_FEAT_DIM (%d): it counts the channels of the feature '
         'and of its embedding together' % (network.FGFA_FEAT_DIM, network.DFF_FEAT_DIM)),
        (train.MIN_OFFSET < train.MAX_OFFSET,
         'TRAIN.MIN_OFFSET and MAX_OFFSET are both %d, but training draws two different offsets' % train.MIN_OFFSET),
        (test.KEY_FRAME_POLICY == 'fixed',
         'TEST.KEY_FRAME_POLICY is %s, but FGFA has no key frames: leave it at fixed. Its window is '
         'TEST.KEY_FRAME_INTERVAL frames to each side' % test.KEY_FRAME_POLICY),
        (test.KEY_FRAME_INTERVAL <= MOST_REACH,
         'TEST.KEY_FRAME_INTERVAL is %d, but a window of FGFA has at most %d frames to each side'
         % (test.KEY_FRAME_INTERVAL, MOST_REACH)),
        (test.PRECISION == 'float32', 'TEST.PRECISION is %s, but FGFA computes in float32' % test.PRECISION),
    ]


def lr_steps(text: str, source: str = 'TRAIN.lr_step') -> List[float]:
    """Return the epochs, as floats, at which the learning rate falls: of '2,3.5'; '' for never.

    source: where `text` comes from, for the message. Raises ConfigError.
    """
    most = RANGES['TRAIN.end_epoch'].high
    try:
        steps = [float(part) for part in text.split(',') if part.strip()]
    except ValueError:
        steps = [math.nan]
    if not all(0 < step <= most for step in steps):
        raise ConfigError("%s: 'TRAIN.lr_step' must be epochs above 0 and at most %d, separated by "
                          "commas, as in '1.333' or '2,3'; found %r" % (source, most, text))
    return steps
