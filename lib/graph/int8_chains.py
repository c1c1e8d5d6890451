"""Which layers of a network work on bytes, each with what it takes in of the layers behind it, and on which scale."""
from collections import namedtuple

from lib.graph.int8_weights import GROUP, LARGEST_DEPTH, scale_of

MOST_INPUTS = 64     # of a concatenation, as in lib/operator_cxx/int8/op.cc
DOUBLING = ((4, 4), (2, 2), (1, 1), (0, 0))     # kernel, stride, pad and adj of the deconvolutions that there are

# node: a Convolution, Deconvolution, Pooling or Concat; end: the node whose result it computes; slope: factor
# on negative results; other: the entry that is added before that, or None; like: the node whose size it is
# cut to, or None.
Chain = namedtuple('Chain', 'node end slope other like')


def chains(graph, network, sizes, float_layers):
    """Return {end: Chain}, each after those that it reads.

    Args:
        graph: Graph of the network before fusion.
        network: the same one, fused, as Graph: says which sums MXNet has measured as part of a convolution.
        sizes: {node name: shape of its output}.
        float_layers: names of convolutions that are none.
    """
    users, found, nodes = graph.users(), {}, graph.nodes()
    sums = {node.input(1).name for node in network.nodes() if node.op == '_sg_mkldnn_conv' and node.get('with_sum')}
    for node in nodes:
        chain = None
        if node.op == 'Convolution' and node.name not in float_layers and _is_convolution(node, sizes):
            chain = _convolution(node, users, node.input(1).name in sums)
        elif node.op == 'Deconvolution':
            chain = _deconvolution(node, users, found)
        elif (node.op == 'Pooling' and _is_pooling(node)) or (node.op == 'Concat' and _is_concat(node, sizes)):
            if all(source in found for source, _ in node.inputs):
                chain = Chain(node, node, 1.0, None, None)
        if chain:
            found[chain.end] = chain
    # A convolution may take in a sum with another one, which comes later.
    return {node: found[node] for node in nodes if node in found}


def scale_groups(found, ranges):
    """Return {end: Scale}: a concatenation and what it joins have one scale, and so have a pooling and its input.

    Args:
        found: what `chains` returns.
        ranges: {end: (low, high)}.
    """
    group = {end: {end} for end in found}
    for end, chain in found.items():
        if chain.node.op not in ('Pooling', 'Concat'):
            continue
        for source, _ in chain.node.inputs:
            joined = group[end] | group[source]
            group.update(dict.fromkeys(joined, joined))
    return {end: scale_of(min(ranges[each][0] for each in members), max(ranges[each][1] for each in members))
            for end, members in group.items()}


def slope_of(node):
    """Factor on negative values of an activation that layers take in; None for anything else."""
    if node is None or node.op not in ('Activation', 'LeakyReLU'):
        return None
    return {'relu': 0.0, 'leaky': node.get('slope', 0.25)}.get(node.get('act_type', 'leaky'))


def _only_user(users, node):
    return users[node][0] if len(users[node]) == 1 and users[node][0] != 'head' else None


def _is_concat(node, sizes):
    """Whether it joins channels, and none begin within a group of bytes."""
    return (node.get('dim', 1) == 1 and len(node.inputs) <= MOST_INPUTS
            and all(sizes[source.name][1] % GROUP == 0 for source, _ in node.inputs[:-1]))


def _is_convolution(node, sizes):
    kernel, stride, dilate = (node.get(key, (1, 1)) for key in ('kernel', 'stride', 'dilate'))
    pad = node.get('pad', (0, 0))
    return (len(kernel) == 2 and len(set(stride)) == 1 and len(set(dilate)) == 1 and node.get('num_group', 1) == 1
            and all(edge <= (size - 1) * dilate[0] for edge, size in zip(pad, kernel))
            and kernel[0] * kernel[1] * (sizes[node.input(0).name][1] + GROUP) < LARGEST_DEPTH)


def _is_pooling(node):
    kernel, stride, pad = node.get('kernel', ()), node.get('stride', (1, 1)), node.get('pad', (0, 0))
    kind = node.get('pool_type', 'max')
    return (len(kernel) == 2 and len(set(stride)) == 1 and not node.get('global_pool', False)
            and node.get('pooling_convention', 'valid') in ('valid', 'full')
            and all(edge < size for edge, size in zip(pad, kernel))
            and (kind == 'max' or (kind == 'avg' and not any(pad))))


def _convolution(node, users, has_sum):
    end, other, follower = node, None, _only_user(users, node)
    if has_sum:
        if follower is None or follower.op != 'elemwise_add' or follower.input(0) is follower.input(1):
            return None
        other = follower.inputs[1] if follower.input(0) is node else follower.inputs[0]
        end, follower = follower, _only_user(users, follower)
    slope = slope_of(follower)
    return Chain(node, end if slope is None else follower, 1.0 if slope is None else slope, other, None)


def _deconvolution(node, users, found):
    settings = tuple(node.get(key, (0, 0)) for key in ('kernel', 'stride', 'pad', 'adj'))
    crop = _only_user(users, node)
    if settings != DOUBLING or node.get('num_group', 1) != 1 or crop is None or crop.op != 'slice_like':
        return None
    like = crop.input(1)
    if crop.input(0) is not node or tuple(crop.get('axes', ())) != (2, 3):
        return None
    if like not in found or node.input(0) not in found:
        return None
    slope = slope_of(_only_user(users, crop))
    return Chain(node, crop if slope is None else _only_user(users, crop), 1.0 if slope is None else slope, None, like)
