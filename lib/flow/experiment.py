"""Training and testing of the flow network by a settings file."""
import functools
import os

from lib.config.cli import apply_arguments
from lib.config.config import update_from_file
from lib.utils.paths import resolve
from lib.config.defaults import flow_defaults
from lib.engine.devices import contexts
from lib.engine.checkpoint import file_name, load_params, seed_epoch
from lib.engine.trained_with import PARTS, check_flow, report_other_training
from lib.flow.augment import Augmented, Cut
from lib.flow.chairs import FlyingChairs
from lib.flow.evaluate import FlowEstimator, dis_flow, end_point_errors, zero_flow
from lib.flow.pairs import draw_pair
from lib.flow.picture import plot_curve, sample_rows, write_picture
from lib.flow.synthetic import SyntheticPairs
from lib.flow.trainer import train_flow
from dff.errors import ConfigError
from dff.files import write_json
from lib.utils.log import create_logger

ROOM = 1.25         # synthetic pairs are drawn so much larger than what augmentation cuts out
SAMPLES = 4         # rows of the picture


def train(config, cfg_path):
    """Train the flow network of `config`, and write it to the file that network.pretrained_flow names.

    Beside the log: curve.png. Raises ConfigError, DataError, CheckpointError, SetupError.
    """
    logger, folder = create_logger(config, cfg_path, config.dataset.image_set)
    context = contexts(config.gpus, logger.info)[0]
    seed_epoch(config.TRAIN.SEED, 0)
    options = config.TRAIN
    validation = Cut(_pairs(config, config.dataset.test_image_set), config.SCALES[0])
    start = config.network.pretrained and resolve(config.network.pretrained)
    if start:
        report_other_training(config, None, [], start, 0, [PARTS['flow'][0]], logger.info)
    records = train_flow(
        _training_pairs(config), config, file_name(_model(config, cfg_path), 0), options.BATCHES,
        options.BATCH_IMAGES, options.lr, logger, context, start=start, validation=validation,
        frequent=config.default.frequent)
    plot_curve(records, os.path.join(folder, 'curve.png'))
    logger.info('written: %s, %s' % (file_name(_model(config, cfg_path), 0), os.path.join(folder, 'curve.png')))


def test(config, cfg_path):
    """Measure the network that network.pretrained_flow names on TEST.PAIRS pairs, beside zero flow and DIS.

    Prints a table; writes results.json and samples.jpg. Returns the numbers, as end_point_errors.
    """
    logger, folder = create_logger(config, cfg_path, config.dataset.test_image_set)
    prefix = _model(config, cfg_path)
    check_flow(config, prefix)
    source = _pairs(config, config.dataset.test_image_set)
    estimator = FlowEstimator(config, load_params(prefix, 0)[0],
                              contexts(config.gpus, logger.info)[0], file_name(prefix, 0))
    methods = {'FlowNet': estimator, 'DIS': dis_flow, 'zero flow': zero_flow}
    count = min(config.TEST.PAIRS, len(source)) if isinstance(source, FlyingChairs) else config.TEST.PAIRS

    def pair(number):
        if isinstance(source, FlyingChairs):
            return source.pair(number)
        return draw_pair(source, 'test', number, config.TRAIN.SEED)

    errors = end_point_errors(methods, map(pair, range(count)), count)
    logger.info('end-point error, pixels  %9s %9s %9s %9s' % ('all', 'below 10', 'above', '16 x 16'))
    for name in methods:
        logger.info(
            '%-24s %9.3f %9.3f %9.3f %9.3f'
            % ((name,) + tuple(errors[name][part] for part in ('all', 'small', 'large', 'coarse'))))
    write_picture(os.path.join(folder, 'samples.jpg'),
                  sample_rows(map(pair, range(min(SAMPLES, count))), [estimator, dis_flow]))
    path = os.path.join(folder, 'results.json')
    write_json(path, {'model': file_name(prefix, 0), 'pairs': count, 'end_point_error_pixels': errors})
    logger.info('written: %s' % path)
    return errors


def _model(config, cfg_path):
    if not config.network.pretrained_flow:
        raise ConfigError('%s: network.pretrained_flow is empty; it names the file of the flow '
                          'network' % cfg_path)
    return resolve(config.network.pretrained_flow)


def _pairs(config, split, scale=1.0):
    """The source of pairs that dataset.dataset names."""
    data = config.dataset
    if data.dataset == 'FlyingChairs':
        return FlyingChairs(resolve(data.dataset_path), split)
    if data.dataset == 'SyntheticPairs':
        size = [int(scale * side) for side in config.SCALES[0]]
        seed = config.TRAIN.SEED + (split != data.image_set)     # other textures for testing
        return SyntheticPairs(size, data.MOTION, data.TEXTURES and resolve(data.TEXTURES), seed)
    raise ConfigError(
        "dataset.dataset: there are no pairs called '%s'; choose SyntheticPairs or FlyingChairs"
        % data.dataset)


def _training_pairs(config):
    augment = config.TRAIN.AUGMENT
    source = _pairs(config, config.dataset.image_set, ROOM if augment else 1.0)
    return Augmented(source, config.SCALES[0]) if augment else Cut(source, config.SCALES[0])


def configured(args):
    """(settings, path of their file) for parsed arguments of lib.config.cli's parsers. Raises ConfigError."""
    config = flow_defaults()
    cfg_path = apply_arguments(config, functools.partial(update_from_file, config), args)
    return config, cfg_path
