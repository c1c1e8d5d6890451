"""A test network rewritten for speed on the CPU: the same outputs, to rounding, from changed layers and parameters.

    copies                of inputs, which only training needs, left out
    batch normalisation   folded into the convolution before it
    narrow layers         FlowNet's flow predictions, of 2 channels, are widened with zeros to the
                          8 that oneDNN computes at once; what they are concatenated to becomes a
                          multiple of 8, too
    3x3 convolutions      by Winograd's algorithm where that takes less time; also 5x5 of stride 2
    deconvolutions        FlowNet's, which double a map's size, as matrix products (native_layers.py)
    R-FCN's heads         pooled first, then multiplied by each bin's weights (pooled_scores.py),
                          where that takes less time

What each is worth: docs/lab/2026-11-cpu-speed.md.
"""
import numpy as np

from lib.engine.param_shapes import check_params
from lib.graph.native_layers import by_rule, use_native_layers
from lib.graph.pooled_scores import use_pooled_scores
from lib.operator_cxx import loader
from lib.graph.graph import Graph, Node, array_of, has_own_params, output_shapes

BLOCK = 8     # channels that oneDNN keeps side by side; with AVX-512 it likes 16, and takes 8
KERNELS = ('Convolution', 'Deconvolution')
# MXNet fuses the second with the first that they read, also where others read the first, which then get wrong values.
FUSING = ('Convolution', 'FullyConnected', 'BatchNorm', 'elemwise_add')
FUSED = ('Activation', 'LeakyReLU', 'clip', 'BatchNorm', 'elemwise_add')
# Of zero they make zero; of slice_like, input 0 counts.
BY_CHANNEL = ('LeakyReLU', 'Activation', 'Pooling', 'slice_like')


def for_inference(symbol, shapes, arg_params, aux_params, source='the parameters given', choose=by_rule):
    """(symbol, arg_params, aux_params) that compute the same faster, on the CPU.

    shapes: {input name: shape}, the largest expected; which algorithm pays depends on it, any other size works as well.
    choose: see lib.graph.native_layers.use_native_layers.
    Parameters are not changed; those returned are NumPy arrays where they are new. Raises CheckpointError, which calls
    their origin `source`, where they do not fit `symbol`.
    """
    graph, arguments, _ = prepared(symbol, shapes, arg_params, aux_params, source)
    if loader.load():
        use_native_layers(graph, arguments, output_shapes(graph.symbol(), shapes), choose)
    return graph.symbol(), arguments, aux_params


def prepared(symbol, shapes, arg_params, aux_params, source, int8=False):
    """Take the steps that pay in float32 and in int8.

    Args:
        symbol: a test network.
        shapes: {input name: shape}, the largest expected.
        arg_params, aux_params: {name: array} of the arguments and the auxiliary states.
        source: what a message calls the parameters' origin.
        int8: its convolutions will be in int8.

    Returns:
        (Graph, arguments, {node name: shape}), the arguments as those of for_inference.

    Raises:
        CheckpointError: the parameters do not fit `symbol`.
    """
    arg_shapes, _, aux_shapes = symbol.infer_shape(**shapes)
    needed = {name: shape for name, shape in zip(symbol.list_arguments(), arg_shapes) if name not in shapes}
    check_params([(needed, arg_params), (dict(zip(symbol.list_auxiliary_states(), aux_shapes)), aux_params)], source)
    graph, arguments = Graph(symbol), {name: arg_params[name] for name in needed}
    sizes = output_shapes(graph.symbol(), shapes)
    skip_copies(graph)
    fold_batch_norm(graph, arguments, aux_params)
    if loader.load():
        use_pooled_scores(graph, arguments, sizes, int8)
    widen_narrow(graph, arguments, sizes)
    keep_apart(graph)
    return graph, arguments, sizes


def skip_copies(graph):
    """Read variables where copies of them are read: see lib.symbols.operators.differentiable; graph: changed."""
    users = graph.users()
    for node in graph.nodes():
        if node.op == '_copy' and node.input(0).op == 'null' and 'head' not in users[node]:
            graph.replace(node, node.input(0))


def keep_apart(graph):
    """Copy what several layers read where MXNet would fuse one of these with what computes it; graph: changed."""
    users = graph.users()
    for node in graph.nodes():
        readers = [user for user in users[node] if user != 'head']
        if node.op in FUSING and len(users[node]) > 1 and any(user.op in FUSED for user in readers):
            copy = Node('BlockGrad', node.name + '_apart')      # MXNet leaves out a _copy
            graph.replace(node, copy)
            copy.inputs = [(node, 0)]


def fold_batch_norm(graph, arguments, aux_params):
    """Scale each convolution's weight and shift its bias instead of normalising its output.

    Args:
        graph: Graph of the network; changed.
        arguments: {name: array} of its parameters; changed.
        aux_params: {name: array}, the statistics.
    """
    users = graph.users()
    for node in graph.nodes():
        conv = node.input(0) if node.op == 'BatchNorm' else None
        if conv is None or conv.op != 'Convolution' or len(users[conv]) > 1:
            continue
        if not has_own_params(conv, users, arguments) or not has_own_params(node, users, {**arguments, **aux_params}):
            continue
        gamma, beta, mean, variance = (_float64(source, name) for source, name in zip(
            (arguments, arguments, aux_params, aux_params), (entry.name for entry, _ in node.inputs[1:])))
        if node.get('fix_gamma', True):
            gamma = np.ones_like(gamma)
        factor = gamma / np.sqrt(variance + node.get('eps', 1e-3))
        weight = conv.input(1).name
        arguments[weight] = (_float64(arguments, weight) * factor.reshape(-1, 1, 1, 1)).astype(np.float32)
        bias = beta - mean * factor
        if conv.get('no_bias', False):
            conv.inputs.append((Node('null', conv.name + '_bias'), 0))
            conv.attributes['no_bias'] = 'False'
        else:
            bias += _float64(arguments, conv.input(2).name) * factor
        arguments[conv.input(2).name] = bias.astype(np.float32)
        graph.replace(node, conv)


def widen_narrow(graph, arguments, sizes):
    """Give convolutions and deconvolutions of fewer than BLOCK filters zero filters up to BLOCK.

    Where concatenations and, behind them, convolutions read those, the zeros are kept and given
    zero weights; anything else gets the filters that were there before.

    Args:
        graph: Graph of the network; changed.
        arguments: {name: array} of its parameters; changed.
        sizes: {node name: shape of its output}.
    """
    takes_zeros, users = _takers(graph, arguments), graph.users()
    kept, widths = {}, {}     # widened node -> which of its channels were there before; how many it has now
    first = {}                # widened node -> the layer that hands out those alone: one, as MXNet makes one of two
    for node in graph.nodes():
        if not any(source in kept for source, _ in node.inputs):
            pass
        elif node not in takes_zeros:
            node.inputs = [_first_channels(source, kept, first) if source in kept else (source, index)
                           for source, index in node.inputs]
        elif node.op == 'Concat':
            sources = [source for source, _ in node.inputs]
            kept[node] = _joined(sources, kept, widths, sizes)
            widths[node] = sum(widths.get(source, sizes[source.name][1]) for source in sources)
        elif node.op in KERNELS:
            _scatter_weight(node, kept[node.input(0)], widths[node.input(0)], arguments)
        elif node.input(0) in kept:
            kept[node], widths[node] = kept[node.input(0)], widths[node.input(0)]
        if _is_plain(node, users, arguments) and node.get('num_filter') < BLOCK:
            kept[node], widths[node] = np.arange(node.get('num_filter')), BLOCK
            _add_filters(node, arguments)
    graph.heads = [_first_channels(node, kept, first) if node in kept else (node, index)
                   for node, index in graph.heads]


def _is_plain(node, users, arguments):
    """Whether `node` is a layer whose weight can get other numbers of filters and channels."""
    return node.op in KERNELS and node.get('num_group', 1) == 1 and has_own_params(node, users, arguments)


def _takers(graph, arguments):
    """Nodes that may read zero channels more: their results are the same, or hold them in places that are known."""
    users, takers = graph.users(), set()
    for node in reversed(graph.nodes()):
        if node.op in KERNELS:
            good = _is_plain(node, users, arguments)
        elif node.op in BY_CHANNEL or (node.op == 'Concat' and node.get('dim', 1) == 1):
            good = all(user in takers for user in users[node])
        else:
            good = False
        if good:
            takers.add(node)
    return takers


def _joined(sources, kept, widths, sizes):
    """Where the channels that were there before lie in a concatenation."""
    places, start = [], 0
    for source in sources:
        channels = sizes[source.name][1]
        places.append(start + kept.get(source, np.arange(channels)))
        start += widths.get(source, channels)
    return np.concatenate(places)


def _first_channels(node, kept, first):
    if node not in first:
        slice_of = {'axis': '1', 'begin': '0', 'end': str(len(kept[node]))}
        first[node] = Node('slice_axis', '%s_first' % node.name, slice_of, [(node, 0)])
    return first[node], 0


def _add_filters(node, arguments):
    """Zero filters and biases up to BLOCK."""
    missing = BLOCK - node.get('num_filter')
    node.attributes['num_filter'] = str(BLOCK)
    axis = _filter_axis(node)
    for entry, along in zip(node.inputs[1:], (axis, 0)):
        value = array_of(arguments, entry[0].name)
        arguments[entry[0].name] = np.pad(value, [(0, missing if i == along else 0) for i in range(value.ndim)])


def _scatter_weight(node, places, width, arguments):
    """Zero weights for those of `width` channels that are not at `places`."""
    name, axis = node.input(1).name, 1 - _filter_axis(node)
    value = np.moveaxis(array_of(arguments, name), axis, 0)
    wide = np.zeros((width,) + value.shape[1:], np.float32)
    wide[places] = value
    arguments[name] = np.ascontiguousarray(np.moveaxis(wide, 0, axis))


def _filter_axis(node):
    """Which axis of a weight counts its filters."""
    return 1 if node.op == 'Deconvolution' else 0


def _float64(arrays, name):
    return array_of(arrays, name).astype(np.float64)
