"""Write docs/config.md, the list of all settings, from the defaults: python -m lib.config.describe

What a key means and who reads it is in meanings.yaml; its type and default come from defaults.py, its
range from ranges.py, and what is said of keys without effect from without_effect.py.
"""
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import yaml

from dff.errors import ConfigError, shown
from dff.files import atomic_path
from lib.config.config import WORDS
from lib.config.defaults import detection_defaults, fgfa_defaults, flow_defaults, segmentation_defaults
from lib.config.ranges import CHOICES, MOST, RANGES, SIDE, leaves
from lib.config.without_effect import WITHOUT_EFFECT
from lib.utils.cli import run
from lib.utils.paths import ROOT

MEANINGS, PAGE = Path(__file__).with_name('meanings.yaml'), Path(ROOT, 'docs', 'config.md')
TASKS = (
    ('`fgfa_rfcn`', fgfa_defaults), ('`deeplab` and `dff_deeplab`', segmentation_defaults),
    ('The flow network (`experiments/flownet`)', flow_defaults),
)
INTRODUCTION = """# Settings

A YAML file of `experiments/*/cfgs/` sets any of these keys; `--set TRAIN.lr=0.001 TEST.TRACK=true` overrides single
ones. An unknown key, a wrong type or a value out of range ends with an error that names the key. `python -m
lib.config.describe` makes this page from the defaults.

The papers: DFF is [arXiv 1611.07715](https://arxiv.org/abs/1611.07715), FGFA [1703.10025](https://arxiv.org/abs/1703.10025),
R-FCN [1605.06409](https://arxiv.org/abs/1605.06409), Faster R-CNN [1506.01497](https://arxiv.org/abs/1506.01497). Boxes
overlap by their IoU, intersection over union, from 0 to 1. [glossary.md](glossary.md) has the terms.

The defaults are those of `rfcn` and `dff_rfcn`; the last sections list what other tasks have instead. `output_path` of
a task is `./output/<task>`, and `deeplab` has `network.FIXED_PARAMS_RULE: substring`.
"""
HEADER = '| key | type | default | range | meaning | read by |\n|---|---|---|---|---|---|\n'


def meanings() -> Dict[str, Tuple[str, str]]:
    """Return {'section.key': (what it means, path of a file that reads it)} of meanings.yaml.

    Keys without effect are added, with no file. Raises ConfigError for a line of another form.
    """
    tree = yaml.safe_load(MEANINGS.read_text(encoding='utf-8'))
    found = {}
    for name, text in leaves(tree):
        parts = re.match(r'(.+) \[([^][]+)\]$', str(text), re.DOTALL)
        if not parts:
            raise ConfigError('%s: %s must be "meaning [file that reads it]", found %s'
                              % (MEANINGS.name, name, shown(text)))
        found[name] = parts.group(1), parts.group(2)
    for name, (_, instead) in WITHOUT_EFFECT.items():
        found[name] = 'No effect, kept for the original\'s files: ' + instead, ''
    return found


def page() -> str:
    """Return the text of docs/config.md. Raises ConfigError for a key that meanings.yaml lacks."""
    known, base = meanings(), dict(leaves(detection_defaults()))
    parts = [INTRODUCTION]
    for section in ('', *(key for key, value in detection_defaults().items() if isinstance(value, dict))):
        keys = [name for name in base if name.rpartition('.')[0] == section]
        parts.append('\n## %s\n\n%s' % ('`%s`' % section if section else 'At the top level', HEADER))
        parts += [_row(name, base[name], known) for name in keys]
    for title, defaults in TASKS:
        other = dict(leaves(defaults()))
        parts.append('\n## %s\n\nNew keys:\n\n%s' % (title, HEADER))
        parts += [_row(name, value, known) for name, value in other.items() if name not in base]
        parts.append('\nOther defaults:\n\n| key | default |\n|---|---|\n')
        parts += ['| `%s` | `%s` |\n' % (name, _yaml(value)) for name, value in other.items()
                  if name in base and base[name] != value]
        missing = ['`%s`' % name for name in base if name not in other]
        if missing:
            parts.append('\nKeys that are missing: %s.\n' % ', '.join(missing))
    return ''.join(parts)


def _row(name: str, value: Any, known: Dict[str, Tuple[str, str]]) -> str:
    """A line of a table."""
    if name not in known:
        raise ConfigError('%s: no meaning of %s, which lib/config/defaults.py sets: add "meaning [file that reads it]"'
                          % (MEANINGS.name, name))
    meaning, reader = known[name]
    return '| `%s` | %s | %s | %s | %s | %s |\n' % (
        name, _type(name, value), '`%s`' % _yaml(value), _range(name), meaning, '`%s`' % reader if reader else '')


def _type(name: str, value: Any) -> str:
    if value is None:
        return 'list or file'
    if name in WORDS:
        return 'whole number or `%s`' % WORDS[name]
    kinds: Tuple[Tuple[type, str], ...] = (
        (bool, 'true or false'), (int, 'whole number'), (float, 'number'), (str, 'text'))
    for kind, words in kinds:
        if isinstance(value, kind):
            return words
    inner = next(_flat(value), None)
    return 'list of sizes' if name.endswith('SCALES') and 'ANCHOR' not in name else (
        'list of numbers' if isinstance(inner, (int, float)) else 'list of texts')


def _flat(value: Any) -> Iterator[Any]:
    for item in value:
        if isinstance(item, (list, tuple)):
            yield from _flat(item)
        else:
            yield item


def _yaml(value: Any) -> str:
    """A value as one writes it in YAML."""
    if value is None or isinstance(value, bool):
        return {None: 'null', True: 'true', False: 'false'}[value]
    if isinstance(value, (list, tuple)):
        return '[%s]' % ', '.join(map(_yaml, value))
    return "''" if value == '' else str(value)


def _range(name: str) -> str:
    """What lib/config/ranges.py allows; limits of 100,000 and above, against mistakes, are left out."""
    if name in CHOICES:
        return ', '.join('`%s`' % choice for choice in CHOICES[name])
    allowed = RANGES.get(name)
    if allowed is None or allowed.low <= -MOST:
        return ''
    low, high = '%d' % allowed.low, '%d' % allowed.high if allowed.high < SIDE else ''
    if not high:
        return 'above %s' % low if allowed.open_low else 'at least %s' % low
    return '%s to %s%s' % (low, high, ''.join(', without %s' % end for end, is_open in (
        (low, allowed.open_low), (high, allowed.open_high)) if is_open))


def unused(defaults: List[Any]) -> List[str]:
    """Return the keys of meanings.yaml that none of defaults, settings of tasks, has."""
    every = {name for config in defaults for name, _ in leaves(config)}
    return sorted(set(meanings()) - every)


def main() -> None:
    """Write the page."""
    with atomic_path(str(PAGE)) as temporary:
        Path(temporary).write_text(page(), encoding='utf-8')


if __name__ == '__main__':
    run(main)
