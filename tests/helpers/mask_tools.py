"""What the tests of imported masks share."""
import cv2
import numpy as np
from PIL import Image

from lib.config.config import update_from_file
from lib.config.defaults import segmentation_defaults
from lib.dataset.check.check_seg import check_segmentation
from lib.dataset.importers.importer import import_dataset
from lib.dataset.importers.model import Options
from lib.dataset.registry import get_dataset

HEIGHT, WIDTH = 8, 12


def picture(path, height=HEIGHT, width=WIDTH):
    """Write a grey image; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imencode(path.suffix, np.full((height, width, 3), 90, np.uint8))[1].tofile(str(path))
    return path


def mask(path, pixels, mode='RGB', palette=None):
    """Write a label PNG: pixels, uint8 [H, W] or [H, W, 3]; palette: [n, 3] for mode P."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    if mode == 'P':
        image.putpalette(np.asarray(palette, np.uint8).ravel().tolist())
    image.save(str(path))
    return path


def squares(*values, height=HEIGHT, width=WIDTH):
    """uint8 [H, W] whose columns are cut into equal stripes of `values`, the last the widest."""
    step = width // len(values)
    columns = np.minimum(np.arange(width) // step, len(values) - 1)
    return np.tile(np.array(values, np.uint8)[columns], (height, 1))


class ImportedMasks:
    """An imported data set, seen through the project's own reader."""

    def __init__(self, path, lines):
        self.path, self.lines = path, lines
        self.classes = (path / 'classes.txt').read_text(encoding='utf-8').splitlines()
        self.names = [' '.join(line.split(' ')[:-3]) for line in self.classes]

    def config(self, task='deeplab'):
        """The settings that the import wrote."""
        cfg = segmentation_defaults()
        update_from_file(cfg, str(self.path / ('%s_%s.yaml' % (self.path.name, task))))
        return cfg

    def labels(self, image_set='train'):
        """{frame below the image set: label map} of its labelled frames."""
        dataset = get_dataset(self.config(), image_set, 'segmentation')
        return {dataset.name_of(record.image).split('/', 1)[1]: dataset.read_label(record)
                for record in dataset.find_records()}

    def clips(self, image_set='train'):
        """[frames of each clip]."""
        records = get_dataset(self.config(), image_set, 'segmentation').find_records()
        return sorted({id(record.frames): len(record.frames) for record in records}.values())

    def problems(self):
        """{kind: number} of what tools/check_dataset.py finds, with every picture decoded."""
        return dict(check_segmentation(self.config(), decode=True, workers=1).problems.counts)

    def said(self, text):
        """Whether a line of the summary holds `text`."""
        return any(text in line for line in self.lines)


def import_masks(format_name, src, dst, **options):
    """Import and return the ImportedMasks."""
    return ImportedMasks(dst, import_dataset(format_name, str(src), str(dst), Options(**options)))
