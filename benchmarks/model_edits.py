"""Random edits of exported folders, for benchmarks/fuzz_models.py."""
import json
import os
import random
import shutil

from lib.engine.checkpoint import load_params, save_arrays
from lib.inference.exported import INDEX

# Of attributes and settings: what might wrap around, divide, or not be a number.
NUMBERS = (
    0, 1, 2, 3, 4, 5, 7, 8, 16, 49, 100, 255, 256, 257, 1000, 4096, 65535, 65536, 65537,
    100000, 2**20, 2**24, 2**24 + 1, 2**29 + 1, 2**30 - 100, 2**31 - 1, 2**31, 2**32 - 1,
    2**32 + 1, 2**63, -1, -2, -3, -4, -100, -(2**31))
WORDS = (
    '', 'x', 'None', 'True', 'False', 'nan', 'inf', '1e300', '-1e39', '0.5', '(1, 1)',
    '(0, 0)', '(2, 2)', '(64, 64)', '(-1,)', '(0, -3, 0, 0)', '(1, 2, 3)',
    '(0, 0, 0, 0, 0, 9, 0, 9)', '()', '((1, 2))', 'relu', 'affine', 'max', 'float64', '\x00',
    '\n', 'a' * 5000, '../../../etc/passwd')
VALUES = (
    [64, 100000], [0, 0], [1, 2], [], {}, None, 1e308, -0.5, 10**400, '/etc/passwd', [['a']],
    ['a', 'b'])
OPERATORS = ('DFFWinograd', 'DFFRCNNTargets', 'DFFHardExamples', '_NDArray',
             'Custom', 'BatchNorm', 'tile', 'dot', 'stack')
NAMES = ('', 'data', 'im_info', 'feat_key', 'softmax_label', 'a\nb', 'x' * 300)
# {operator: (inputs, attributes)}
CHAINS = {'_copy': (1, {}), 'elemwise_add': (2, {}), 'tile': (1, {'reps': '(1, 2, 1, 1)'}),
          'Concat': (2, {'num_args': '2', 'dim': '1'})}
KEYS = (
    'num_group', 'no_bias', 'num_filter', 'kernel', 'stride', 'pad', 'axis', 'num_args',
    'workspace', 'layout', 'target_shape', 'global_pool', 'transpose_a', '__shape__',
    '__dtype__', '__storage_type__', '__ctx_group__', 'output_score', 'reverse', 'dtype')


def edited(folder, seed):
    """(path, [what was changed]) of folder `seed`: a copy of one in `folder`, with edits."""
    dice = random.Random(seed)
    sources = sorted(name for name in os.listdir(folder)
                     if os.path.isfile(os.path.join(folder, name, INDEX)))
    path = os.path.join(folder, 'edited-%d' % os.getpid(), 'model')
    shutil.rmtree(path, ignore_errors=True)
    source = dice.choice(sources)
    shutil.copytree(os.path.join(folder, source), path)
    with open(os.path.join(path, INDEX), encoding='utf-8') as stream:
        index = json.load(stream)
    edits = [source]
    if 'native' in index['operators'] and dice.random() < 0.4:
        index['operators'].remove('native')
        edits.append('built-in operators')
    operators = 'native' if 'native' in index['operators'] else 'built_in'
    kind = dice.random()
    if kind < 0.1:
        edits.append(_edit_settings(index['settings'], dice))
    elif kind < 0.15:
        edits.append(_edit_params(os.path.join(path, 'model'), dice))
    if kind > 0.05:
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            name = '%s.%s.json' % (dice.choice(index['networks']), operators)
            edits.append(_edit_network(os.path.join(path, name), dice))
    with open(os.path.join(path, INDEX), 'w', encoding='utf-8') as stream:
        json.dump(index, stream)
    return path, edits


def _edit_settings(settings, dice):
    sections = [settings] + [section for section in settings.values() if isinstance(section, dict)]
    section = dice.choice(sections)
    key = dice.choice(sorted(section) + ['output_path', 'dataset_path', 'gpus'])
    value = section[key] = dice.choice(NUMBERS + WORDS + VALUES)
    return 'setting %s = %.60r' % (key, value)


def _edit_params(prefix, dice):
    arguments, _ = load_params(prefix, 0)
    name = dice.choice(sorted(arguments))
    value = dice.choice((float('nan'), float('inf'), 1e30, 0.0))
    kind = dice.randrange(3)
    if kind == 0:
        arguments[name][:] = value
    elif kind == 1:
        del arguments[name]
    else:
        arguments[name] = arguments[name].reshape((-1,))[: dice.randrange(1, 9)]
    save_arrays(prefix + '-0000.params', {'arg:' + key: array for key, array in arguments.items()})
    return 'parameter %s: %s' % (name, ('all %g' % value, 'gone', 'cut')[kind])


def _edit_network(path, dice):
    with open(path, encoding='utf-8') as stream:
        tree = json.load(stream)
    if not tree['heads']:
        return 'nothing more'
    edit = dice.choice(
        (_attribute, _attribute, _attribute, _inputs, _inputs, _head, _operator, _name, _chain)
    )
    what = edit(tree, dice)
    with open(path, 'w', encoding='utf-8') as stream:
        json.dump(tree, stream)
    return '%s: %s' % (os.path.basename(path), what)


def _pick(tree, dice):
    """A node, its number; rare operators as often as common ones."""
    op = dice.choice(sorted({node['op'] for node in tree['nodes']}))
    number = dice.choice([number for number, node in enumerate(tree['nodes']) if node['op'] == op])
    return tree['nodes'][number], number


def _attribute(tree, dice):
    node, number = _pick(tree, dice)
    attributes = node.setdefault('attrs', {})
    key = dice.choice(sorted(attributes) or KEYS) if dice.random() < 0.85 else dice.choice(KEYS)
    if dice.random() < 0.1 and key in attributes:
        del attributes[key]
        return 'node %d, %s: %s gone' % (number, node['op'], key)
    old = attributes.get(key, '')
    parts = old.strip('()').split(', ')
    place = dice.randrange(len(parts))
    parts[place] = _number(parts[place], dice)
    changed = '(%s)' % ', '.join(parts) if '(' in old else parts[place]
    attributes[key] = dice.choice(WORDS) if dice.random() < 0.2 else changed
    return 'node %d, %s: %s = %.60r' % (number, node['op'], key, attributes[key])


def _number(old, dice):
    """A number as text: any of NUMBERS, or one that a network might have in the place of `old`."""
    if old.lstrip('-').isdigit() and dice.random() < 0.5:
        return str(dice.choice((int(old) + 1, int(old) - 1, 2 * int(old), int(old) // 2)))
    return str(dice.choice(NUMBERS))


def _inputs(tree, dice):
    node, number = _pick(tree, dice)
    inputs = node['inputs']
    # A neighbour's output more often has a shape that fits.
    near = max(0, number - dice.choice((3, 10, 1000)))
    earlier = [dice.randrange(near, number) if number else 0, int(dice.random() < 0.15), 0]
    kind = dice.randrange(4) if inputs else 3
    if kind == 0:
        inputs.pop(dice.randrange(len(inputs)))
    elif kind == 1:
        inputs[dice.randrange(len(inputs))] = earlier
    elif kind == 2:
        dice.shuffle(inputs)
    else:
        inputs.append(earlier)
    return 'node %d, %s: inputs %s' % (number, node['op'], inputs)


def _head(tree, dice):
    heads = tree['heads']
    end = [dice.randrange(len(tree['nodes']) + 1), int(dice.random() < 0.15), 0]
    kind = dice.randrange(4)
    if kind == 0:
        heads.pop(dice.randrange(len(heads)))
    elif kind == 1:
        heads[dice.randrange(len(heads))] = end
    elif kind == 2:
        dice.shuffle(heads)
    else:
        heads.append(end)
    return 'heads %s' % heads


def _operator(tree, dice):
    node, number = _pick(tree, dice)
    other, _ = _pick(tree, dice)
    node['op'] = other['op'] if dice.random() < 0.7 else dice.choice(OPERATORS)
    if dice.random() < 0.7:
        node['attrs'] = dict(other.get('attrs', {}))
    return 'node %d is %s' % (number, node['op'])


def _name(tree, dice):
    node, number = _pick(tree, dice)
    node['name'] = dice.choice(NAMES + (dice.choice(tree['nodes'])['name'],))
    return 'node %d is called %.50r' % (number, node['name'])


def _chain(tree, dice):
    """Copies, or additions of a node to itself, in front of a head."""
    count, op = dice.choice((1, 2, 30, 1000, 5000)), dice.choice(sorted(CHAINS))
    inputs, attributes = CHAINS[op]
    head = dice.choice(tree['heads'])
    for number in range(count):
        source = [head[0], 0, 0]
        head[0] = len(tree['nodes'])
        tree['nodes'].append({'op': op, 'name': 'chain%d' % number, 'attrs': attributes,
                              'inputs': [source] * inputs})
    return '%d of %s before a head' % (count, op)
