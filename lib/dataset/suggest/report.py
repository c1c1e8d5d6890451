"""Suggested settings as text: reasons in comments, the settings as YAML."""
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import yaml
from easydict import EasyDict

from dff.errors import DataError
from dff.files import atomic_path
from lib.config.config import load_yaml, update_from_file
from lib.config.yaml_text import dump_settings
from lib.dataset.suggest.sample import Sample, read_sample
from lib.dataset.suggest.settings import (ENOUGH_BOXES, Suggestion, changed, motion_lines, suggest_interval,
                                          suggest_network, suggest_schedule, with_settings)


def suggest_all(cfg: EasyDict, propagates: bool) -> Tuple[Dict[str, Any], List[str]]:
    """Return ({key: value} to change, lines of YAML: all reasons as comments, then what to change).

    Args:
        cfg: the settings of a task that detects.
        propagates: whether it carries features between frames, and so has a key-frame interval.

    Raises:
        ConfigError, DataError: the data cannot be read, or hold no box.
    """
    sample = read_sample(cfg)
    devices = len([name for name in cfg.gpus.split(',') if name.strip()]) or 1
    found = suggest_network(cfg, sample) + suggest_schedule(cfg, sample.frames, devices)
    lines = _data_lines(sample)
    if propagates:
        found += suggest_interval(cfg, sample)
        if sample.frames > sample.stills:
            lines += motion_lines(sample.moves)
    lines = ['# ' + text for text in lines + [line(each) for each in found]]
    to_change = changed(found)
    if not to_change:
        return {}, lines + ['# nothing should change']
    return to_change, lines + dump_settings(with_settings({}, to_change)).splitlines()


def write_settings_file(path: str, settings: Sequence[str], found: Dict[str, Any], out: str, config: EasyDict) -> None:
    """Write the settings file `out`: that of `path`, changed by `settings` and then by what was found.

    Args:
        path: the settings file that `found` was suggested for.
        settings: of --set, as 'section.key=value'.
        found: {key: value} of suggest_all.
        out: the file to write.
        config: the task's settings by default; changed, as the file is checked with them.

    Raises:
        DataError: it cannot be written.
    """
    tree = load_yaml(path)
    for setting in settings:
        key, _, value = setting.partition('=')
        with_settings(tree, {key: yaml.safe_load(value)})
    with_settings(tree, found)
    try:
        with atomic_path(out) as temporary:
            with open(temporary, 'w', encoding='utf-8') as stream:
                stream.write('# Made by tools/suggest_settings.py from %s.\n%s' % (path, dump_settings(tree)))
            update_from_file(config, temporary)       # what cannot be loaded must not be handed over
    except OSError as error:
        raise DataError('cannot write %s: %s' % (out, error.strerror)) from None


def _data_lines(sample: Sample) -> List[str]:
    sides = np.sqrt(np.prod(sample.boxes[:, 2:] - sample.boxes[:, :2] + 1, axis=1))
    shapes = (sample.boxes[:, 3] - sample.boxes[:, 1] + 1) / (sample.boxes[:, 2] - sample.boxes[:, 0] + 1)
    sizes, counts = np.unique(sample.sizes.astype(int), axis=0, return_counts=True)
    common = ', '.join('%dx%d' % (width, height) for height, width in sizes[np.argsort(-counts, kind='stable')][:3])
    lines = ['%s: %d frames with boxes%s, %s%s' % (
        sample.name, sample.frames, ' (%d stills)' % sample.stills if sample.stills else '', common,
        ' and %d other sizes' % (len(sizes) - 3) if len(sizes) > 3 else '')]
    for title, values, form in (('side, the square root of the area, px', sides, '%.0f'),
                                ('height / width', shapes, '%.2g')):
        lines.append('boxes: %s: %s of a tenth below, half, a tenth above'
                     % (title, ', '.join(form % value for value in np.quantile(values, (0.1, 0.5, 0.9)))))
    if len(sample.boxes) < ENOUGH_BOXES:
        lines.append('%d boxes are too few to choose SCALES and anchors by; %d are needed'
                     % (len(sample.boxes), ENOUGH_BOXES))
    return lines


def line(each: Suggestion) -> str:
    """Return a line that says what is suggested and why."""
    now = 'stays' if each.value == each.now else 'now %s' % _short(each.now)
    return '%s: %s (%s): %s' % (each.key, _short(each.value), now, each.reason)


def _short(value: Any) -> str:
    return '[%s]' % ', '.join('%g' % item for item in value) if isinstance(value, list) else str(value)
