"""Training batches: images read, labelled and stacked by threads while the network computes."""
import collections
import concurrent.futures
import zlib

import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx
import numpy as np

from lib.rpn.targets import assign_anchors
from lib.utils.errors import DataError
from lib.utils.image import read_image, resize, to_tensor

LABEL_NAMES = ['label', 'bbox_target', 'bbox_weight']


def data_names(with_reference):
    """Names of the training symbol's inputs: the frame baseline's, or DFF's with the reference frame."""
    return ['data', 'data_ref', 'eq_flag', 'im_info', 'gt_boxes'] if with_reference else ['data', 'im_info', 'gt_boxes']


def reference_frame_id(record, min_offset, max_offset, rng):
    """Number of the reference frame: an offset drawn from [min_offset, max_offset], kept inside the clip."""
    offset = rng.randint(min_offset, max_offset + 1)
    return min(max(record.frame_id + offset, 0), record.clip_length - 1)


def load_sample(record, cfg, rng, with_reference):
    """Network input and RPN targets of one record, as a dict of float32 arrays with a leading axis of 1.

    data [1, 3, H, W], im_info [1, 3], gt_boxes [1, n, 5]; with_reference adds data_ref and eq_flag [1]
    (1 where the frame is its own reference: stills, and an offset of 0). Raises DataError naming the image.
    """
    image, scale = _read(record.image, record, cfg)
    info = np.array([image.shape[0], image.shape[1], scale], np.float32)
    boxes = np.hstack([record.boxes * scale, record.gt_classes[:, None]]).astype(np.float32)
    sample = {'data': to_tensor(image, cfg.network.PIXEL_MEANS), 'im_info': info[None], 'gt_boxes': boxes[None]}
    if with_reference:
        same = record.pattern is None
        if not same:
            frame_id = reference_frame_id(record, cfg.TRAIN.MIN_OFFSET, cfg.TRAIN.MAX_OFFSET, rng)
            same = frame_id == record.frame_id
        if same:
            sample['data_ref'] = sample['data']
        else:
            reference, _ = _read(record.frame_path(frame_id), record, cfg)
            if reference.shape != image.shape:
                raise DataError('%s and %s belong to one clip but differ in size' % (record.image, record.frame_path(frame_id)))
            sample['data_ref'] = to_tensor(reference, cfg.network.PIXEL_MEANS)
        sample['eq_flag'] = np.array([same], np.float32)
    return sample


def _read(path, record, cfg):
    image = read_image(path)
    if image.shape[:2] != (record.height, record.width):
        raise DataError('%s is %d x %d pixels, but its annotation says %d x %d'
                        % (path, image.shape[1], image.shape[0], record.width, record.height))
    if record.flipped:
        image = image[:, ::-1]
    return resize(image, cfg.SCALES[0], cfg.network.IMAGE_STRIDE)


def collate(samples, cfg, seeds):
    """Stack samples into the batch of one device and add the RPN targets.

    Smaller images are padded at the right and the bottom, missing boxes with rows of class -1.
    Returns a dict of float32 arrays.
    """
    height, width = np.max([s['data'].shape[2:] for s in samples], axis=0)
    boxes = padded_count(max(s['gt_boxes'].shape[1] for s in samples))
    stride = cfg.network.RPN_FEAT_STRIDE
    feature_size = (-(-int(height) // stride), -(-int(width) // stride))
    for sample, seed in zip(samples, seeds):
        sample.update(assign_anchors(feature_size, sample['gt_boxes'][0], sample['im_info'][0], cfg, np.random.RandomState(seed)))
        for name in ('data', 'data_ref'):
            if name in sample:
                sample[name] = _pad(sample[name], (1, 3, height, width), 0)
        sample['gt_boxes'] = _pad(sample['gt_boxes'], (1, boxes, 5), -1)
    return {name: np.concatenate([s[name] for s in samples]) for name in samples[0]}


def padded_count(boxes):
    """Rows of gt_boxes for so many boxes: a multiple of 4, because every other count means another bound network."""
    return max(1, -(-boxes // 4)) * 4


def _pad(array, shape, value):
    if array.shape == shape:
        return array
    padded = np.full(shape, value, array.dtype)
    padded[tuple(slice(n) for n in array.shape)] = array
    return padded


class TrainLoader(mx.io.DataIter):
    """Endless-order, finite-epoch iterator over a roidb for `MutableModule.fit`.

    Every random choice (order, reference frame, anchor sampling) depends on TRAIN.SEED, the epoch and the
    position alone, so a resumed run continues exactly as the uninterrupted one. A batch holds, for each
    device, TRAIN.BATCH_IMAGES images: `batch.data[i]` and `batch.label[i]` are the lists of device i.
    """

    def __init__(self, roidb, cfg, num_devices, with_reference, workers=2):
        super().__init__(cfg.TRAIN.BATCH_IMAGES * num_devices)
        if not roidb:
            raise DataError('there is nothing to train on: the list of training images is empty')
        self.roidb, self.cfg, self.num_devices, self.with_reference = roidb, cfg, num_devices, with_reference
        self.data_names, self.label_names = data_names(with_reference), list(LABEL_NAMES)
        self.epoch = cfg.TRAIN.begin_epoch
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix='loader')
        self._lookahead = workers + 1
        self._pending, self._order, self._position = collections.deque(), [], 0
        self._first = self._make_batch(self.epoch, list(range(self.batch_size)))
        self._start_epoch()

    @property
    def batches_per_epoch(self):
        """Batches in an epoch; the last is filled up from the start of the order."""
        return -(-len(self.roidb) // self.batch_size)

    @property
    def provide_data(self):
        """[(name, shape)] for each device, of some batch: sizes change from batch to batch."""
        return self._first.provide_data

    @property
    def provide_label(self):
        """As `provide_data`, of the labels."""
        return self._first.provide_label

    def max_shapes(self):
        """({input: shape}, {label: shape}) of the largest batch of a device, so that memory is planned once."""
        cfg, batch = self.cfg, self.cfg.TRAIN.BATCH_IMAGES
        size = [-(-side // max(1, cfg.network.IMAGE_STRIDE)) * max(1, cfg.network.IMAGE_STRIDE) for side in cfg.SCALES[0]]
        height, width = (-(-side // cfg.network.RPN_FEAT_STRIDE) for side in size)
        anchors = cfg.network.NUM_ANCHORS
        shapes = {'data': (batch, 3) + tuple(size), 'im_info': (batch, 3), 'eq_flag': (batch,),
                  'gt_boxes': (batch, padded_count(max(len(record.boxes) for record in self.roidb)), 5),
                  'label': (batch, anchors * height * width)}
        shapes['data_ref'] = shapes['data']
        shapes['bbox_target'] = shapes['bbox_weight'] = (batch, 4 * anchors, height, width)
        return {name: shapes[name] for name in self.data_names}, {name: shapes[name] for name in self.label_names}

    def reset(self):
        """Go to the next epoch."""
        self.epoch += 1
        self._start_epoch()

    def _start_epoch(self):
        for future in self._pending:
            future.cancel()
        self._pending.clear()
        order = epoch_order(self.roidb, self.cfg, self.epoch, self.batch_size)
        self._order = [order[i:i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        self._position = 0
        self._fill()

    def _fill(self):
        while len(self._pending) < self._lookahead and self._position < len(self._order):
            self._pending.append(self._pool.submit(self._make_batch, self.epoch, self._order[self._position]))
            self._position += 1

    def next(self):
        """The next mx.io.DataBatch; StopIteration at the end of the epoch."""
        if not self._pending:
            raise StopIteration
        batch = self._pending.popleft().result()
        self._fill()
        return batch

    def _make_batch(self, epoch, indices):
        per_device = self.cfg.TRAIN.BATCH_IMAGES
        devices = []
        for start in range(0, self.batch_size, per_device):
            chosen = [indices[i % len(indices)] % len(self.roidb) for i in range(start, start + per_device)]
            # A seed for each image of each epoch, whichever thread loads it.
            seeds = [zlib.crc32(b'%d %d %d' % (self.cfg.TRAIN.SEED, epoch, index)) for index in chosen]
            samples = [load_sample(self.roidb[i], self.cfg, np.random.RandomState(seed), self.with_reference)
                       for i, seed in zip(chosen, seeds)]
            devices.append(collate(samples, self.cfg, seeds))
        return self._to_batch(devices)

    def _to_batch(self, devices):
        data = [[mx.nd.array(device[name]) for name in self.data_names] for device in devices]
        label = [[mx.nd.array(device[name]) for name in self.label_names] for device in devices]
        return mx.io.DataBatch(data=data, label=label, pad=0,
                               provide_data=[[(n, tuple(d[n].shape)) for n in self.data_names] for d in devices],
                               provide_label=[[(n, tuple(d[n].shape)) for n in self.label_names] for d in devices])


def epoch_order(roidb, cfg, epoch, batch_size):
    """Indices of `roidb` in the order of one epoch, a multiple of `batch_size` long.

    TRAIN.ASPECT_GROUPING keeps wide and tall images in separate batches, where it can, so that less is padded.
    """
    rng = np.random.RandomState(zlib.crc32(b'order %d %d' % (cfg.TRAIN.SEED, epoch)))
    indices = np.arange(len(roidb))
    if cfg.TRAIN.SHUFFLE:
        rng.shuffle(indices)
        if cfg.TRAIN.ASPECT_GROUPING and batch_size > 1:
            wide = np.array([roidb[i].width >= roidb[i].height for i in indices])
            indices = np.concatenate([indices[wide], indices[~wide]])
    indices = np.resize(indices, -(-len(indices) // batch_size) * batch_size)
    batches = indices.reshape(-1, batch_size)
    if cfg.TRAIN.SHUFFLE:
        batches = batches[rng.permutation(len(batches))]
    return batches.reshape(-1).tolist()
