"""Suggest settings that fit the training data: size of the input, anchors, learning rate, epochs, key-frame interval.

    python tools/suggest_settings.py --cfg data/my_videos/my_videos_dff_rfcn.yaml [--write fitted.yaml]

What is printed is YAML: the reasons are comments, and the settings that should change can be pasted.
"""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))

from lib.config.config import update_from_settings  # noqa: E402
from lib.dataset.suggest.report import suggest_all, write_settings_file  # noqa: E402
from lib.tasks.task import task_of  # noqa: E402
from lib.utils.cli import run  # noqa: E402
from lib.utils.paths import resolve  # noqa: E402
from dff.errors import ConfigError  # noqa: E402


def main():
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--cfg', required=True, metavar='FILE.yaml', help='settings of the experiment')
    parser.add_argument('--set', nargs='+', action='append', default=[], metavar='a.b=c', dest='settings',
                        help='override single settings, as in --set dataset.image_set=VID_train_x')
    parser.add_argument('--write', metavar='OUT.yaml', help='also write a whole settings file: FILE.yaml with what is '
                        'overridden and suggested; a file that exists is not replaced')
    args = parser.parse_args()
    path = args.cfg if os.path.exists(args.cfg) else resolve(args.cfg)
    settings = [setting for group in args.settings for setting in group]
    if args.write and os.path.exists(args.write):
        raise ConfigError('--write: %s exists, and is not replaced; choose another name' % args.write)
    task = task_of(path)
    if task.recognises != 'detection':
        raise ConfigError('%s: settings are suggested for detection only; %s has no boxes to go by'
                          % (args.cfg, task.title))
    config = task.new_config()
    task.config = config
    task.update_config(path)
    update_from_settings(config, settings)
    found, lines = suggest_all(config, task.propagates)
    print('\n'.join(lines))
    if args.write:
        write_settings_file(path, settings, found, args.write, task.new_config())
        print('# written: %s' % args.write)


if __name__ == '__main__':
    run(main)
