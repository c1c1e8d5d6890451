"""The commands of every task: train, test, both, demo. The scripts in the task folders and in experiments/
only name their task.
"""
from lib.apps.demo import demo_parser, run_demo
from lib.config.cli import apply_arguments, base_parser, train_parser
from lib.dataset.rules.parts import warn_of_trained_clips
from lib.inference.key_frames import require_trained
from lib.inference.testing import TestOptions, check_test_epoch, test_net
from lib.train.trainer import train_net
from lib.tasks.task import check_network
from lib.utils.argument_types import INTERVAL, positive
from lib.utils.cli import run


def train(task, description):
    """Train `task` with the settings on the command line; description: of the script, for --help."""
    def only():
        cfg_path = _configure(task, train_parser(description).parse_args())
        train_net(task, task.config, cfg_path)
    run(only)


def train_and_test(task, description):
    """Train `task`, then test what came out; description: of the script, for --help."""
    def both():
        cfg_path = _configure(task, train_parser(description).parse_args())
        check_test_epoch(task.config, cfg_path)
        require_trained(task.config)
        # What is wrong with the test set is said before hours of training.
        test_set = task.kind.test_run(task, task.config, TestOptions()).dataset
        if not task.config.TRAIN.VALIDATE_EVERY:      # which warns itself
            warn_of_trained_clips(task.config.dataset.image_set, test_set)
        train_net(task, task.config, cfg_path)
        test_net(task, task.config, cfg_path)
    run(both)


def test(task, description):
    """Test `task` with the settings on the command line; description: of the script, for --help."""
    run(lambda: _test(task, test_parser(task, description).parse_args()))


def demo(task, description, batch=False):
    """Run the demo of `task`; description: of the script, for --help; batch: through the batch network."""
    run(lambda: run_demo(task, demo_parser(task, description, batch).parse_args()))


def test_parser(task, description):
    """Return the parser of testing `task`; description: for --help."""
    parser = base_parser(description)
    parser.add_argument('--precision', choices=('float32', 'int8'),
                        help='int8 is for the CPU; overrides TEST.PRECISION')
    parser.add_argument('--interval', type=positive, metavar='N',
                        help='%s; overrides TEST.KEY_FRAME_INTERVAL' % INTERVAL)
    parser.add_argument('--ignore_cache', action='store_true', help='run again where results of finished clips exist')
    task.kind.add_test_flags(parser)
    return parser


def _configure(task, args):
    """Load the settings that `args` name into task.config; returns the path of their file."""
    task.load_symbols()
    cfg_path = apply_arguments(task.config, task.update_config, args)
    check_network(task, cfg_path)
    return cfg_path


def _test(task, args):
    cfg_path = _configure(task, args)
    test_net(task, task.config, cfg_path, interval=args.interval, vis=args.vis, ignore_cache=args.ignore_cache,
             **task.kind.test_options(args))
