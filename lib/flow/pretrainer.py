"""Pre-training of the flow network on a data set's own frames, moved or beside neighbours."""

import copy
import functools

from dff.errors import ConfigError
from lib.dataset.registry import get_dataset
from lib.dataset.roidb import load_roidb
from lib.engine.checkpoint import file_name, load_params
from lib.flow.evaluate import FlowEstimator
from lib.flow.follow import dis_cells, measure, no_motion, table, tracked_boxes
from lib.flow.moved_frames import MovedFrames
from lib.flow.real_frames import Emphasised, MovedParts, RealFrames, make_windows
from lib.flow.trainer import train_flow

LARGEST_MOTION = 32  # pixels that something moves between the frames of a moved pair
LARGEST_OF_PARTS = 48  # the same of moved parts, beside real neighbours
PART = (192, 256)  # height and width of the parts of real frames that are learned from
WINDOWS, TEST_WINDOWS = 100, 36
DISTANCES = (1, 2, 4, 6, 9)


def pretrain_flow(config, prefix, options, logger, context):
    """Train the flow network of `config` on moved images of its training set; write its parameters.

    Args:
        config: the settings.
        prefix: of the .params file to write.
        options: has batches, batch_size and lr, None for the defaults.
        logger: told the error.
        context: mx.Context to train on.

    Raises:
        ConfigError, DataError, CheckpointError
    """
    _train(
        MovedFrames(load_roidb(config), config, LARGEST_MOTION),
        config,
        prefix,
        options,
        logger,
        context,
    )


def pretrain_on_neighbours(config, prefix, options, logger, context):
    """Train it on parts of frames of the training clips, moved and beside their neighbours.

    The clips of dataset.test_image_set tell how well it does, in a table that is logged.

    Args:
        config, prefix, options, logger, context: see pretrain_flow.

    Raises:
        ConfigError, DataError, CheckpointError: also where no clip has two frames.
    """
    distance = max(abs(config.TRAIN.MIN_OFFSET), abs(config.TRAIN.MAX_OFFSET))
    if not distance:
        raise ConfigError(
            '--neighbours: TRAIN.MIN_OFFSET and TRAIN.MAX_OFFSET are 0; how many frames '
            'away a neighbour may be is the larger of both'
        )
    clips = sorted(
        {(record.pattern, 0, record.clip_length) for record in load_roidb(config) if record.pattern}
    )
    dataset = get_dataset(config, config.dataset.test_image_set, 'detection')
    test_clips = [(clip.pattern, clip.first_frame, clip.length) for clip in dataset.clips()]
    size = config.SCALES[0]
    test_windows = make_windows(
        test_clips, size, TEST_WINDOWS, distance, config.dataset.test_image_set
    )
    windows = make_windows(clips, size, WINDOWS, distance, config.dataset.image_set)
    part = [min(side, have) // 16 * 16 for side, have in zip(PART, size)]
    real, moved = RealFrames(windows, part), MovedParts(windows, part, LARGEST_OF_PARTS)
    source = Emphasised([real, real, moved])
    on_parts = copy.deepcopy(config)
    on_parts.SCALES = [tuple(part)]
    _train(source, on_parts, prefix, options, logger, context)
    estimator = FlowEstimator(config, load_params(prefix, 0)[0], context, file_name(prefix, 0))
    stride = config.network.RCNN_FEAT_STRIDE
    methods = {
        'no motion': functools.partial(no_motion, stride=stride),
        'this network': estimator.cells,
        'DIS at once': functools.partial(dis_cells, stride=stride),
    }
    longest = max(len(window.flows) for window in test_windows)
    distances = [distance for distance in DISTANCES if distance <= longest]
    boxes = tracked_boxes(dataset, size)
    for line in table(*measure(test_windows, boxes, methods, distances, stride), stride):
        logger.info(line)


def _train(source, config, prefix, options, logger, context):
    records = train_flow(
        source,
        config,
        file_name(prefix, 0),
        options.batches or 2000,
        options.batch_size or 8,
        options.lr or 0.002,
        logger,
        context,
    )
    last = records[-1]
    logger.info(
        'end-point error %.3f, zero flow %.3f feature-map pixels: %s'
        % (last.error, last.zero, file_name(prefix, 0))
    )
    if last.error >= last.zero:
        logger.warning(
            'this flow network is no better than no motion: DFF would start worse than without '
            'flow. Train it longer (--batches), or on frames in which more moves'
        )
