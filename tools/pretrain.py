"""Pre-train a part of a network on its own training images, where no ImageNet or FlyingChairs model is available.

    python tools/pretrain.py backbone --cfg experiments/rfcn/cfgs/toy_vid_rfcn.yaml
    python tools/pretrain.py flow --cfg experiments/dff_rfcn/cfgs/toy_vid_dff_rfcn.yaml
    python tools/pretrain.py flow --neighbours --cfg data/my_videos/my_videos_dff_rfcn.yaml      real footage

Writes the file that network.pretrained (backbone) or network.pretrained_flow (flow) names.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
from dff_rfcn.config.config import config, update_config  # noqa: E402
from lib.config.cli import apply_arguments, base_parser  # noqa: E402
from lib.utils.paths import resolve  # noqa: E402
from lib.engine.devices import contexts  # noqa: E402
from lib.engine.checkpoint import file_name, seed_epoch  # noqa: E402
from lib.utils.argument_types import positive  # noqa: E402
from lib.train.pretrainer import pretrain_backbone  # noqa: E402
from lib.flow.pretrainer import pretrain_flow, pretrain_on_neighbours  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from dff.errors import ConfigError  # noqa: E402
from lib.utils.log import create_logger  # noqa: E402

WINDOW = 96                   # pixels: side of what the backbone learns to classify


def parse_arguments():
    """Return the command line, an argparse.Namespace. Raises ConfigError for batches of one."""
    parser = base_parser(__doc__.split('\n')[0])
    parser.add_argument('part', choices=['backbone', 'flow'])
    parser.add_argument('--batches', type=positive, metavar='N', help='default 500 (backbone) or 2000 (flow)')
    parser.add_argument('--batch_size', type=positive, metavar='N',
                        help='windows (default 32) or pairs (default 8) a batch')
    parser.add_argument('--neighbours', action='store_true',
                        help='flow: learn from real neighbours of frames, too; for videos of cameras, as others than '
                             'drawn ones')
    parser.add_argument('--lr', type=float, help='default 0.02 (backbone, SGD) or 0.002 (flow, Adam)')
    args = parser.parse_args()
    if args.neighbours and args.part != 'flow':
        raise ConfigError('--neighbours is for the part flow')
    if args.batch_size == 1:
        raise ConfigError('--batch_size must be at least 2')
    return args


def main():
    """Run the command."""
    args = parse_arguments()
    cfg_path = apply_arguments(config, update_config, args)
    backbone = args.part == 'backbone'
    key = 'pretrained' if backbone else 'pretrained_flow'
    if not config.network[key]:
        raise ConfigError('%s: network.%s is empty; it names the file to write' % (cfg_path, key))
    path = file_name(resolve(config.network[key]), 0)
    logger, _ = create_logger(config, cfg_path, config.dataset.image_set)
    context = contexts(config.gpus, logger.info)[0]
    seed_epoch(config.TRAIN.SEED, 0)
    if backbone:
        accuracy = pretrain_backbone(config, path, args.batches or 500, args.batch_size or 32,
                                     WINDOW, args.lr or 0.02, logger, context)
        logger.info('accuracy %.3f: %s' % (accuracy, path))
    else:
        train = pretrain_on_neighbours if args.neighbours else pretrain_flow
        train(config, resolve(config.network[key]), args, logger, context)


if __name__ == '__main__':
    run(main)
