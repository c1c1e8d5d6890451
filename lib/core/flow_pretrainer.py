"""Pre-training of the flow network on pairs with exactly known motion, made from the training images themselves.

DFF starts from a FlowNet trained on synthetic pairs (Dosovitskiy et al., arXiv 1504.06852: FlyingChairs). Where that
file is not to be had, or the network is a smaller one, this takes its place: an image, moved along a flow of our own.
"""
import zlib

import lib  # noqa: F401  (prepares the import of MXNet)
import cv2
import mxnet as mx
import numpy as np

from lib.core.checkpoint import save_arrays
from lib.core.lr_scheduler import WarmupMultiFactorScheduler
from lib.core.module import MutableModule
from lib.core.pretrainer import ThreadedBatches
from lib.dataset.roidb import load_roidb
from lib.symbols.flownet import FLOW_UNIT, flownet
from lib.symbols.initialise import initial_value
from lib.utils.image import read_image, resize, to_tensor

PREDICTIONS = ['Convolution%d' % i for i in range(1, 6)]     # coarse to fine
WEIGHTS = (0.1, 0.1, 0.2, 0.3, 1.0)
EPSILON = 1e-6


def pretrain_flow(config, path, batches, batch_size, largest_motion, lr, logger, context):
    """Train the flow network of `config` and write its parameters to `path`, a .params file.

    batches of batch_size pairs, moved by up to `largest_motion` pixels of the scaled image; Adam, the rate halves
    four times on the way. Returns (end-point error, that of zero flow), feature-map pixels, in the last tenth.
    Raises ConfigError, DataError, CheckpointError.
    """
    roidb = load_roidb(config)
    shape = (batch_size, 3) + config.SCALES[0]
    symbol, sizes = flow_symbol(config, shape)
    pairs = PairLoader(roidb, config, batches, batch_size, largest_motion, sizes)
    names = [name for name, _ in pairs.provide_data], [name for name, _ in pairs.provide_label]
    module = MutableModule(symbol, *names, logger=logger, context=context)
    shapes, _, _ = symbol.infer_shape(**dict(pairs.provide_data + pairs.provide_label))
    args = {name: mx.nd.array(initial_value(name, shape, config.TRAIN.SEED))
            for name, shape in zip(symbol.list_arguments(), shapes) if name not in names[0] + names[1]}
    module.bind(pairs.provide_data, pairs.provide_label)
    module.init_params(arg_params=args, aux_params={})
    steps = [batches * part // 8 for part in (4, 5, 6, 7)]
    module.init_optimizer(optimizer='adam', optimizer_params={
        'learning_rate': lr, 'lr_scheduler': WarmupMultiFactorScheduler(steps, 0.5)})
    errors = []
    for number, batch in enumerate(pairs, start=1):
        module.forward(batch)
        module.backward()
        module.update()
        flow, truth = module.get_outputs()[-1].asnumpy(), batch.label[-1].asnumpy()
        errors.append([FLOW_UNIT * np.linalg.norm(value, axis=1).mean() for value in (flow - truth, truth)])
        if number % 100 == 0 or number == batches:
            logger.info('pair batch %d/%d  end-point error %.3f feature-map pixels (zero flow: %.3f)'
                        % ((number, batches) + tuple(np.mean(errors[-100:], axis=0))))
    trained, _ = module.get_params()
    save_arrays(path, {'arg:' + name: array for name, array in trained.items()})
    return tuple(np.mean(errors[-max(1, batches // 10):], axis=0))


def flow_symbol(config, shape):
    """(symbol, [(h, w)] of its predictions): the mean end-point error at all five scales, and the finest prediction."""
    flow, _ = flownet(mx.sym.Variable('data'), mx.sym.Variable('data_ref'), config.network.DFF_FEAT_DIM, config.network.flow_width)
    internals = flow.get_internals()
    predictions = [internals[name + '_output'] for name in PREDICTIONS]
    losses = []
    for name, prediction, weight in zip(PREDICTIONS, predictions, WEIGHTS):
        distance = mx.sym.square(prediction - mx.sym.Variable('flow_' + name))
        distance = mx.sym.sqrt(mx.sym.sum(distance, axis=1) + EPSILON)
        losses.append(mx.sym.MakeLoss(mx.sym.mean(distance), grad_scale=weight, name='error_' + name))
    _, sizes, _ = mx.sym.Group(predictions).infer_shape(data=shape, data_ref=shape)
    return mx.sym.Group(losses + [mx.sym.BlockGrad(predictions[-1])]), [size[2:] for size in sizes]


def moved_pair(image, boxes, largest_motion, rng):
    """(current image, flow [H, W, 2]): current(x) = image(x + flow(x)), the flow from the current image to `image`.

    The background pans, turns and zooms a little; the regions of `boxes` and a few random ellipses move on their own.
    """
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    flow = np.empty((height, width, 2), np.float32)
    pan, turn, zoom = _motion(largest_motion / 2, rng), rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03)
    flow[..., 0] = pan[0] + zoom * (x - width / 2) - turn * (y - height / 2)
    flow[..., 1] = pan[1] + zoom * (y - height / 2) + turn * (x - width / 2)
    for x1, y1, x2, y2 in boxes:
        inside = ((x - (x1 + x2) / 2) / (x2 - x1 + 1)) ** 2 + ((y - (y1 + y2) / 2) / (y2 - y1 + 1)) ** 2 < 0.3
        flow[inside] = _motion(largest_motion, rng)
    for _ in range(rng.randint(3)):
        centre, radius = rng.uniform(0, (width, height)), rng.uniform(15, height / 3.0, 2)
        flow[((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2 < 1] = _motion(largest_motion, rng)
    current = cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    noise = rng.normal(0, 3, image.shape)
    return np.clip(current * rng.uniform(0.92, 1.08) + noise, 0, 255).astype(np.uint8), flow


def _motion(largest, rng):
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0, largest)
    return np.array([np.cos(angle), np.sin(angle)], np.float32) * np.float32(length)


class PairLoader(ThreadedBatches):
    """Batches of pairs: data and data_ref [B, 3, H, W], and the flow at every scale in units of the predictions."""

    def __init__(self, roidb, config, batches, batch_size, largest_motion, sizes):
        self.roidb, self.config, self.largest_motion, self.sizes = roidb, config, largest_motion, sizes
        shape = (batch_size, 3) + config.SCALES[0]
        self.provide_data = [('data', shape), ('data_ref', shape)]
        self.provide_label = [('flow_' + name, (batch_size, 2) + tuple(size)) for name, size in zip(PREDICTIONS, sizes)]
        super().__init__(batches, batch_size)

    def make(self, number):
        rng = np.random.RandomState(zlib.crc32(b'pairs %d %d' % (self.config.TRAIN.SEED, number)))
        samples = [self._sample(self.roidb[i], rng) for i in rng.randint(len(self.roidb), size=self.batch_size)]
        return [np.concatenate(column) for column in zip(*samples)]

    def _sample(self, record, rng):
        height, width = self.config.SCALES[0]
        image = read_image(record.image)
        image, scale = resize(image[:, ::-1] if record.flipped else image, self.config.SCALES[0])
        fitted = np.zeros((height, width, 3), np.uint8)           # smaller images are padded
        fitted[:image.shape[0], :image.shape[1]] = image[:height, :width]
        current, flow = moved_pair(fitted, record.boxes * scale, self.largest_motion, rng)
        unit = FLOW_UNIT * self.config.network.RCNN_FEAT_STRIDE   # image pixels
        targets = [cv2.resize(flow, size[::-1], interpolation=cv2.INTER_AREA).transpose(2, 0, 1)[None] / np.float32(unit)
                   for size in self.sizes]
        means = self.config.network.PIXEL_MEANS
        return [to_tensor(current, means), to_tensor(fitted, means)] + targets
