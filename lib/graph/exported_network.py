"""One network of an exported folder: what it is made of, and the shapes in it, checked.

It has operators of the project's list with exactly their inputs (lib/graph/network_rules.py), the
inputs that a frame is copied to, the outputs that its task takes, and no size that such a network
does not need.
"""
import json
import math
import re

import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx

from lib.symbols.flownet import whole_flow
from lib.symbols.outputs import own_outputs
from lib.graph.network_rules import FITS, check_nodes
from lib.graph.symbol_file import Refused

# Values of one tensor, and of all of a network, for a pixel of its input; and besides, for regions
# and weights. ResNet-101 with DeepLab has 20 and 1300; with 254 classes one would have 370.
TENSOR, ALL, BESIDES = 512, 4096, 1 << 24
LARGEST_TENSOR = (1 << 31) - 1         # elements that MXNet counts
LARGEST_AXIS = 1 << 20                 # 64 times as long, by a stride, it does not wrap around
FRAME_INPUTS = {'data', 'data_key', 'data_ref', 'feat_key', 'im_info', 'feat_cache', 'embed_cache', 'flow', 'centre'}
# What each network is made of; of detection, those with regions take im_info, too.
WANTED = {'frame': {'data'}, 'key': {'data'}, 'current': {'data', 'data_key', 'feat_key'},
          'feature': {'data'}, 'flow': {'data', 'data_ref'},
          'window': {'feat_cache', 'embed_cache', 'flow', 'centre'}}
WITHOUT_REGIONS = 'feature', 'flow'
PARAMETERISED = {'Convolution', 'Deconvolution', 'SoftmaxOutput'}
LABEL = 'softmax_label'                # of DeepLab's softmax, which is never bound
SCORE = 'score_output'                 # by which testing finds them
MOST_SEGMENTED = 254                   # classes: their ids are bytes
OUTPUTS = {'detection': {'frame': 3, 'key': 4, 'current': 3, 'feature': 2, 'flow': 1, 'window': 3},
           'segmentation': {'frame': 1, 'key': 2, 'current': 2}}


class ExportedNetwork:
    """A symbol in its role.

    Args:
        role: 'frame', 'key', 'current', 'feature', 'flow' or 'window'.
        symbol: the network.
        settings: those of model.json, checked.
        recognises: 'detection' or 'segmentation'.

    All but `needed` and `outputs` raise Refused.
    """

    def __init__(self, role, symbol, settings, recognises):
        self.role, self._settings, self._task = role, settings, recognises
        own = own_outputs(symbol)
        takes = OUTPUTS[self._task][role]
        if len(own) != takes:
            raise Refused('%s takes %d outputs, it has %d' % (self._task, takes, len(own)))
        group = mx.sym.Group(own)
        tree = json.loads(group.tojson(remove_amp_cast=False))
        self._nodes, self._heads = tree['nodes'], [head[0] for head in tree['heads']]
        self._values = check_nodes(tree)
        self._inner = group.get_internals()
        self._names, self._arguments = self._inner.list_outputs(), group.list_arguments()
        if len(self._names) != len(self._nodes):
            raise Refused('a node has more outputs than one')
        self._check_regions()
        self._check_parameters()
        self._check_inputs(own)

    def _check_regions(self):
        """MXNet's pooling reads the image that a region names, and only proposals name the one."""
        for node in self._nodes:
            if node['op'] == '_contrib_PSROIPooling':
                regions, _, _ = node['inputs'][1]
                if self._nodes[regions]['op'] != '_contrib_Proposal':
                    raise Refused('the regions of node %.50r are no proposals' % node['name'])

    def _check_parameters(self):
        """Parameters, and nothing else, must be where shapes follow for them.

        Anywhere else they would be inputs without a shape, for which MXNet writes outside its own
        memory when it asks a native operator what follows from the others.
        """
        for node in self._nodes:
            for place, (source, _, _) in enumerate(node['inputs']):
                given = self._nodes[source]
                is_parameter = given['op'] == 'null' and given['name'] not in FRAME_INPUTS
                if is_parameter != (node['op'] in PARAMETERISED and place > 0):
                    raise Refused('%.50r is %s parameter, and input %d of node %.50r' % (
                        given['name'], 'a' if is_parameter else 'no', place, node['name']))

    def _check_inputs(self, own):
        """What is bound must have the inputs that a frame is copied to, and no others."""
        bound = own
        if self._task == 'segmentation':       # the scores are taken before they are enlarged
            inner = own[-1].get_internals()
            if inner.list_outputs().count(SCORE) != 1:
                raise Refused('it has no scores of classes')
            bound = own[:-1] * (self.role == 'key') + [inner[SCORE]]
        has_regions = self._task == 'detection' and self.role not in WITHOUT_REGIONS
        wanted = WANTED[self.role] | ({'im_info'} if has_regions else set())
        for symbol in (mx.sym.Group(bound), mx.sym.Group(own)):
            found = set(symbol.list_arguments()) & FRAME_INPUTS
            if found != wanted:
                raise Refused('its inputs are %s, expected %s' % (
                    ', '.join(sorted(found)) or 'none', ', '.join(sorted(wanted))))
        if self.role == 'key' and set(own[0].list_arguments()) & FRAME_INPUTS != {'data'}:
            raise Refused('its feature is not made of the image alone')
        if self.role == 'current' and not whole_flow(self._names):
            raise Refused('it has no flow')

    def shapes(self, inputs):
        """[shape of each node's output] for {input: shape}."""
        known = {name: shape for name, shape in inputs.items() if name in self._arguments}
        try:
            # infer_shape would print where this raises.
            shapes = self._inner._infer_shape_impl(False, **known)[1]
        except mx.base.MXNetError as error:
            node = re.search(r'Error in operator (.{1,50}?): ', str(error))
            place = ' at node %s' % node.group(1) if node else ''
            raise Refused('shapes do not fit each other%s' % place) from None
        if not shapes or any(not shape or min(shape) < 1 for shape in shapes):
            raise Refused('its shapes do not follow from those of its inputs')
        pixels, total = math.prod(inputs['data'][2:]), 0
        largest, most = min(TENSOR * pixels + BESIDES, LARGEST_TENSOR), ALL * pixels + BESIDES
        for node, values, shape in zip(self._nodes, self._values, shapes):
            what = 'node %.50r, %.50r,' % (node['name'], node['op'])
            size = math.prod(shape)
            if node['op'] == 'null':     # what a frame or a parameter is, or the label of every pixel
                axis = 1
            else:
                axis, total = max(shape), total + size
            if axis > LARGEST_AXIS or size > largest or total > most:
                raise Refused('with %s of shape %s it takes more memory than such a network needs'
                              % (what, shape))
            operands = [shapes[source] for source, _, _ in node['inputs']]
            fits = FITS.get(node['op'])
            if fits and not fits(values, operands, shape):
                raise Refused('%s does not fit shapes %s' % (what, ', '.join(map(str, operands))))
        return shapes

    def needed(self, shapes):
        """{parameter: shape}."""
        return {node['name']: shape for node, shape in zip(self._nodes, shapes)
                if node['op'] == 'null' and node['name'] not in FRAME_INPUTS | {LABEL}}

    def outputs(self, shapes):
        """[shape of each of its own outputs]."""
        return [shapes[head] for head in self._heads]

    def check_outputs(self, shapes, image):
        """Refuse outputs that its task cannot take. image: shape of the network's input."""
        classes, outputs = self._settings['dataset'].get('NUM_CLASSES', 0), self.outputs(shapes)
        if self.role in WITHOUT_REGIONS:
            taken = outputs
            good = all(len(shape) == 4 and (shape[0],) + shape[2:] == (1,) + outputs[0][2:] for shape in outputs)
        elif self._task == 'detection':
            taken = outputs[-3:]
            rois, scores, deltas = taken
            columns = 8 if deltas[-1] == 8 else 4 * classes
            wanted = [(rois[0], 5), (1, rois[0], classes), (1, rois[0], columns)]
            good = taken == wanted
        else:
            taken = [shapes[self._names.index(SCORE)]]
            good = (len(taken[0]) == 4 and taken[0][:2] == (1, classes)
                    and classes <= MOST_SEGMENTED)
        if self.role == 'key' and (len(outputs[0]) != 4 or outputs[0][0] != 1):
            taken, good = outputs[:1], False
        if not good:
            raise Refused('outputs of shapes %s are not those of %s with %d classes'
                          % (', '.join(map(str, taken)), self._task, classes))
        policy = self._settings.get('TEST', {}).get('KEY_FRAME_POLICY')
        if self.role == 'current' and policy == 'flow':
            stride = self._settings['network'].get('RCNN_FEAT_STRIDE', 16)
            flow = shapes[self._names.index(whole_flow(self._names))]
            cells = (1, 2) + tuple(-(-side // stride) for side in image[2:])
            if flow != cells:
                raise Refused('its flow has shape %s, not %s' % (flow, cells))
