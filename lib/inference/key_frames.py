"""What the settings say of key frames, and of the images that networks see."""
import logging

from dff.errors import CheckpointError, ConfigError
from dff.frames import InputFormat, Pass, largest_input
from dff.schedule import make_schedule
from lib.symbols.detector import FINE_LAYER
from lib.symbols.warp import EMBEDDING


def input_format(cfg):
    """Return the InputFormat of the networks of `cfg`."""
    return InputFormat(cfg.SCALES[0], cfg.network.IMAGE_STRIDE, cfg.network.PIXEL_MEANS)


def passes_of(cfg):
    """Return the Passes in which TEST.SCALES and TEST.FLIP of `cfg` show every frame."""
    form = input_format(cfg)
    forms = [form._replace(scales=scales) for scales in cfg.TEST.SCALES or [form.scales]]
    return [Pass(form, mirrored) for form in forms for mirrored in ([False, True] if cfg.TEST.FLIP else [False])]


def several_passes(cfg):
    """Return whether the settings show frames in another way than once, at SCALES."""
    return bool(cfg.TEST.FLIP or cfg.TEST.SCALES)


def passes_suffix(cfg):
    """Return what results of several passes have in their folder's name, '' of one."""
    scales = ''.join('_%d' % shorter for shorter, _ in cfg.TEST.SCALES)
    return '_flip' * cfg.TEST.FLIP + ('_scales' + scales[1:] if scales else '')


def require_one_pass(cfg, reason):
    """Raise ConfigError where `several_passes`; reason: why there is one only."""
    for key in ('FLIP', 'SCALES'):
        if cfg.TEST[key]:
            raise ConfigError('TEST.%s is %s, but %s: leave it out, or --set TEST.%s=%s'
                              % (key, cfg.TEST[key], reason, key, {'FLIP': 'false', 'SCALES': '[]'}[key]))


def network_input(cfg):
    """Return (height, width) of the largest network input of all passes."""
    sizes = [largest_input(each.form) for each in passes_of(cfg)]
    return tuple(max(sides) for sides in zip(*sizes))


def schedule_of(cfg, interval=None):
    """Return a new Schedule by TEST.KEY_FRAME_POLICY, _INTERVAL and _MISMATCH of `cfg`; interval: another
    one, None for that.

    Raises ConfigError for an interval below 1.
    """
    test = cfg.TEST
    return make_schedule(test.KEY_FRAME_POLICY, test.KEY_FRAME_INTERVAL if interval is None else interval,
                         test.KEY_FRAME_MISMATCH)


def check_aggregation(cfg, instance, arg_params, source):
    """Check what TEST.AGGREGATE and TEST.KEY_FRAME_POLICY ask of the network and its parameters.

    Args:
        cfg: the settings.
        instance: of the symbol class.
        arg_params: {name: NDArray}.
        source: what messages call their origin.

    Raises ConfigError, and CheckpointError for parameters without embeddings.
    """
    test = cfg.TEST
    if test.AGGREGATE != 'none' and not instance.can_aggregate:
        raise ConfigError('TEST.AGGREGATE: %s is not for exported models, whose key networks take one image: set it to '
                          'none' % test.AGGREGATE)
    missing = [name for name in EMBEDDING if name not in arg_params]
    if test.AGGREGATE != 'none' and missing:
        raise CheckpointError('%s lacks the embeddings that TEST.AGGREGATE: %s compares features in (%s): train them '
                              'with TRAIN.AGGREGATE=%s from this checkpoint (network.pretrained), or test with '
                              'TEST.AGGREGATE=none' % (source, test.AGGREGATE, ', '.join(missing), test.AGGREGATE))
    if test.AGGREGATE != 'none' and test.PRECISION != 'float32':
        raise ConfigError('TEST.AGGREGATE: %s runs in float32: TEST.PRECISION is %s' % (test.AGGREGATE, test.PRECISION))


def check_stride(cfg, arg_params, source):
    """Raise CheckpointError where parameters were trained with another network.FEATURE_STRIDE than `cfg` has.

    arg_params, source: as of check_aggregation.
    """
    has, wanted = 8 if FINE_LAYER in arg_params else 16, cfg.network.RCNN_FEAT_STRIDE
    if has != wanted:
        raise CheckpointError('%s has features of stride %d (%s %s), and the settings say %d: set '
                              'network.FEATURE_STRIDE to %d, or train from it with %d (network.pretrained)'
                              % (source, has, 'with' if has == 8 else 'without', FINE_LAYER, wanted, has, wanted))


def require_trained(cfg):
    """Raise ConfigError where TEST.AGGREGATE needs what a training by these settings does not make; log a line where
    it leaves unused what that makes.
    """
    if cfg.TEST.AGGREGATE != 'none' and cfg.TRAIN.AGGREGATE == 'none':
        raise ConfigError('TEST.AGGREGATE is %s, but TRAIN.AGGREGATE none: what is trained would have no embeddings to '
                          'test with; set both' % cfg.TEST.AGGREGATE)
    if cfg.TEST.AGGREGATE == 'none' != cfg.TRAIN.AGGREGATE:
        logging.getLogger('dff.config').warning(
            'TRAIN.AGGREGATE is %s and TEST.AGGREGATE none: the test will run without what is trained of it',
            cfg.TRAIN.AGGREGATE)


def require_fixed(cfg, reason):
    """Raise ConfigError unless key frames come at fixed intervals, the first frame of each; reason: why they must."""
    if cfg.TEST.KEY_FRAME_POLICY != 'fixed':
        raise ConfigError('TEST.KEY_FRAME_POLICY must be fixed, found %s: %s' % (cfg.TEST.KEY_FRAME_POLICY, reason))
