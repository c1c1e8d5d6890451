"""Whether parameters fit a network."""
import re

from dff.errors import CheckpointError

NAMED = 5      # missing parameters that a message names


def check_params(pairs, source='the parameters given', allow_missing=False):
    """Compare the shapes that a network needs with parameters.

    Args:
        pairs: [({name: shape}, {name: array})], of each kind (arguments, auxiliary states): what
            is needed, what is there.
        source: where the parameters are from, such as a file name, for messages.
        allow_missing: accept that parameters are missing.

    Raises:
        CheckpointError: parameters are missing, or one has another shape.
    """
    missing = [name for needed, given in pairs for name in needed if name not in given]
    if missing and not allow_missing:
        raise CheckpointError(
            '%s: %d of the %d parameters of the network are missing: %s%s. %s' % (
                source, len(missing), sum(len(needed) for needed, _ in pairs), ', '.join(missing[:NAMED]),
                ', ...' if len(missing) > NAMED else '', _why(missing, pairs)))
    for needed, given in pairs:
        for name, shape in needed.items():
            if name in given and tuple(given[name].shape) != tuple(shape):
                raise CheckpointError(
                    '%s: parameter %s has shape %s, the network needs %s. The class list (NUM_CLASSES), the '
                    'anchors or the network section of the config differ from those it was trained with' % (
                        source, name, tuple(given[name].shape), tuple(shape)))


def _why(missing, pairs):
    """What may be the cause where parameters `missing` are not there, and what to do."""
    # Of the flow network (lib/symbols/flownet.py) the last pass alone has a scale map.
    if all(name.startswith('Convolution5_scale_') or _passes([name]) > 1 for name in missing):
        wanted, has = (_passes(name for pair in pairs for name in pair[side]) for side in (0, 1))
        if wanted != has:
            return ('The file has a flow network of %d passes, and the settings say %d: set network.FLOW_PASSES to %d, '
                    'or train from the file with %d (network.pretrained)' % (has, wanted, has, wanted))
    return 'Is it a file of this network, of the same symbol, depth and flow network?'


def _passes(names):
    """How many passes of the flow network parameters are of, by their names."""
    return max((int(number) for name in names for number in re.findall('^pass([0-9]+)_', name)), default=1)
