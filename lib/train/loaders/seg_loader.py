"""Training batches of segmentation: crops of labelled frames, their label maps and, for DFF, reference frames."""
import cv2
import numpy as np

from lib.train.loaders.loader import TrainLoader, pad
from dff.labels import IGNORE_LABEL
from dff.errors import DataError
from dff.image import read_image, resize, to_tensor


def load_sample(record, read_label, cfg, rng, with_reference):
    """Return network input and label map of one record, a dict of float32 arrays.

    Each has a leading axis of 1: data [1, 3, H, W] and label [1, 1, H, W], class ids or 255.
    With TRAIN.ENABLE_CROP they are a random part of CROP_HEIGHT x CROP_WIDTH at a scale drawn from
    RANDOM_SCALE; where the frame is smaller, it is padded with zeros, ignored in the label.

    Args:
        record: SegRecord of the frame.
        read_label: function that reads its label map, uint8 [H, W].
        cfg: the settings.
        rng: np.random.RandomState that everything is drawn from.
        with_reference: add data_ref and eq_flag [1], 1 where the frame is its own reference
            (stills, and an offset of 0).

    Raises:
        DataError: a file cannot be read or does not fit the others of its clip; names it.
    """
    images = [read_image(record.image)]
    if with_reference:
        reference = record.frame_path(rng.randint(cfg.TRAIN.MIN_OFFSET, cfg.TRAIN.MAX_OFFSET + 1))
        if reference != record.image:
            images.append(read_image(reference))
            if images[1].shape != images[0].shape:
                raise DataError('%s and %s belong to one clip but differ in size' % (record.image, reference))
    scales = _draw_scales(cfg, rng)
    images = [_prepare(image, record, scales, cfg) for image in images]
    label = _prepare(read_label(record), record, scales, cfg, interpolation=cv2.INTER_NEAREST, border=IGNORE_LABEL)
    size, window = label.shape, (slice(None), slice(None))
    if cfg.TRAIN.ENABLE_CROP:
        size = (cfg.TRAIN.CROP_HEIGHT, cfg.TRAIN.CROP_WIDTH)
        window = crop_window(label.shape, size, rng)
    tensors = [to_tensor(np.ascontiguousarray(image[window]), cfg.network.PIXEL_MEANS)
               for image in images]
    tensors = [pad(tensor, (1, 3) + size, 0) for tensor in tensors]
    label = pad(label[window].astype(np.float32)[None, None], (1, 1) + size, IGNORE_LABEL)
    sample = {'data': tensors[0], 'label': label}
    if with_reference:
        sample.update(data_ref=tensors[-1], eq_flag=np.array([len(images) == 1], np.float32))
    return sample


def crop_window(image_size, crop_size, rng):
    """Return the slices of rows and columns of a random window of an image.

    It is cut to the image where that is smaller. image_size and crop_size are (height, width); rng
    is a np.random.RandomState.
    """
    starts = [rng.randint(max(0, side - part) + 1) for side, part in zip(image_size, crop_size)]
    return tuple(slice(start, start + part) for start, part in zip(starts, crop_size))


def _draw_scales(cfg, rng):
    """SCALES times a factor drawn from TRAIN.RANDOM_SCALE; without a range nothing is drawn."""
    low, high = cfg.TRAIN.RANDOM_SCALE
    factor = rng.uniform(low, high) if low < high else low
    return tuple(max(1, int(round(side * factor))) for side in cfg.SCALES[0])


def _prepare(image, record, scales, cfg, **options):
    """A frame or label map of `record`, mirrored and scaled; options: those of `resize`."""
    return resize(image[:, ::-1] if record.flipped else image, scales, cfg.network.IMAGE_STRIDE, **options)[0]


class SegLoader(TrainLoader):
    """Batches for DeepLab or DFF-DeepLab.

    Args:
        records, read_label: from `load_segdb`.
        cfg, num_devices, workers: see TrainLoader.
        with_reference: add the inputs of DFF, see load_sample.
    """

    def __init__(self, records, read_label, cfg, num_devices, with_reference, workers=2):
        self.read_label, self.with_reference = read_label, with_reference
        data_names = ['data', 'data_ref', 'eq_flag'] if with_reference else ['data']
        super().__init__(records, cfg, num_devices, data_names, ['label'], workers)

    def make_device_batch(self, records, seeds):
        """See TrainLoader.

        Without crops, smaller images are padded at the right and the bottom, ignored in the label.
        """
        samples = [load_sample(record, self.read_label, self.cfg, np.random.RandomState(seed), self.with_reference)
                   for record, seed in zip(records, seeds)]
        size = tuple(np.max([sample['label'].shape[2:] for sample in samples], axis=0).tolist())
        for sample in samples:
            for name in ('data', 'data_ref', 'label'):
                if name in sample:
                    sample[name] = pad(sample[name], sample[name].shape[:2] + size,
                                       IGNORE_LABEL if name == 'label' else 0)
        return {name: np.concatenate([sample[name] for sample in samples]) for name in samples[0]}

    def max_shapes(self):
        """See TrainLoader."""
        train, stride = self.cfg.TRAIN, max(1, self.cfg.network.IMAGE_STRIDE)
        size = tuple(-(-side // stride) * stride for side in self.cfg.SCALES[0])
        if train.ENABLE_CROP:
            size = (train.CROP_HEIGHT, train.CROP_WIDTH)
        shapes = {name: (train.BATCH_IMAGES, 3) + size for name in ('data', 'data_ref')}
        shapes['eq_flag'] = (train.BATCH_IMAGES,)
        return {name: shapes[name] for name in self.data_names}, {'label': (train.BATCH_IMAGES, 1) + size}
