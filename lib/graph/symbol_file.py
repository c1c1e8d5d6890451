"""What stands in a symbol file, checked before MXNet builds the network.

MXNet trusts such a file. Operators that call back (_Native, _NDArray) take the address to call
from it, and outputs that an operator does not have are read all the same. A model of a stranger
could run any code, so only what test networks are made of is let through.
"""
import json
import os

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from dff.errors import CheckpointError

OPERATORS = {
    'null', 'Activation', 'BatchNorm', 'BilinearSampler', 'BlockGrad', 'Concat', 'Convolution',
    'Correlation', 'Deconvolution', 'GridGenerator', 'L2Normalization', 'LeakyReLU', 'Pad',
    'Pooling', 'Reshape', 'SoftmaxOutput', 'UpSampling', '_contrib_PSROIPooling', '_contrib_Proposal', '_copy',
    '_full', '_mul_scalar', 'broadcast_like', 'broadcast_mul', 'dot', 'elemwise_add',
    'elemwise_mul', 'slice_axis', 'slice_like', 'softmax', 'stack', 'sum', 'take', 'tile'
}
NATIVE = 'DFF'             # the native operators' names begin so
KEYS = {'op', 'name', 'attrs', 'inputs'}
LARGEST = 1 << 24          # bytes of a file; that of ResNet-101 has 300,000


def read_symbol(path, check=None):
    """Return the symbol of a JSON file that lib/inference/exported.py wrote.

    check: called with the tree before MXNet sees it; raises Refused where it is no network of the caller's.
    Raises CheckpointError: missing, damaged, or of other operators.
    """
    try:
        if os.path.getsize(path) > LARGEST:
            raise Refused('it is larger than %d bytes' % LARGEST)
        with open(path, encoding='utf-8') as stream:
            tree = json.load(stream)
        _check(tree)
        if check:
            check(tree)
        # For a file of an older version MXNet would change the network that has just been checked.
        tree['attrs'] = {'mxnet_version': ['int', 10901]}
        # Not the text: a key that stands in it twice might be another one to MXNet.
        return mx.sym.load_json(json.dumps(tree))
    except Refused as reason:
        raise CheckpointError(
            '%s is refused: %s. Networks of this project hold nothing of the kind; export the model again'
            % (path, reason)) from None
    except (OSError, ValueError, RecursionError, mx.base.MXNetError) as error:
        raise CheckpointError('%s is missing or damaged; export the model again' % path) from error


class Refused(Exception):
    """Why a tree is no network of ours."""


def _check(tree):
    nodes, heads = (tree.get(key) if isinstance(tree, dict) else None for key in ('nodes', 'heads'))
    if not isinstance(nodes, list) or not isinstance(heads, list) or not heads:
        raise Refused('it has no list of nodes, or none of heads')
    for number, node in enumerate(nodes):
        if not isinstance(node, dict) or not KEYS >= set(node) or not all(
                isinstance(node.get(key), str) for key in ('op', 'name')):
            raise Refused('node %d has other entries than %s' % (number, ', '.join(sorted(KEYS))))
        if node['op'] not in OPERATORS and not node['op'].startswith(NATIVE):
            raise Refused('node %d is the operator %.50r' % (number, node['op']))
        attributes = node.get('attrs', {})
        if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
            raise Refused('an attribute of node %d is no text' % number)
        _check_ends(node.get('inputs'), number, 'an input of node %d' % number)
    _check_ends(heads, len(nodes), 'a head')


def _check_ends(ends, nodes, what):
    """Each of `ends` must be the first output of one of the first `nodes` nodes; nothing here has further ones."""
    if not isinstance(ends, list):
        raise Refused('%s is missing' % what)
    for end in ends:
        if not isinstance(end, list) or not 2 <= len(end) <= 3 or not all(isinstance(value, int) for value in end):
            raise Refused('%s is no [node, output, version]' % what)
        if not 0 <= end[0] < nodes or end[1] != 0:
            raise Refused('%s is output %d of node %d' % (what, end[1], end[0]))
