"""Command-line flags that the train, test and demo scripts share."""
import argparse
import os

from lib.config.config import update_from_settings, validate
from lib.utils.paths import resolve


def base_parser(description, default_cfg=None):
    """Return a parser with --cfg, --gpus and --set; description: for --help; default_cfg: of --cfg, None: required."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--cfg', default=default_cfg, required=default_cfg is None, metavar='FILE.yaml',
                        help='settings of the experiment')
    parser.add_argument('--gpus', metavar='0,1|cpu', help='devices; overrides the `gpus` key')
    parser.add_argument('--set', nargs='+', action='append', default=[], metavar='a.b=c', dest='settings',
                        help='override single settings, as in --set TRAIN.lr=0.001 TRAIN.end_epoch=4')
    return parser


def apply_arguments(config, update_config, args):
    """Load `args.cfg` (looked for here, then in the repository), then the other shared flags.

    Args:
        config: the settings to change.
        update_config: (path) -> loads a settings file into them.
        args: parsed arguments of base_parser.

    Returns the path of the file. Raises ConfigError.
    """
    path = args.cfg if os.path.exists(args.cfg) else resolve(args.cfg)
    update_config(path)
    update_from_settings(config, [setting for group in args.settings for setting in group])
    if args.gpus is not None:
        config.gpus = args.gpus
    if getattr(args, 'precision', None) is not None:
        config.TEST.PRECISION = args.precision
        validate(config, '--precision')
    if getattr(args, 'seq_nms', False):
        config.TEST.SEQ_NMS = True
    if getattr(args, 'track', False) or getattr(args, 'mot', None):
        config.TEST.TRACK = True
        validate(config, path)
    if getattr(args, 'resume', False):
        config.TRAIN.RESUME = True
    if getattr(args, 'frequent', None) is not None:
        config.default.frequent = args.frequent
        validate(config, '--frequent')
    return path


def train_parser(description):
    """The shared flags and those of training."""
    parser = base_parser(description)
    parser.add_argument('--frequent', type=int, metavar='N',
                        help='batches between two lines of the log; overrides default.frequent')
    parser.add_argument('--resume', action='store_true',
                        help='continue from the newest complete checkpoint; sets TRAIN.RESUME')
    return parser
