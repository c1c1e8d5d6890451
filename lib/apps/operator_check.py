"""Whether the native operators give what MXNet's own give, on small arrays."""
import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np

from lib.operator_cxx import loader
from lib.symbols import operators


def differing_operators(context):
    """Return the names of those that give other numbers on the device `context`, an mx.Context."""
    random, variable = np.random.RandomState(0), mx.sym.Variable
    anchors = dict(batch_images=1, feature_stride=16, scales=(2,), ratios=(1,),
                   rpn_pre_nms_top_n=12, rpn_post_nms_top_n=6, threshold=0.7, rpn_min_size=0)
    tests = {
        'warp': (
            lambda: operators.flow_warp(variable('feature'), variable('flow'), variable('scale')),
            {'feature': random.rand(1, 3, 5, 6), 'flow': random.randn(1, 2, 5, 6),
             'scale': random.rand(1, 3, 5, 6)}),
        'correlation': (
            lambda: operators.correlation(variable('current'), variable('reference'), 2),
            {'current': random.randn(1, 3, 5, 6), 'reference': random.randn(1, 3, 5, 6)}),
        'RoI pooling': (
            lambda: operators.psroi_pooling(variable('data'), variable('rois'), 0.25, 2, 3, 3,
                                            'pooled'),
            {'data': random.rand(1, 18, 6, 8),
             'rois': np.array([[0, 2, 3, 20, 17], [0, 0, 0, 31, 23]])}),
        'proposals': (
            lambda: operators.proposal(variable('score'), variable('delta'), variable('im_info'),
                                       name='rois', **anchors),
            {'score': random.rand(1, 2, 3, 4), 'delta': 0.1 * random.randn(1, 4, 3, 4),
             'im_info': np.array([[48, 64, 1]])}),
    }
    found = []
    for name, (make, arrays) in tests.items():
        inputs = {key: mx.nd.array(value, ctx=context) for key, value in arrays.items()}
        native = make().eval(ctx=context, **inputs)[0].asnumpy()
        with loader.built_in():
            own = make().eval(ctx=context, **inputs)[0].asnumpy()
        if np.abs(native - own).max() > 1e-4 * max(1, np.abs(own).max()):
            found.append(name)
    return found
