"""Reading settings: YAML files and `--set a.b=c`, with strict keys and types."""
import difflib
from typing import Any

import yaml

from dff.errors import ConfigError, shown
from lib.config.checks import validate
from lib.config.defaults import detection_defaults, fgfa_defaults
from lib.config.plugins import load_plugins
from lib.config.without_effect import report_without_effect

# Numbers in whose place a word may stand.
WORDS = {'TEST.test_epoch': 'best', 'network.pretrained_epoch': 'best', 'TEST.WORKERS': 'auto'}
# Lists of names that may be empty, which does not show what they hold.
NAME_LISTS = ('plugins', 'network.FIXED_PARAMS', 'network.FIXED_PARAMS_SHARED')
MOST_SCALES = 8     # of TEST.SCALES: each keeps networks of its own size
# Text in which several numbers stand with commas between them: a list of numbers means the same.
NUMBER_TEXTS = {'gpus': "devices, as in 0, '0,1', [0, 1] or cpu",
                'TRAIN.lr_step': "epochs, as in 1.333, '2,3' or [2, 3]"}


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice; plain YAML would silently keep the last."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, "the key '%s' is given twice" % key,
                                                        key_node.start_mark)
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(path):
    """Parse a YAML file into a dict.

    Raises ConfigError naming the file, and the line where the syntax breaks.
    """
    try:
        with open(path, encoding='utf-8') as stream:
            tree = yaml.load(stream, Loader=_UniqueKeyLoader)  # a SafeLoader: builds plain values only
    except OSError as error:
        raise ConfigError('cannot read the config %s: %s' % (path, error.strerror)) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ConfigError('%s is not valid YAML: %s' % (path, ' '.join(str(error).split()))) from error
    if not isinstance(tree, dict):
        found = 'nothing' if tree is None else type(tree).__name__
        raise ConfigError('%s: expected `key: value` lines, found %s' % (path, found))
    return tree


def detection_defaults_for(path):
    """Return the default settings of the detection task that a YAML file is for: of FGFA where it needs them.

    Raises ConfigError where the file cannot be read.
    """
    tree = load_yaml(path)
    fgfa = knows(fgfa_defaults(), tree) and not knows(detection_defaults(), tree)
    return fgfa_defaults() if fgfa else detection_defaults()


def knows(config, tree):
    """Return whether `config`, settings, has all keys of `tree`, nested dicts."""
    return all(key in config and (not isinstance(value, dict) or not isinstance(config[key], dict)
                                  or knows(config[key], value)) for key, value in tree.items())


def update_from_file(config, path):
    """Merge a YAML file into `config` (an EasyDict of defaults), in place, and check the outcome.

    Raises ConfigError naming the file, the key and, for an unknown key, the nearest existing one.
    """
    _update(config, load_yaml(path), str(path))
    validate(config, str(path))


def _update(config, tree, source):
    """Merge `tree`, what a user gave in `source`, and do what it asks for at once."""
    merge(config, tree, source)
    _count_anchors(config, tree)
    _follow_stride(config, tree)
    report_without_effect(tree, source)
    if 'plugins' in tree:      # only what the user gave: an exported model's settings, merged before, must run no code
        load_plugins(config.plugins, source)


def _count_anchors(config, tree):
    """Set network.NUM_ANCHORS, which `tree` leaves out, where it changes the anchors."""
    network = tree.get('network', {})
    if 'NUM_ANCHORS' not in network and not {'ANCHOR_SCALES', 'ANCHOR_RATIOS'}.isdisjoint(network):
        config.network.NUM_ANCHORS = len(config.network.ANCHOR_SCALES) * len(config.network.ANCHOR_RATIOS)


def _follow_stride(config, tree):
    """Set the strides of both heads to a network.FEATURE_STRIDE that `tree` gives, but those that it gives, too."""
    network = tree.get('network', {})
    for key in ('RPN_FEAT_STRIDE', 'RCNN_FEAT_STRIDE'):
        if 'FEATURE_STRIDE' in network and key not in network:
            config.network[key] = config.network.FEATURE_STRIDE


def update_from_settings(config, settings):
    """Apply `section.key=value` strings (values in YAML syntax) to `config`, in place."""
    for setting in settings:
        name, equals, text = setting.partition('=')
        source = '--set %.200s' % setting
        if not equals:
            raise ConfigError('%s: expected section.key=value, as in TRAIN.lr=0.001' % source)
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):      # ValueError: a date that there is not
            value = text
        for part in reversed(name.split('.')):
            value = {part: value}
        _update(config, value, source)
    validate(config, '--set')


def merge(config, tree, source, prefix=''):
    """Copy the values of a tree into settings.

    Args:
        config: settings, an EasyDict, which must have all keys of `tree` already.
        tree: nested dicts.
        source: where they are from, for messages.
        prefix: section that `config` is, with a dot behind it, for messages.

    Raises ConfigError naming the key, and the nearest existing one or the expected type.
    """
    for key, value in tree.items():
        name = '%s%s' % (prefix, key)
        if key not in config:
            raise ConfigError("%s: there is no setting '%s'%s" % (source, name, _suggestion(key, config, prefix)))
        if isinstance(config[key], dict):
            if not isinstance(value, dict):
                raise ConfigError("%s: '%s' is a section; expected `key: value` lines below it, "
                                  'found %s' % (source, name, shown(value)))
            merge(config[key], value, source, name + '.')
        else:
            config[key] = _convert(config[key], value, name, source)


def _suggestion(key, config, prefix):
    near = difflib.get_close_matches(str(key), [str(k) for k in config], n=1, cutoff=0.5)
    if not near:
        near = [k for k in config if str(k).lower() == str(key).lower()]
    if near:
        return "; did you mean '%s%s'?" % (prefix, near[0])
    return '; the settings there are: %s' % ', '.join(sorted(map(str, config)))


def _convert(default, value, name, source):
    """`value` in the type of `default`, or ConfigError."""
    if name == 'SCALES':
        return _scales(value, source)
    if name == 'TEST.SCALES':
        return _test_scales(value, source)
    if name in WORDS:
        if value == WORDS[name]:
            return value
        default = -1      # the word may stand there, which is no text like others
    if name == 'dataset.CLASSES':
        if value is None or isinstance(value, str) and '\0' not in value:
            return value
        if isinstance(value, list) and all(isinstance(item, str) and '\0' not in item for item in value):
            return value
        expected = 'a file name or a list of class names'
    elif isinstance(default, (list, tuple)):
        names = name in NAME_LISTS or bool(default) and isinstance(default[0], str)
        if isinstance(value, (list, tuple)):
            return [_convert('' if names else 0.0, item, name, source) for item in value]
        expected = 'a list of %s' % ('names' if names else 'numbers')
    else:
        several = isinstance(value, (list, tuple)) and all(map(_is_number, value))
        if several and name in NUMBER_TEXTS:
            value = ','.join(map(str, value))
        converted = _scalar(default, value)
        if converted is not None:
            return converted
        kinds = {bool: 'true or false', int: 'a whole number', float: 'a number'}
        expected = NUMBER_TEXTS.get(name) or kinds.get(type(default), 'text')
        expected += ' or %s' % WORDS[name] if name in WORDS else ''
    raise ConfigError("%s: '%s' must be %s, found %s" % (source, name, expected, shown(value)))


def _is_number(value: Any) -> bool:
    """Whether `value` is a number that MXNet can hold, which one of hundreds of digits is not."""
    return isinstance(value, float) or type(value) is int and value.bit_length() <= 63


def _scalar(default, value):
    """`value` as bool, int, float or str like `default`; None where it does not fit."""
    if isinstance(default, bool):
        return value if isinstance(value, bool) else None
    if isinstance(default, int):
        whole = _is_number(value) and value == value // 1      # not nan, nor 1.5
        return int(value) if whole else None
    if isinstance(default, float):
        try:  # YAML reads 1e-3 (no dot) as text
            return float(value) if _is_number(value) or isinstance(value, str) else None
        except ValueError:
            return None
    if value is None:
        return ''
    if isinstance(value, str) and '\0' in value:      # no file has such a name
        return None
    # gpus: 0, lr_step: 1.333
    return str(value) if _is_number(value) or isinstance(value, str) else None


def _test_scales(value, source):
    """[[480, 800], [600, 1000]], or [] or one pair, as [(480, 800), (600, 1000)]."""
    pairs = [value] if _is_scale(value) else value
    if isinstance(pairs, (list, tuple)) and all(map(_is_scale, pairs)) and len(set(map(tuple, pairs))) == len(pairs) \
            and len(pairs) <= MOST_SCALES:
        return [tuple(pair) for pair in pairs]
    raise ConfigError("%s: 'TEST.SCALES' must be at most %d different sizes, shorter side and longest side, as in "
                      '[[480, 800], [600, 1000]], or [] for SCALES; found %s' % (source, MOST_SCALES, shown(value)))


def _scales(value, source):
    """[600, 1000], [[600, 1000]] or [[600, 1000], [480, 800]] as a list of pairs."""
    several = isinstance(value, (list, tuple)) and all(isinstance(pair, (list, tuple)) for pair in value)
    pairs = value if several else [value]
    if pairs and all(map(_is_scale, pairs)):
        return [tuple(pair) for pair in pairs]
    raise ConfigError("%s: 'SCALES' must be two whole numbers, shorter side and longest side, as in [600, 1000], "
                      'or a list of such pairs; found %s' % (source, shown(value)))


def _is_scale(pair):
    return (isinstance(pair, (list, tuple)) and len(pair) == 2
            and all(type(side) is int and side > 0 for side in pair) and pair[0] <= pair[1])
