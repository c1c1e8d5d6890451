"""What every number of the settings may be: one table beside their defaults."""
import math
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from dff.errors import ConfigError

# Counts and sizes above these are slips, which would end in a lack of memory or an overflow.
MOST, SIDE = 10 ** 6, 10 ** 5


class Range(NamedTuple):
    """Numbers from `low` to `high`, both included unless `open_low` or `open_high` is set."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    length: Optional[int] = None    # of a list: numbers in it; None: at least one
    infinite: bool = False          # infinity is a value, too: no limit
    may_be_empty: bool = False      # a list may hold no number
    note: str = ''                  # for the message

    def holds(self, value: float) -> bool:
        """Return whether `value` is in the range."""
        if math.isnan(value) or (math.isinf(value) and not self.infinite):
            return False
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        parts = ['%d' % self.low] if self.low == self.high else []
        if -math.inf < self.low < self.high:
            parts.append('%s %d' % ('above' if self.open_low else 'at least', self.low))
        if self.low < self.high < math.inf:
            parts.append('%s %d' % ('below' if self.open_high else 'at most', self.high))
        text = ' and '.join(parts) or 'a finite number'
        return '%s (%s)' % (text, self.note) if self.note else text


ABOVE_0 = Range(0, open_low=True)
NOT_NEGATIVE = Range(0)
SHARE = Range(0, 1)
COUNT, COUNT_OR_0 = Range(1, MOST), Range(0, MOST)
PIXELS = Range(1, SIDE)
HEAD_STRIDE = Range(8, 16, note='it follows network.FEATURE_STRIDE')
LARGER_0 = Range(0, open_low=True, infinite=True)
FOUR, FOUR_ABOVE_0 = Range(-MOST, MOST, length=4), Range(0, MOST, open_low=True, length=4)
FOUR_NOT_NEGATIVE = Range(0, MOST, length=4)

# 'key', or 'section.key', of a number or a list of numbers.
RANGES: Dict[str, Range] = {
    'SCALES': PIXELS, 'TEST.SCALES': Range(1, SIDE, may_be_empty=True),
    'default.frequent': COUNT,
    'network.pretrained_epoch': COUNT_OR_0,
    'network.PIXEL_MEANS': Range(0, 255, length=3),
    'network.IMAGE_STRIDE': Range(0, SIDE),
    'network.FEATURE_STRIDE': Range(8, 16),
    'network.RPN_FEAT_STRIDE': HEAD_STRIDE, 'network.RCNN_FEAT_STRIDE': HEAD_STRIDE,
    'network.ANCHOR_SCALES': Range(0, SIDE, open_low=True),
    'network.ANCHOR_RATIOS': Range(0, 1000, open_low=True),
    'network.NUM_ANCHORS': Range(1, 1000),
    'network.ANCHOR_MEANS': FOUR, 'network.ANCHOR_STDS': FOUR_ABOVE_0,
    'network.DFF_FEAT_DIM': Range(2, SIDE), 'network.FGFA_FEAT_DIM': Range(3, SIDE),
    'network.BN_EPS': Range(0, 1, open_low=True),
    'network.RFCN_GROUP_SIZE': Range(1, 100),
    'network.depth': Range(1, 1000),
    'network.FLOW_PASSES': Range(1, 4), 'network.FLOW_INPUT_SCALE': Range(0.25, 0.5),
    'network.EMBED_DIM': Range(4, SIDE), 'network.EMBED_SHARPNESS': Range(0, 1000, open_low=True),
    'network.width': Range(0, 16, open_low=True), 'network.flow_width': Range(0, 16, open_low=True),
    'network.stem_width': Range(0, 16),
    'dataset.NUM_CLASSES': Range(2, SIDE, note='in detection with the background'),
    'dataset.MOTION': Range(0, SIDE),
    'TRAIN.lr': ABOVE_0, 'TRAIN.lr_factor': Range(0, 1, open_low=True),
    'TRAIN.momentum': Range(0, 1, open_high=True), 'TRAIN.wd': NOT_NEGATIVE,
    'TRAIN.warmup_lr': NOT_NEGATIVE, 'TRAIN.warmup_step': Range(0, 10 ** 9),
    'TRAIN.begin_epoch': COUNT_OR_0, 'TRAIN.end_epoch': COUNT,
    'TRAIN.SEED': Range(0, 2 ** 31 - 2),
    'TRAIN.CHECKPOINT_EVERY': Range(0, 10 ** 9),
    'TRAIN.VALIDATE_EVERY': Range(0, MOST, note='epochs; 0: never'),
    'TRAIN.VALIDATE_CLIPS': Range(0, MOST, note='0: all'),
    'TRAIN.PATIENCE': Range(0, MOST, note='0: no end before TRAIN.end_epoch'),
    'TRAIN.EMA': Range(0, 1, open_high=True, note='0: no averages'),
    'TRAIN.clip_gradient': Range(0, note='0: it is not cut'), 'TRAIN.MAX_LOSS': LARGER_0,
    'TRAIN.BATCH_IMAGES': Range(1, 10 ** 4), 'TRAIN.BATCHES': Range(1, 10 ** 9),
    'TRAIN.BATCH_ROIS': Range(-1, SIDE, note='-1: all'), 'TRAIN.BATCH_ROIS_OHEM': Range(1, SIDE),
    'TRAIN.FG_FRACTION': SHARE, 'TRAIN.FG_THRESH': SHARE,
    'TRAIN.BG_THRESH_HI': SHARE, 'TRAIN.BG_THRESH_LO': SHARE,
    'TRAIN.BBOX_REGRESSION_THRESH': SHARE, 'TRAIN.BBOX_WEIGHTS': FOUR_NOT_NEGATIVE,
    'TRAIN.RPN_BATCH_SIZE': COUNT, 'TRAIN.RPN_FG_FRACTION': SHARE,
    'TRAIN.RPN_POSITIVE_OVERLAP': SHARE, 'TRAIN.RPN_NEGATIVE_OVERLAP': SHARE,
    'TRAIN.RPN_BBOX_WEIGHTS': FOUR_NOT_NEGATIVE, 'TRAIN.RPN_POSITIVE_WEIGHT': Range(-1, 1),
    'TRAIN.RPN_NMS_THRESH': SHARE, 'TRAIN.RPN_PRE_NMS_TOP_N': Range(-1, MOST),
    'TRAIN.RPN_POST_NMS_TOP_N': Range(1, SIDE), 'TRAIN.RPN_MIN_SIZE': Range(0, SIDE),
    'TRAIN.BBOX_MEANS': FOUR, 'TRAIN.BBOX_STDS': FOUR_ABOVE_0,
    'TRAIN.MIN_OFFSET': Range(-MOST, MOST), 'TRAIN.MAX_OFFSET': Range(-MOST, MOST),
    'TRAIN.CROP_HEIGHT': PIXELS, 'TRAIN.CROP_WIDTH': PIXELS,
    'TRAIN.RANDOM_SCALE': Range(0, 100, open_low=True, length=2),
    'TRAIN.RANDOM_CROP': SHARE, 'TRAIN.ZOOM_OUT': SHARE, 'TRAIN.BALANCE': SHARE,
    'TEST.BATCH_IMAGES': COUNT, 'TEST.KEY_FRAME_INTERVAL': COUNT,
    'TEST.KEY_FRAME_MISMATCH': LARGER_0, 'TEST.PAIRS': COUNT,
    'TEST.RPN_NMS_THRESH': SHARE, 'TEST.RPN_PRE_NMS_TOP_N': Range(-1, MOST),
    'TEST.RPN_POST_NMS_TOP_N': Range(1, SIDE), 'TEST.RPN_MIN_SIZE': Range(0, SIDE),
    'TEST.NMS': SHARE, 'TEST.max_per_image': Range(-1, MOST),
    'TEST.test_epoch': Range(-1, MOST, note='-1: the last'),
    'TEST.WORKERS': Range(1, 1024, note='or auto'),
}
# Settings that are one of a few words, or numbers.
CHOICES: Dict[str, Tuple[Any, ...]] = {
    'default.kvstore': ('local', 'device', 'dist_sync', 'dist_device_sync', 'dist_async'),
    'network.FEATURE_STRIDE': (8, 16), 'network.FLOW_INPUT_SCALE': (0.25, 0.5),
    'network.FIXED_PARAMS_RULE': ('prefix', 'substring'),
    'TRAIN.AGGREGATE': ('none', 'recursive'), 'TEST.AGGREGATE': ('none', 'recursive'),
    'TEST.PRECISION': ('float32', 'int8'),
    'TEST.KEY_FRAME_POLICY': ('fixed', 'middle', 'both', 'flow'),
    'TEST.SEQ_NMS_RESCORE': ('avg', 'max'),
}
FINITE = Range()     # of a number that a plugin adds


def check_ranges(config: Any, source: str) -> None:
    """Raise ConfigError, naming key and range, for a number or word of `config` that none can be.

    source: where the values come from, for the message.
    """
    for name, value in leaves(config):
        if name in CHOICES and value not in CHOICES[name]:
            *others, last = CHOICES[name]
            raise ConfigError('%s: %s must be %s or %s, found %r'
                              % (source, name, ', '.join(map(str, others)), last, value))
        numbers = list(_numbers(value))
        allowed = RANGES.get(name, FINITE)
        if name in RANGES and isinstance(value, list) and not (
                _enough(numbers, allowed.length) or allowed.may_be_empty):
            wanted = '%d numbers' % allowed.length if allowed.length else 'at least 1 number'
            raise ConfigError('%s: %s must hold %s, found %r' % (source, name, wanted, value))
        for number in numbers:
            if not allowed.holds(number):
                each = 'all of %s' % name if isinstance(value, list) else name
                raise ConfigError('%s: %s must be %s, found %s' % (source, each, allowed, number))


def leaves(config: Any, prefix: str = '') -> Iterator[Tuple[str, Any]]:
    """Yield ('section.key', value) of all settings of `config`; prefix: of a section."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from leaves(value, '%s%s.' % (prefix, key))
        else:
            yield prefix + str(key), value


def _numbers(value: Any) -> Iterator[float]:
    """The numbers of a value, whether it is one or a list of them, also in pairs."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


def _enough(numbers: List[float], length: Optional[int]) -> bool:
    return len(numbers) == length if length else bool(numbers)
