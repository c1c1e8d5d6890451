"""What the settings say of key frames, and of the images that networks see."""
from dff.errors import ConfigError
from dff.frames import InputFormat
from dff.schedule import make_schedule


def input_format(cfg):
    """Return the InputFormat of the networks of `cfg`."""
    return InputFormat(cfg.SCALES[0], cfg.network.IMAGE_STRIDE, cfg.network.PIXEL_MEANS)


def schedule_of(cfg, interval=None):
    """Return a new Schedule by TEST.KEY_FRAME_POLICY, _INTERVAL and _MISMATCH of `cfg`; interval: another
    one, None for that.

    Raises ConfigError for an interval below 1.
    """
    test = cfg.TEST
    return make_schedule(test.KEY_FRAME_POLICY, test.KEY_FRAME_INTERVAL if interval is None else interval,
                         test.KEY_FRAME_MISMATCH)


def require_fixed(cfg, reason):
    """Raise ConfigError unless key frames come at fixed intervals, the first frame of each; reason: why they must."""
    if cfg.TEST.KEY_FRAME_POLICY != 'fixed':
        raise ConfigError('TEST.KEY_FRAME_POLICY must be fixed, found %s: %s' % (cfg.TEST.KEY_FRAME_POLICY, reason))
