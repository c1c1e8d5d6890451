"""What single keys of the settings cannot show: ranges, and keys that contradict each other."""
from dff.errors import ConfigError
from dff.seq_nms import RESCORE


def validate(config, source):
    """Check what single keys cannot show. Raises ConfigError naming the keys."""
    network, train, test = config.network, config.TRAIN, config.TEST
    anchors = len(network.ANCHOR_SCALES) * len(network.ANCHOR_RATIOS)
    scale = train.get('RANDOM_SCALE', [1, 1])
    checks = [
        (network.NUM_ANCHORS == anchors,
         'network.NUM_ANCHORS is %d, but ANCHOR_SCALES x ANCHOR_RATIOS make %d' % (network.NUM_ANCHORS, anchors)),
        (network.FIXED_PARAMS_RULE in ('prefix', 'substring'),
         'network.FIXED_PARAMS_RULE must be prefix or substring, found %r' % network.FIXED_PARAMS_RULE),
        (len(network.PIXEL_MEANS) == 3, 'network.PIXEL_MEANS must hold 3 numbers (blue, green, red)'),
        (network.DFF_FEAT_DIM > 0 and network.DFF_FEAT_DIM % 2 == 0,
         'network.DFF_FEAT_DIM must be even and above 0: one half goes to the RPN, one to R-FCN'),
        (train.MIN_OFFSET <= train.MAX_OFFSET,
         'TRAIN.MIN_OFFSET (%d) is above TRAIN.MAX_OFFSET (%d)' % (train.MIN_OFFSET, train.MAX_OFFSET)),
        (train.CHECKPOINT_EVERY >= 0, 'TRAIN.CHECKPOINT_EVERY must be a number of batches, or 0'),
        (train.clip_gradient >= 0, 'TRAIN.clip_gradient must be above 0, or 0 for none'),
        (train.MAX_LOSS > 0, 'TRAIN.MAX_LOSS must be above 0'),
        (train.BATCH_IMAGES >= 1, 'TRAIN.BATCH_IMAGES must be at least 1'),
        (test.KEY_FRAME_INTERVAL >= 1, 'TEST.KEY_FRAME_INTERVAL must be at least 1'),
        (test.PRECISION in ('float32', 'int8'), 'TEST.PRECISION must be float32 or int8, found %r' % test.PRECISION),
        (test.KEY_FRAME_POLICY in ('fixed', 'middle', 'flow'),
         'TEST.KEY_FRAME_POLICY must be fixed, middle or flow, found %r' % test.KEY_FRAME_POLICY),
        (test.SEQ_NMS_RESCORE in RESCORE,
         'TEST.SEQ_NMS_RESCORE must be avg or max, found %r' % test.SEQ_NMS_RESCORE),
        (test.KEY_FRAME_MISMATCH > 0, 'TEST.KEY_FRAME_MISMATCH must be above 0 (grey levels)'),
        (min(train.get('CROP_HEIGHT', 1), train.get('CROP_WIDTH', 1)) >= 1,
         'TRAIN.CROP_HEIGHT and CROP_WIDTH must be at least 1'),
        (len(scale) == 2 and 0 < scale[0] <= scale[1], 'TRAIN.RANDOM_SCALE must be two factors, smallest and '
                                                       'largest, as in [0.75, 1.5]'),
        (scale == [1, 1] or train.ENABLE_CROP, 'TRAIN.RANDOM_SCALE needs TRAIN.ENABLE_CROP: all images of a '
                                               'batch must have one size'),
        (config.dataset.NUM_CLASSES >= 2, 'dataset.NUM_CLASSES must be at least 2; in detection it counts the '
                                          'background too'),
        (config.default.frequent >= 1, 'default.frequent must be at least 1'),
    ]
    for good, message in checks:
        if not good:
            raise ConfigError('%s: %s' % (source, message))
    lr_steps(train.lr_step, source)


def lr_steps(text, source='TRAIN.lr_step'):
    """The epochs, as floats, at which the learning rate falls: '1.333' or '2,3.5'; '' for never."""
    try:
        return [float(part) for part in text.split(',') if part.strip()]
    except ValueError:
        raise ConfigError("%s: 'TRAIN.lr_step' must be epochs separated by commas, as in '1.333' or '2,3'; found %r"
                          % (source, text)) from None
