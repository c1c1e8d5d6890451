"""Which layers of a network work on bytes, each with what it takes in of the layers behind it, and on which scale."""
from collections import namedtuple

from lib.graph.graph import only_user, slope_of
from lib.graph.int8_weights import BLOCK, GROUP, LARGEST_DEPTH, scale_of

MOST_INPUTS = 64     # of a concatenation, as in lib/operator_cxx/int8/op.cc
DOUBLING = ((4, 4), (2, 2), (1, 1), (0, 0))     # kernel, stride, pad and adj of the deconvolutions that there are

# What hands on the bytes that it reads, of the same scale; and what works on bytes only where a layer reads them.
KEEPS_SCALE, PASSES_ON = ('Pooling', 'Concat', 'slice_axis'), ('slice_axis', 'LeakyReLU', 'Activation', 'DFFFlowWarp',
                                                              'DFFCorrelation')

# node: the operator; end: the node whose result it computes; slope: factor on negative results; other: the entry
# that is added before that, or None; like: the node whose size it is cut to, or None; part: of a slice, the Part.
Chain = namedtuple('Chain', 'node end slope other like part', defaults=(1.0, None, None, None))
# What a slice takes of `source`: the images first, first + step, ..., and `count` channels from `begin` on.
Part = namedtuple('Part', 'source first step begin count')


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
        elif node not in found and node.name not in float_layers and _reads_bytes(node, found, sizes):
            chain = _other(node, users, sizes)
        if chain:
            found[chain.end] = chain
    _drop_unread(found)
    # A convolution may take in a sum with another one, which comes later.
    return {node: found[node] for node in nodes if node in found}


def _reads_bytes(node, found, sizes):
    """Whether a node that multiplies no maps can work on the bytes of `found`."""
    if node.op == 'DFFCorrelation':
        return node.input(0) in found and node.input(1) in found
    if node.op in ('Pooling', 'Concat'):
        fits = _is_pooling(node) if node.op == 'Pooling' else _is_concat(node, sizes)
        return fits and all(source in found for source, _ in node.inputs)
    if node.op == 'slice_axis':
        part = part_of(node, sizes)
        return part is not None and part.source in found
    if node.op in ('LeakyReLU', 'Activation'):
        return slope_of(node) is not None and node.input(0) in found
    if node.op == 'DFFFlowWarp':
        return node.get('has_scale') == 1 and node.input(2) in found and sizes[node.name][1] % GROUP == 0
    if node.op == 'DFFPooledScores':
        depth = node.get('pooled_size') ** 2 * (node.get('channels') + BLOCK)
        return depth < LARGEST_DEPTH and node.input(0) in found
    return False


def _other(node, users, sizes):
    """The Chain of a node for which _reads_bytes holds."""
    if node.op == 'DFFCorrelation':
        follower = only_user(users, node)
        slope = slope_of(follower)
        return Chain(node, node if slope is None else follower, 1.0 if slope is None else slope)
    own = slope_of(node)
    return Chain(node, node, 1.0 if own is None else own, part=part_of(node, sizes))


def bytes_of(chain):
    """Return the nodes whose bytes a Chain reads."""
    node = chain.node
    if node.op in ('Concat', 'DFFCorrelation'):
        return [source for source, _ in node.inputs]
    if chain.part:
        return [chain.part.source]
    read = [node.input(2) if node.op == 'DFFFlowWarp' else node.input(0), chain.like]
    return [each for each in read + [chain.other and chain.other[0]] if each is not None]


def _drop_unread(found):
    """Remove what only passes bytes on, and to nothing: a convolution may then make floats, without rounding."""
    for end in reversed(list(found)):
        read = {source for chain in found.values() for source in bytes_of(chain)}
        if found[end].node.op in PASSES_ON and end not in read:
            del found[end]


def part_of(node, sizes):
    """Return the Part that a slice_axis takes; None where bytes cannot be taken so, and of other nodes.

    A slice of channels may be one of images, which a Reshape has put side by side: [N, C, H, W] as [N / k, k C, H, W].
    """
    if node.op != 'slice_axis' or node.get('axis') != 1 or len(sizes[node.name]) != 4:
        return None
    source, begin, end = node.input(0), node.get('begin'), node.get('end')
    if begin < 0 or end is None or end <= begin:
        return None
    first, step = 0, 1
    if source.op == 'Reshape' and len(sizes[source.input(0).name]) == 4:
        wide, source = sizes[source.name], source.input(0)
        images, channels, *place = sizes[source.name]
        step, rest = divmod(wide[1], channels)
        first = begin // channels
        if rest or wide != (images // step, step * channels, *place) or images % step or (end - 1) // channels != first:
            return None
        begin, end = begin - first * channels, end - first * channels
    return None if begin % GROUP or end % GROUP else Part(source, first, step, begin, end - begin)


def scale_groups(found, ranges):
    """Return {end: Scale}: a concatenation and what it joins have one scale; so has a pooling or a slice and its input.

    Args:
        found: what `chains` returns.
        ranges: {end: (low, high)}.
    """
    group = {end: {end} for end in found}
    for end, chain in found.items():
        if chain.node.op not in KEEPS_SCALE + ('DFFCorrelation',):
            continue
        first = end if chain.node.op in KEEPS_SCALE else chain.node.input(0)     # what is compared has one scale
        for source in bytes_of(chain):
            joined = group[first] | group[source]
            group.update(dict.fromkeys(joined, joined))
    return {end: scale_of(min(ranges[each][0] for each in members), max(ranges[each][1] for each in members))
            for end, members in group.items() if found[end].node.op != 'DFFPooledScores'}


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
    end, other, follower = node, None, only_user(users, node)
    if has_sum:
        if follower is None or follower.op != 'elemwise_add' or follower.input(0) is follower.input(1):
            return None
        other = follower.inputs[1] if follower.input(0) is node else follower.inputs[0]
        end, follower = follower, only_user(users, follower)
    slope = slope_of(follower)
    return Chain(node, end if slope is None else follower, 1.0 if slope is None else slope, other)


def _deconvolution(node, users, found):
    settings = tuple(node.get(key, (0, 0)) for key in ('kernel', 'stride', 'pad', 'adj'))
    crop = only_user(users, node)
    if settings != DOUBLING or node.get('num_group', 1) != 1 or crop is None or crop.op != 'slice_like':
        return None
    like = crop.input(1)
    if crop.input(0) is not node or tuple(crop.get('axes', ())) != (2, 3):
        return None
    if like not in found or node.input(0) not in found:
        return None
    slope = slope_of(only_user(users, crop))
    return Chain(node, crop if slope is None else only_user(users, crop), 1.0 if slope is None else slope, None, like)
