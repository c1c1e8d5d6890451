"""Box regression at test time: the layer that gives plain deltas, which training writes beside its own."""
import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx
import numpy as np

from dff.errors import CheckpointError

BBOX_LAYER = 'rfcn_bbox'


def fold_bbox_normalisation(arg_params, means, stds, bins=49):
    """`arg_params` with rfcn_bbox_{weight,bias}_test: the layer that gives plain box deltas.

    Training predicts (delta - mean) / std. The layer's channels are [columns x bins], as position-sensitive pooling
    wants them, so every column's std and mean hold for `bins` channels in a row; means and stds [4] are repeated for
    each class. Networks without this layer are returned unchanged.
    """
    weight, bias = (arg_params.get('%s_%s' % (BBOX_LAYER, kind)) for kind in ('weight', 'bias'))
    if weight is None:
        return arg_params
    columns = bias.size // bins
    scale, shift = (mx.nd.array(np.repeat(np.resize(np.asarray(values, np.float32), columns), bins), ctx=bias.context)
                    for values in (stds, means))
    return dict(arg_params, **{BBOX_LAYER + '_weight_test': weight * scale.reshape((-1, 1, 1, 1)),
                               BBOX_LAYER + '_bias_test': bias * scale + shift})


def use_test_bbox(arg_params, source='the parameters given'):
    """`arg_params` for testing: the layer of `fold_bbox_normalisation` in the place of the plain one.

    Raises CheckpointError where it is missing: boxes would be wrong without any other sign.
    """
    params = {name: array for name, array in arg_params.items() if not name.endswith('_test')}
    for kind in ('weight', 'bias'):
        name = '%s_%s' % (BBOX_LAYER, kind)
        if name in params:
            if name + '_test' not in arg_params:
                raise CheckpointError(
                    '%s: %s_test is missing. Training writes it into every checkpoint; these '
                    'parameters are not from a checkpoint and would give wrong boxes'
                    % (source, name))
            params[name] = arg_params[name + '_test']
    return params
