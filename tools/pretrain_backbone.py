"""Pre-train the backbone of a config as a classifier of windows of its own training images.

    python tools/pretrain_backbone.py --cfg experiments/rfcn/cfgs/toy_vid_rfcn.yaml

For data sets and networks without an ImageNet model: it writes the file that network.pretrained names.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

import lib  # noqa: E402,F401  (prepares the import of MXNet)
from lib.config.cli import apply_arguments, base_parser  # noqa: E402
from lib.config.config import resolve  # noqa: E402
from lib.config.devices import contexts  # noqa: E402
from lib.core.checkpoint import file_name, seed_epoch  # noqa: E402
from lib.core.pretrainer import pretrain  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from lib.utils.errors import ConfigError  # noqa: E402
from lib.utils.log import create_logger  # noqa: E402
from rfcn.config.config import config, update_config  # noqa: E402


def main():
    parser = base_parser(__doc__.split('\n')[0])
    parser.add_argument('--batches', type=int, default=400, metavar='N')
    parser.add_argument('--batch_size', type=int, default=32, metavar='N', help='windows a batch')
    parser.add_argument('--window', type=int, default=96, metavar='PIXELS', help='side of a window; a multiple of 16, at least 64')
    parser.add_argument('--lr', type=float, default=0.05)
    args = parser.parse_args()
    cfg_path = apply_arguments(config, update_config, args)
    if not config.network.pretrained:
        raise ConfigError('%s: network.pretrained is empty; it names the file to write' % cfg_path)
    if args.window < 64 or args.window % 16 or args.batches < 1 or args.batch_size < 2:
        raise ConfigError('--window must be a multiple of 16 and at least 64, --batches at least 1, --batch_size at least 2')
    logger, _ = create_logger(config, cfg_path, config.dataset.image_set)
    seed_epoch(config.TRAIN.SEED, 0)
    path = file_name(resolve(config.network.pretrained), config.network.pretrained_epoch)
    accuracy = pretrain(config, path, args.batches, args.batch_size, args.window, args.lr, logger, contexts(config.gpus, logger.info)[0])
    logger.info('backbone of accuracy %.3f: %s' % (accuracy, path))


if __name__ == '__main__':
    run(main)
