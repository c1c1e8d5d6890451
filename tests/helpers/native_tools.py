"""Running native operators inside MXNet, for tests."""
import mxnet as mx
import numpy as np

from lib.operator_cxx import loader
from lib.symbols import operators

PSROI = dict(spatial_scale=1 / 16, output_dim=5, pooled_size=7, group_size=7)
PROPOSAL = dict(feature_stride=16, scales=(8, 16, 32), ratios=(.5, 1, 2), rpn_pre_nms_top_n=600, rpn_post_nms_top_n=50,
                threshold=.7, rpn_min_size=0)


def run(symbol, arrays, out_grad=None, grad_req='write', steps=1):
    """Outputs and the gradients by argument name of a symbol whose arguments are `arrays`."""
    arguments = {name: mx.nd.array(value) for name, value in arrays.items()}
    gradients = {name: mx.nd.zeros(value.shape) for name, value in arrays.items()} if out_grad is not None else None
    executor = symbol.bind(mx.cpu(), arguments, gradients, grad_req if gradients else 'null')
    for _ in range(steps):
        executor.forward(is_train=gradients is not None)
        if gradients:
            executor.backward([mx.nd.array(out_grad)])
    return executor.outputs[0].asnumpy(), {name: value.asnumpy() for name, value in (gradients or {}).items()}


def builtin(make):
    """The symbol that `make()` builds, from MXNet's own operators."""
    with loader.built_in():
        return make()


def assert_close(actual, expected, tolerance):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1, abs(np.asarray(expected)).max()))


def warp_arrays(rng, images, feature_images, channels, height, width, scaled=True):
    arrays = dict(feature=rng.randn(feature_images, channels, height, width),
                  flow=rng.randn(images, 2, height, width) * 3)
    if scaled:
        arrays['scale'] = rng.randn(images, channels, height, width)
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def warp_symbol(scaled, shared=False):
    names = ('feature', 'flow', 'scale') if scaled else ('feature', 'flow')
    return operators.flow_warp(*[mx.sym.Variable(name) for name in names], shared=shared)
