"""Whole data sets of one frame for benchmarks/fuzz_targets.py."""
import os

from lib.config.defaults import detection_defaults, segmentation_defaults
from lib.dataset.check.check import check
from lib.dataset.check.check_seg import check_segmentation
from lib.dataset.roidb import load_roidb


def check_frame(path, image, xml):
    """Check and load a data set of one frame: `image` and `xml`, but for what the ending of `path`
    says is in that file.
    """
    root = os.path.join(os.path.dirname(path), 'set')
    files = {
        'ImageSets/DET_x.txt': b's 1\n',
        'Data/DET/s.JPEG': image,
        'Annotations/DET/s.xml': xml,
    }
    own = {
        '.txt': 'ImageSets/DET_x.txt',
        '.JPEG': 'Data/DET/s.JPEG',
        '.xml': 'Annotations/DET/s.xml',
    }[os.path.splitext(path)[1]]
    with open(path, 'rb') as stream:
        files[own] = stream.read()
    _write_files(root, files)
    cfg = detection_defaults()
    cfg.dataset.update(
        dataset_path=root,
        root_path=root,
        image_set='DET_x',
        test_image_set='DET_x',
        CLASSES=['n02691156', 'dog'],
        NUM_CLASSES=3,
    )
    check(cfg, workers=1).lines()
    load_roidb(cfg)


def check_label(path, image):
    """Check a segmentation data set of one still, `image`, whose label map is `path`."""
    root = os.path.join(os.path.dirname(path), 'set')
    with open(path, 'rb') as stream:
        _write_files(root, {'train/a.png': image, 'trainannot/a.png': stream.read(),
                            'classes.txt': b'a\nb\nc\nd\ne\n'})
    cfg = segmentation_defaults()
    cfg.dataset.update(
        dataset='SegFolder',
        dataset_path=root,
        image_set='train',
        test_image_set='train',
        NUM_CLASSES=5,
    )
    check_segmentation(cfg, workers=1).lines()


def _write_files(root, files):
    for name, content in files.items():
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        with open(os.path.join(root, name), 'wb') as stream:
            stream.write(content)
