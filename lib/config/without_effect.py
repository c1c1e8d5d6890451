"""Settings of the original that nothing here reads: they load, and a line says so where they ask for what is
not done.
"""
import logging

from dff.errors import shown

_SHARED = ['conv1', 'bn_conv1', 'res2', 'bn2', 'res3', 'bn3', 'res4', 'bn4', 'gamma', 'beta']
# key: (values that describe what is done anyway, what that is)
WITHOUT_EFFECT = {
    'MXNET_VERSION': (('', None, 'mxnet'), 'the MXNet that is installed is used'),
    'network.FIXED_PARAMS_SHARED': ((_SHARED,), 'network.FIXED_PARAMS says what is frozen'),
    'dataset.proposal': (('rpn',), 'proposals come from the RPN'),
    'dataset.motion_iou_path': (('', None, './lib/dataset/imagenet_vid_groundtruth_motion_iou.mat'),
                                'how fast objects move is computed from the annotations'),
    'dataset.enable_detailed_eval': ((True,), 'figures by speed are given wherever objects have track ids'),
    'TRAIN.END2END': ((True,), 'training is end to end'),
    'TRAIN.CXX_PROPOSAL': ((True,), 'the native operator is used where it is built'),
    'TRAIN.BBOX_REGRESSION_THRESH': ((0.5,), 'TRAIN.FG_THRESH says which RoIs have a box to aim at'),
    'TRAIN.RPN_POSITIVE_WEIGHT': ((-1.0,), 'all anchors of a batch have one weight'),
    'TEST.HAS_RPN': ((True,), 'proposals come from the RPN'),
    'TEST.BATCH_IMAGES': ((1,), 'tests run the network on one frame at a time'),
    'TEST.CXX_PROPOSAL': ((True,), 'the native operator is used where it is built'),
}
_log = logging.getLogger('dff.config')


def report_without_effect(tree, source):
    """Log one line that names the keys of `tree`, the settings given in `source`, whose values ask for what
    is not done.
    """
    idle = []
    for name, (values, instead) in WITHOUT_EFFECT.items():
        *sections, key = name.split('.')
        node = tree
        for section in sections:
            node = node.get(section) if isinstance(node, dict) else None
        if isinstance(node, dict) and key in node and node[key] not in values:
            idle.append('%s: %.60s (%s)' % (name, shown(node[key]), instead))
    if idle:
        _log.warning('%s: settings without effect: %s', source, '; '.join(idle))
