"""Pre-training of a backbone as a classifier of the data set's own objects, where no ImageNet network is to be had.

A detector started from such a backbone needs a fraction of the training that one from scratch needs: windows around
objects teach the classes many times faster than whole frames do.
"""
import collections
import zlib

import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np

from lib.boxes.transform import bbox_overlaps
from lib.engine.checkpoint import save_arrays
from lib.engine.trained_with import write_settings
from lib.train.loaders.batches_ahead import NumberedBatches
from lib.train.lr_scheduler import WarmupMultiFactorScheduler
from lib.train.module import MutableModule
from lib.dataset.roidb import load_roidb
from lib.symbols.initialise import initial_value
from lib.symbols.registry import BACKBONES
from dff.image import read_image, resize, to_tensor

BACKGROUND_SHARE = 0.25       # of the windows
BACKGROUND_OVERLAP = 0.1      # a background window overlaps no object more than this


def pretrain_backbone(config, path, batches, batch_size, window, lr, logger, context):
    """Train the backbone of `config` and write its parameters.

    The windows are cut from the scaled image, each around a jittered object or on the background;
    half of them are mirrored.

    Args:
        config: the settings.
        path: .params file to write.
        batches, batch_size: how many batches, of how many windows.
        window: side of a window in pixels.
        lr: learning rate of SGD; falls to a tenth after 2/3 of the batches.
        logger: told the accuracy every 50 batches.
        context: mx.Context to train on.

    Returns:
        The share of right answers in the last tenth of the batches.

    Raises:
        ConfigError, DataError, CheckpointError
    """
    roidb = load_roidb(config)
    symbol = classifier(config)
    iterator = WindowLoader(roidb, config, batches, batch_size, window)
    module = MutableModule(symbol, ['data'], ['softmax_label'], logger=logger, context=context)
    shapes, _, aux_shapes = symbol.infer_shape(**dict(iterator.provide_data + iterator.provide_label))
    args = {name: mx.nd.array(initial_value(name, shape, config.TRAIN.SEED))
            for name, shape in zip(symbol.list_arguments(), shapes) if name not in ('data', 'softmax_label')}
    auxs = {
        name: mx.nd.array(initial_value(name, shape))
        for name, shape in zip(symbol.list_auxiliary_states(), aux_shapes)
    }
    right = collections.deque(maxlen=max(1, batches // 10))

    def after_batch(param):
        name_values = dict(param.eval_metric.get_name_value())
        right.append(name_values['accuracy'])
        if (param.nbatch + 1) % 50 == 0 or param.nbatch + 1 == batches:
            logger.info('window batch %d/%d  accuracy %.3f' % (param.nbatch + 1, batches, np.mean(right)))
        param.eval_metric.reset()

    module.fit(
        iterator, eval_metric='acc', batch_end_callback=after_batch, num_epoch=1, arg_params=args,
        aux_params=auxs, optimizer='sgd', optimizer_params={
            'learning_rate': lr, 'momentum': config.TRAIN.momentum, 'wd': config.TRAIN.wd,
            'rescale_grad': 1.0,
            'lr_scheduler': WarmupMultiFactorScheduler([batches * 2 // 3], 0.1)})
    args, auxs = module.get_params()
    arrays = {'arg:' + name: array for name, array in args.items() if not name.startswith('classifier')}
    arrays.update(('aux:' + name, array) for name, array in auxs.items())
    save_arrays(path, arrays)
    write_settings(path, config)
    return float(np.mean(right))


def classifier(config):
    """The backbone, the mean over its map without the border, and a linear layer for NUM_CLASSES classes."""
    backbone = BACKBONES.get(config.network.backbone)(config.network)
    body = backbone.feature(mx.sym.Variable('data'), global_stats=False)
    body = mx.sym.slice(body, begin=(None, None, 1, 1), end=(None, None, -1, -1))
    body = mx.sym.Pooling(body, global_pool=True, pool_type='avg', kernel=(1, 1))
    body = mx.sym.FullyConnected(mx.sym.Flatten(body), num_hidden=config.dataset.NUM_CLASSES, name='classifier')
    return mx.sym.SoftmaxOutput(body, mx.sym.Variable('softmax_label'), normalization='valid', name='softmax')


def draw_window(record, boxes, shape, window, rng):
    """Return a window, (x, y, class): around a jittered object, or on the background (class 0).

    x, y: the upper left corner; it may lie outside the image.

    Args:
        record: the Record of the image.
        boxes: float [n, 4], its objects in pixels of the scaled image.
        shape: (height, width) of the scaled image.
        window: side of the window in pixels.
        rng: np.random.RandomState.
    """
    height, width = shape
    if rng.rand() < BACKGROUND_SHARE:
        for _ in range(10):
            x, y = rng.randint(0, max(1, width - window + 1)), rng.randint(0, max(1, height - window + 1))
            around = np.array([[x, y, x + window - 1, y + window - 1]], float)
            if bbox_overlaps(around, boxes.astype(float)).max() < BACKGROUND_OVERLAP:
                return x, y, 0
    chosen = rng.randint(len(boxes))
    x1, y1, x2, y2 = boxes[chosen]
    jitter = rng.uniform(-0.25, 0.25, 2) * (x2 - x1, y2 - y1)
    x, y = np.array([(x1 + x2) / 2, (y1 + y2) / 2]) + jitter - window / 2
    return int(round(x)), int(round(y)), int(record.gt_classes[chosen])


def cut(image, x, y, window):
    """The window at (x, y) of `image`, [H, W, 3]; what lies outside repeats the edge."""
    rows = np.clip(np.arange(y, y + window), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(x, x + window), 0, image.shape[1] - 1)
    return image[rows[:, None], columns]


class WindowLoader(NumberedBatches):
    """Batches of windows [batch_size, 3, window, window] and their classes [batch_size].

    Args:
        roidb: [Record].
        config: the settings.
        batches, batch_size: see NumberedBatches.
        window: side of a window in pixels.
    """

    PER_IMAGE = 4

    def __init__(self, roidb, config, batches, batch_size, window):
        self.roidb, self.config, self.window = roidb, config, window
        self.provide_data = [('data', (batch_size, 3, window, window))]
        self.provide_label = [('softmax_label', (batch_size,))]
        super().__init__(batches, batch_size)

    def arrays(self, number):
        """Return the windows and classes of a batch; see NumberedBatches."""
        rng = np.random.RandomState(zlib.crc32(b'windows %d %d' % (self.config.TRAIN.SEED, number)))
        windows, labels = [], []
        while len(labels) < self.batch_size:
            record = self.roidb[rng.randint(len(self.roidb))]
            image = read_image(record.image)
            image, scale = resize(image[:, ::-1] if record.flipped else image, self.config.SCALES[0])
            for _ in range(min(self.PER_IMAGE, self.batch_size - len(labels))):
                x, y, label = draw_window(record, record.boxes * scale, image.shape[:2], self.window, rng)
                window = cut(image, x, y, self.window)
                window = window[:, ::-1] if rng.rand() < 0.5 else window
                windows.append(to_tensor(window, self.config.network.PIXEL_MEANS))
                labels.append(label)
        return np.concatenate(windows), np.array(labels, np.float32)
