"""What operators of exported networks may be given: attributes with ranges, inputs, shapes.

MXNet trusts a node: a group count of 0 divides by it, a wrong number of inputs or of channels is
read all the same, and arrays whose shapes do not fit each other pass its own inference.
"""
import math
import re
from collections import namedtuple

from lib.graph.symbol_file import Refused

# ResNet-101 with DeepLab has 900 nodes and 1 head; networks of DFF have up to 6 heads.
MOST_NODES, MOST_HEADS = 4096, 16
TEXT = 200                  # characters of a variable's attribute
_NAME = re.compile(r'[\w./:-]{1,200}', re.ASCII)
_VARIABLE = re.compile(r'__(init|lr_mult|wd_mult)__|[a-z]\w*')    # others may give it a shape
_INTEGER = re.compile(r'-?[0-9]{1,9}')
_REAL = re.compile(r'-?[0-9]{1,20}(\.[0-9]{1,30})?(e[-+]?[0-9]{1,3})?')

# inputs: their number, or a function of the attributes' values; attributes: {name: function of its
# text, ValueError where it is wrong}; needed: the names of those without which MXNet would choose.
Rule = namedtuple('Rule', 'inputs attributes needed')


def _within(pattern, kind, least, most):
    def parse(text):
        value = kind(text) if pattern.fullmatch(text) else math.nan
        if not least <= value <= most:
            raise ValueError('from %g to %g' % (least, most))
        return value
    return parse


def _integer(least, most):
    return _within(_INTEGER, int, least, most)


def _real(least=-1e6, most=1e6):
    return _within(_REAL, float, least, most)


def _several(parse, least, most):
    """Parser of '(1, 2)', from `least` to `most` items."""
    def parse_all(text):
        inner = text[1:-1].rstrip(',') if text[:1] + text[-1:] in ('()', '[]') else ''
        values = tuple(parse(part.strip()) for part in inner.split(','))
        if not least <= len(values) <= most:
            raise ValueError('%d to %d items' % (least, most))
        return values
    return parse_all


def _word(*words):
    """Parser of one of `words`; of True and False as such."""
    def parse(text):
        if text not in words:
            raise ValueError(' or '.join(words))
        return text == 'True' if set(words) <= {'True', 'False'} else text
    return parse


def _rule(inputs, needed='', **attributes):
    return Rule(inputs, attributes, needed.split())


_FLAG, _CHANNELS, _AXIS = _word('True', 'False'), _integer(1, 65536), _integer(0, 3)
_ROWS, _STEP, _COUNT = _integer(1, 1 << 20), _integer(1, 64), _integer(1, 64)
_PAIR, _PADS, _AXES = _several(_STEP, 2, 2), _several(_integer(0, 64), 2, 2), _several(_AXIS, 1, 4)
_CELLS = _integer(0, 256)      # that one map is moved over another
_KERNEL = dict(kernel=_PAIR, stride=_PAIR, dilate=_PAIR, pad=_PADS, num_filter=_CHANNELS,
               num_group=_CHANNELS, no_bias=_FLAG)
_POOLED = dict(spatial_scale=_real(1e-6), output_dim=_CHANNELS, pooled_size=_integer(1, 256),
               group_size=_integer(1, 256))
_PROPOSAL = dict(feature_stride=_integer(1, 4096), scales=_several(_real(1e-3), 1, 16),
                 ratios=_several(_real(1e-3), 1, 16), threshold=_real(0),
                 rpn_min_size=_integer(0, 65536), rpn_pre_nms_top_n=_integer(-(1 << 20), 1 << 20),
                 rpn_post_nms_top_n=_ROWS)
_CORRELATION = dict(kernel_size=_integer(1, 1), stride1=_integer(1, 1), stride2=_integer(1, 1),
                    max_displacement=_CELLS, pad_size=_CELLS, is_multiply=_word('True'))


def _named(values):
    return values['num_args']


def _kernel_inputs(no_bias):
    """no_bias: what MXNet takes where nothing is said."""
    return lambda values: 2 if values.get('no_bias', no_bias) else 3


RULES = {
    'null': _rule(0),
    'Activation': _rule(1, 'act_type', act_type=_word('relu')),
    'BilinearSampler': _rule(2),
    'BlockGrad': _rule(1),
    'Concat': _rule(_named, 'num_args', num_args=_COUNT, dim=_AXIS),
    'Convolution': _rule(_kernel_inputs(False), 'kernel num_filter', **_KERNEL),
    'Correlation': _rule(2, ' '.join(_CORRELATION), **_CORRELATION),
    'Deconvolution': _rule(_kernel_inputs(True), 'kernel num_filter', adj=_PADS, **_KERNEL),
    'GridGenerator': _rule(1, 'transform_type', transform_type=_word('warp')),
    'L2Normalization': _rule(1, 'mode', mode=_word('channel')),
    'LeakyReLU': _rule(1, 'act_type', act_type=_word('leaky'), slope=_real()),
    'Pad': _rule(1, 'mode pad_width', mode=_word('edge'),
                 pad_width=_several(_integer(0, 64), 8, 8)),
    'Pooling': _rule(1, 'kernel', kernel=_PAIR, stride=_PAIR, pad=_PADS,
                     pool_type=_word('avg', 'max', 'sum'),
                     pooling_convention=_word('full', 'valid')),
    'Reshape': _rule(1, 'shape', shape=_several(_integer(-4, 1 << 20), 1, 6)),
    'SoftmaxOutput': _rule(2, 'multi_output', multi_output=_word('True')),
    'UpSampling': _rule(1, 'scale sample_type num_args', scale=_integer(2, 16), sample_type=_word('nearest'),
                        num_args=_integer(1, 1)),
    '_contrib_PSROIPooling': _rule(2, ' '.join(_POOLED), **_POOLED),
    '_contrib_Proposal': _rule(3, ' '.join(_PROPOSAL), **_PROPOSAL),
    '_copy': _rule(1),
    '_full': _rule(0, 'shape dtype value', shape=_several(_CHANNELS, 1, 4),
                   dtype=_word('float32'), value=_real()),
    '_mul_scalar': _rule(1, 'scalar', scalar=_real()),
    'broadcast_like': _rule(2, lhs_axes=_AXES, rhs_axes=_AXES),
    'broadcast_mul': _rule(2),
    'dot': _rule(2),
    'elemwise_add': _rule(2),
    'elemwise_mul': _rule(2),
    'slice_axis': _rule(1, 'axis begin end', axis=_AXIS, begin=_integer(0, 1 << 20), end=_ROWS),
    'slice_like': _rule(2, 'axes', axes=_AXES),
    'softmax': _rule(1, 'axis', axis=_AXIS),
    'sum': _rule(1, 'axis', axis=_AXIS, keepdims=_FLAG),
    'stack': _rule(_named, 'num_args axis', num_args=_COUNT, axis=_AXIS),
    'take': _rule(2, 'axis', axis=_integer(0, 0)),
    'tile': _rule(1, 'reps', reps=_several(_integer(1, 1024), 1, 4)),
    'DFFAggregate': _rule(lambda values: 3 + values['has_flow'], 'frames has_flow', frames=_ROWS,
                          has_flow=_integer(1, 1)),
    'DFFFlowWarp': _rule(lambda values: 2 + values['has_scale'], 'has_scale',
                         has_scale=_integer(0, 1)),
    'DFFCorrelation': _rule(2, 'max_displacement', max_displacement=_CELLS),
    'DFFPSROIPooling': _rule(2, ' '.join(_POOLED), **_POOLED),
    'DFFProposal': _rule(3, ' '.join(_PROPOSAL), **_PROPOSAL),
    'DFFImagePair': _rule(2, 'factor', factor=_real()),
}


def check_nodes(tree):
    """[values of the attributes] of each node of a tree that symbol_file has looked through.

    Raises Refused.
    """
    if len(tree['nodes']) > MOST_NODES:
        raise Refused('it has %d nodes, more than %d' % (len(tree['nodes']), MOST_NODES))
    if len(tree['heads']) > MOST_HEADS:
        raise Refused('it has %d heads, more than %d' % (len(tree['heads']), MOST_HEADS))
    names = set()
    for node in tree['nodes']:
        if not _NAME.fullmatch(node['name']) or node['name'] in names:
            raise Refused('%.50r is no name of a node, or is in it twice' % node['name'])
        names.add(node['name'])
    return [_check_node(node) for node in tree['nodes']]


def _check_node(node):
    what = 'node %.50r, %.50r,' % (node['name'], node['op'])
    if node['op'] not in RULES:
        raise Refused('%s is no operator of an exported network' % what)
    rule, values = RULES[node['op']], {}
    for key, text in node.get('attrs', {}).items():
        if node['op'] == 'null' and _VARIABLE.fullmatch(key) and len(text) <= TEXT:
            continue                # MXNet copies those of a variable's operator to it
        if key not in rule.attributes:
            raise Refused('%s has the attribute %.50r' % (what, key))
        try:
            values[key] = rule.attributes[key](text)
        except ValueError as error:
            raise Refused('%s has %s %.50r, expected %s' % (what, key, text, error)) from None
    missing = [key for key in rule.needed if key not in values]
    if missing:
        raise Refused('%s lacks the attribute %s' % (what, missing[0]))
    inputs = rule.inputs(values) if callable(rule.inputs) else rule.inputs
    if len(node['inputs']) != inputs:
        raise Refused('%s has %d inputs, needs %d' % (what, len(node['inputs']), inputs))
    return values


# ---- shapes: functions of the attributes' values, the shapes of the inputs and of the output

def _maps(*shapes):
    return all(len(shape) == 4 for shape in shapes)


def _proposal(values, inputs, out):
    if not _maps(inputs[0]):
        return False
    images, channels, height, width = inputs[0]
    anchors = len(values['scales']) * len(values['ratios'])
    return ((images, channels) == (1, 2 * anchors) and out == (values['rpn_post_nms_top_n'], 5)
            and inputs[1:] == [(1, 4 * anchors, height, width), (1, 3)])


def _psroi(values, inputs, out):
    maps, rois = inputs
    channels, side = values['output_dim'] * values['group_size'] ** 2, values['pooled_size']
    return (_maps(maps) and maps[:2] == (1, channels) and rois[1:] == (5,)
            and out == (rois[0], values['output_dim'], side, side))


def _correlation(values, inputs, out):
    cells = values['max_displacement']
    return (_maps(*inputs) and inputs[0] == inputs[1] and values.get('pad_size', cells) == cells
            and out == inputs[0][:1] + ((2 * cells + 1) ** 2,) + inputs[0][2:])


def _pooling(values, inputs, out):
    pads = values.get('pad', (0, 0))
    return _maps(inputs[0]) and all(pad < side for pad, side in zip(pads, values['kernel']))


def _alike(values, inputs, out):
    return all(shape == inputs[0] for shape in inputs)


def _on_maps(values, inputs, out):
    return _maps(inputs[0])


def _sampled(values, inputs, out):
    return _maps(*inputs) and inputs[1][:2] == (inputs[0][0], 2)


def _reshaped(values, inputs, out):
    return math.prod(inputs[0]) == math.prod(out)


def _product(values, inputs, out):
    return len(inputs[0]) == len(inputs[1]) == 2 and inputs[0][1] == inputs[1][0]


def _normalised(values, inputs, out):
    return inputs[0] == out and values.get('axis', 1) < len(out)


def _aggregated(values, inputs, out):
    features, embeddings, query, flow = inputs
    frames = values['frames']
    return (_maps(*inputs) and features[0] == frames and embeddings == (frames, query[1]) + features[2:]
            and query == (1, query[1]) + features[2:] and flow == (frames, 2) + features[2:]
            and out == (1,) + features[1:])


FITS = {
    'DFFAggregate': _aggregated, 'L2Normalization': _on_maps,
    'BilinearSampler': _sampled, 'Convolution': _on_maps, 'Deconvolution': _on_maps,
    'Correlation': _correlation, 'DFFCorrelation': _correlation, 'DFFProposal': _proposal,
    '_contrib_Proposal': _proposal, 'DFFPSROIPooling': _psroi, '_contrib_PSROIPooling': _psroi,
    'Pooling': _pooling, 'UpSampling': _on_maps, 'stack': _alike, 'elemwise_add': _alike, 'elemwise_mul': _alike,
    'Reshape': _reshaped, 'dot': _product, 'softmax': _normalised, 'SoftmaxOutput': _normalised}
