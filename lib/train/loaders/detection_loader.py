"""Training batches of detection: scaled images, reference frames, boxes and the targets of the RPN."""
import logging
import zlib

import numpy as np

from lib.dataset.rules.pictures import wrong_size
from lib.train.loaders.augment import draw_view, is_augmented
from lib.train.loaders.balance import entries_per_epoch, repeat_factors
from lib.train.loaders.loader import TrainLoader, pad
from lib.boxes.targets import assign_anchors
from dff.errors import DataError
from dff.image import read_image, resize, resize_scale, to_tensor
from lib.utils.image_header import read_header

logger = logging.getLogger('dff')
LABEL_NAMES = ['label', 'bbox_target', 'bbox_weight']


# Images beside the labelled one, and what else comes with them: of the frame baseline, DFF and FGFA.
REFERENCES = ((), ('data_ref',), ('data_bef', 'data_aft'))


def data_names(references, with_old=False):
    """Names of the training symbol's inputs with so many reference frames: 0, 1 (DFF) or 2 (FGFA); with_old: of
    DFF with the key frame before that, too.
    """
    flags, old = ['eq_flag'] * (references == 1), ['data_old', 'old_flag'] * with_old
    return ['data', *REFERENCES[references], *flags, *old, 'im_info', 'gt_boxes']


def is_recursive(references, cfg):
    """Return whether the key frame before the reference frame is trained on, too."""
    return references == 1 and cfg.TRAIN.AGGREGATE == 'recursive'


def reference_frame_id(record, min_offset, max_offset, rng):
    """Return the number of a reference frame.

    Args:
        record: the Record of the current frame.
        min_offset, max_offset: the offset is drawn from these, both included, in frames; the sum
            is kept inside the clip.
        rng: np.random.RandomState.
    """
    return _kept_inside(record, rng.randint(min_offset, max_offset + 1))


def two_frame_ids(record, min_offset, max_offset, rng):
    """Return the numbers of two reference frames, at different offsets (Zhu et al., arXiv 1703.10025, section 5.1).

    Kept inside the clip, they may coincide.

    Args:
        record, min_offset, max_offset, rng: as of reference_frame_id; there are at least two offsets.
    """
    offsets = min_offset + rng.permutation(max_offset + 1 - min_offset)[:2]
    return [_kept_inside(record, int(offset)) for offset in offsets]


def _kept_inside(record, offset):
    return min(max(record.frame_id + offset, 0), record.clip_length - 1)


def load_sample(record, cfg, rng, references, scales=None):
    """Return network input and RPN targets of one record, a dict of float32 arrays.

    Each has a leading axis of 1: data [1, 3, H, W], im_info [1, 3] (height, width, scale) and
    gt_boxes [1, n, 5] (x1 y1 x2 y2 class, pixels of the scaled image).

    Args:
        record: the Record of the frame.
        cfg: the settings.
        rng: np.random.RandomState that the reference frames and the augmentation are drawn from.
        references: 1 adds data_ref [1, 3, H, W] and eq_flag [1], 1 where the frame is its own
            reference (stills, and an offset of 0); with TRAIN.AGGREGATE also data_old [1, 3, H, W],
            the key frame before the reference, and old_flag [1], 1 where the clip has none. 2 adds
            data_bef and data_aft, of a still itself.
        scales: one of SCALES; None: the first.

    Raises:
        DataError: an image cannot be read or has another size than its annotation says; names it.
    """
    own, frame_ids, old = record.frame_id, _reference_ids(record, cfg.TRAIN, references, rng), []
    if is_recursive(references, cfg):
        interval = cfg.TRAIN.MAX_OFFSET - cfg.TRAIN.MIN_OFFSET + 1
        old = [own if record.pattern is None else max(0, frame_ids[0] - interval)]
    numbers = list(dict.fromkeys([own, *frame_ids, *old]))
    images = [_read(record.image if number == own else record.frame_path(number), record) for number in numbers]
    images, boxes, info = _in_view(images, record, scales or cfg.SCALES[0], cfg, rng)
    tensors = dict(zip(numbers, (to_tensor(image, cfg.network.PIXEL_MEANS) for image in images)))
    sample = {'data': tensors[own], 'im_info': info[None], 'gt_boxes': boxes[None]}
    sample.update((name, tensors[number]) for name, number in zip(REFERENCES[references], frame_ids))
    if references == 1:
        sample['eq_flag'] = np.array([frame_ids[0] == own], np.float32)
    for number in old:
        sample.update(data_old=tensors[number], old_flag=np.array([number == frame_ids[0]], np.float32))
    return sample


def _reference_ids(record, train, references, rng):
    """Numbers of the reference frames of a record; of a still they are its own."""
    if not references or record.pattern is None:
        return [record.frame_id] * references
    offsets = train.MIN_OFFSET, train.MAX_OFFSET
    return two_frame_ids(record, *offsets, rng) if references == 2 else [reference_frame_id(record, *offsets, rng)]


def _in_view(images, record, scales, cfg, rng):
    """Return scaled images of one clip, augmented alike where TRAIN asks for it, gt_boxes [n, 5] and im_info [3]."""
    stride = cfg.network.IMAGE_STRIDE
    if is_augmented(cfg.TRAIN):
        scale = resize_scale(record.height, record.width, scales)
        size = tuple(max(1, int(round(side * scale))) for side in (record.height, record.width))
        view = draw_view((record.height, record.width), size, record.boxes, cfg, rng)
        boxes, kept = view.boxes(record.boxes)
        classes, scale = record.gt_classes[kept], np.sqrt(np.prod(view.factors))
        # Of this size already: this only adds what the stride asks for.
        images = [resize(view.image(image), sorted(size), stride)[0] for image in images]
    else:
        scaled = [resize(image, scales, stride) for image in images]
        images, scale = [image for image, _ in scaled], scaled[0][1]
        boxes, classes = record.boxes * scale, record.gt_classes
    info = np.array([images[0].shape[0], images[0].shape[1], scale], np.float32)
    return images, np.hstack([boxes, classes[:, None]]).astype(np.float32), info


def _read(path, record):
    image = read_image(path)
    if image.shape[:2] != (record.height, record.width):
        raise DataError(
            wrong_size(
                path, image.shape[:2], (record.height, record.width), read_header(path).orientation
            )
        )
    return image[:, ::-1] if record.flipped else image


def collate(samples, cfg, seeds):
    """Stack samples into the batch of one device and add the RPN targets, {name: float32 array}.

    Smaller images are padded at the right and the bottom, missing boxes with rows of class -1.

    Args:
        samples: dicts of `load_sample`; changed.
        cfg: the settings.
        seeds: one for each sample, for the choice of its anchors.
    """
    height, width = np.max([s['data'].shape[2:] for s in samples], axis=0)
    boxes = padded_count(max(s['gt_boxes'].shape[1] for s in samples))
    stride = cfg.network.RPN_FEAT_STRIDE
    feature_size = (-(-int(height) // stride), -(-int(width) // stride))
    for sample, seed in zip(samples, seeds):
        sample.update(
            assign_anchors(feature_size, sample['gt_boxes'][0], sample['im_info'][0], cfg,
                           np.random.RandomState(seed)))
        for name in sample:
            if name.startswith('data'):
                sample[name] = pad(sample[name], (1, 3, height, width), 0)
        sample['gt_boxes'] = pad(sample['gt_boxes'], (1, boxes, 5), -1)
    return {name: np.concatenate([s[name] for s in samples]) for name in samples[0]}


def padded_count(boxes):
    """Rows of gt_boxes for so many boxes: a multiple of 4, because every other count means another bound network."""
    return max(1, -(-boxes // 4)) * 4


class DetectionLoader(TrainLoader):
    """Batches for R-FCN, DFF R-FCN or FGFA R-FCN.

    Args:
        roidb: [Record].
        cfg, num_devices, workers: see TrainLoader.
        references: reference frames of each labelled one, see load_sample.
    """

    def __init__(self, roidb, cfg, num_devices, references, workers=2):
        self.references = references
        names = data_names(references, is_recursive(references, cfg))
        super().__init__(roidb, cfg, num_devices, names, LABEL_NAMES, workers)

    def make_device_batch(self, records, seeds):
        """See TrainLoader."""
        # One size for the batch of a device; seeds[0] itself draws the reference frame, too.
        scales = self.cfg.SCALES[zlib.crc32(b'scale %d' % seeds[0]) % len(self.cfg.SCALES)]
        samples = [
            load_sample(record, self.cfg, np.random.RandomState(seed), self.references, scales)
            for record, seed in zip(records, seeds)
        ]
        return collate(samples, self.cfg, seeds)

    def is_wide(self):
        """See TrainLoader; only with TRAIN.ASPECT_GROUPING."""
        return np.array([record.width >= record.height for record in self.records
                         ]) if self.cfg.TRAIN.ASPECT_GROUPING else None

    def factors(self):
        """See TrainLoader; only with TRAIN.BALANCE, which a line in the log tells the effect of."""
        threshold, count = self.cfg.TRAIN.BALANCE, len(self.records)
        if not threshold:
            return None
        factors = repeat_factors([record.gt_classes for record in self.records], threshold)
        if factors.max() == 1:
            logger.info('TRAIN.BALANCE %g: every class is in as many of the %d entries; all come once an epoch',
                        threshold, count)
            return None
        logger.info('TRAIN.BALANCE %g: %d of %d entries have rarer classes and come up to %.3g times an epoch, which '
                    'has %d entries', threshold, np.count_nonzero(factors > 1), count, factors.max(),
                    entries_per_epoch(factors))
        return factors

    def max_shapes(self):
        """({input: shape}, {label: shape}) of the largest batch of a device, so that memory is planned once."""
        cfg, batch = self.cfg, self.cfg.TRAIN.BATCH_IMAGES
        size = [
            -(-side // max(1, cfg.network.IMAGE_STRIDE)) * max(1, cfg.network.IMAGE_STRIDE)
            for side in np.max(cfg.SCALES, axis=0).tolist()
        ]
        height, width = (-(-side // cfg.network.RPN_FEAT_STRIDE) for side in size)
        anchors = cfg.network.NUM_ANCHORS
        shapes = {'data': (batch, 3) + tuple(size), 'im_info': (batch, 3), 'eq_flag': (batch,),
                  'gt_boxes': (batch, padded_count(max(len(record.boxes) for record in self.records)), 5),
                  'label': (batch, anchors * height * width)}
        images = REFERENCES[self.references] + ('data_old',)
        shapes.update(dict.fromkeys(images, shapes['data']), old_flag=shapes['eq_flag'])
        shapes['bbox_target'] = shapes['bbox_weight'] = (batch, 4 * anchors, height, width)
        return {name: shapes[name] for name in self.data_names}, {name: shapes[name] for name in self.label_names}
