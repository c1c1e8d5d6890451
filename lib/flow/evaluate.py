"""How good a flow network is on pairs with known flow, beside zero flow and OpenCV's DIS."""
import lib  # noqa: F401  (prepares the import of MXNet)
import cv2
import mxnet as mx
import numpy as np

from lib.engine.executors import ExecutorPool
from lib.graph.graph import Graph
from lib.graph.inference_graph import keep_apart
from lib.symbols.flownet import flownet, settings_of
from dff.image import to_tensor
from lib.utils.progress import progress_bar

SMALL = 10      # pixels: motions below count as small


class FlowEstimator:
    """Flow by a network, for images of any size.

    Args:
        config: the settings.
        arg_params: {name: array}.
        context: mx.Context to compute on.
        source: what a message calls the parameters' origin.

    Raises:
        CheckpointError: the parameters do not fit.
    """

    def __init__(self, config, arg_params, context, source='the parameters given'):
        network = config.network
        flow, _ = flownet(mx.sym.Variable('data'), mx.sym.Variable('data_ref'),
                          network.DFF_FEAT_DIM, **settings_of(network))
        shape, graph = (1, 3) + tuple(config.SCALES[0]), Graph(flow)
        keep_apart(graph)
        self._pool = ExecutorPool(graph.symbol(), context, {'data': shape, 'data_ref': shape})
        self._pool.set_params(arg_params, {}, source=source)
        self._means, self._stride = network.PIXEL_MEANS, network.RCNN_FEAT_STRIDE

    def cells(self, current, reference):
        """float32 [2, h, w]: the flow in cells of the feature map, as DFF takes it; see __call__."""
        inputs = {'data': to_tensor(current, self._means), 'data_ref': to_tensor(reference, self._means)}
        return self._pool.forward(inputs).outputs[0].asnumpy()[0]

    def __call__(self, current, reference):
        """float32 [H, W, 2] in pixels of the BGR uint8 images [H, W, 3], from current to reference."""
        flow = self.cells(current, reference).transpose(1, 2, 0)
        return cv2.resize(flow * np.float32(self._stride), current.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def zero_flow(current, reference):
    """No motion at all, float32 [H, W, 2]."""
    return np.zeros(current.shape[:2] + (2,), np.float32)


def dis_flow(current, reference):
    """OpenCV's DIS optical flow (Kroeger et al., arXiv 1603.03590), medium preset, float32 [H, W, 2]."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return dis.calc(*(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (current, reference)), None)


def end_point_errors(methods, pairs, count):
    """{name: {'all', 'small', 'large', 'coarse'}}: mean end-point errors in image pixels over `count` pairs.

    methods: {name: function of (current, reference) -> flow}; pairs: an iterable of Pair. small
    and large: where the true motion is below and above SMALL pixels; coarse: of the flow averaged
    over 16 x 16 pixels, all that DFF's features see.
    """
    sums = {name: dict.fromkeys(('all', 'small', 'large', 'coarse'), 0.0) for name in methods}
    weights = dict.fromkeys(('all', 'small', 'large', 'coarse'), 0)
    for pair in progress_bar(pairs, total=count, unit='pair', desc='measuring', leave=False):
        small = np.linalg.norm(pair.flow, axis=2) < SMALL
        coarse = tuple(side // 16 for side in small.shape[::-1])
        weights = {'all': weights['all'] + small.size, 'small': weights['small'] + small.sum(),
                   'large': weights['large'] + (~small).sum(), 'coarse': weights['coarse'] + 1}
        for name, method in methods.items():
            difference = method(pair.current, pair.reference) - pair.flow
            error = np.linalg.norm(difference, axis=2)
            sums[name]['all'] += error.sum()
            sums[name]['small'] += error[small].sum()
            sums[name]['large'] += error[~small].sum()
            sums[name]['coarse'] += np.linalg.norm(
                cv2.resize(difference, coarse, interpolation=cv2.INTER_AREA), axis=2).mean()
    return {
        name: {part: float(value / max(1, weights[part]))
               for part, value in parts.items()}
        for name, parts in sums.items()
    }
