"""What the tests of the importers share: images, videos, and a look at what came out."""
import cv2
import numpy as np

from lib.config.config import update_from_file
from lib.config.defaults import detection_defaults
from lib.dataset.importers.importer import import_dataset
from lib.dataset.importers.model import Options
from lib.dataset.registry import get_dataset
from tests.helpers.dataset_tools import HEIGHT, WIDTH


def image(path, height=HEIGHT, width=WIDTH, grey=0):
    """Write a JPEG or PNG, by the extension; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imencode(path.suffix, np.full((height, width, 3), grey, np.uint8))[1].tofile(str(path))
    return path


def video(path, length, height=64, width=96):
    """Write a video whose frame i has the grey 20 * i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (width, height))
    for i in range(length):
        writer.write(np.full((height, width, 3), 20 * i, np.uint8))
    writer.release()
    return path


class Imported:
    """An imported data set, seen through the project's own reader."""

    def __init__(self, path, lines):
        self.path, self.lines = path, lines
        self.classes = (path / 'classes.txt').read_text(encoding='utf-8').splitlines()

    def config(self, task='rfcn'):
        """The settings that the import wrote."""
        cfg = detection_defaults()
        update_from_file(cfg, str(self.path / ('%s_%s.yaml' % (self.path.name, task))))
        cfg.dataset.root_path = str(self.path.parent / 'cache')
        return cfg

    def boxes(self, image_set):
        """{path below Data without extension: [(class, x1, y1, x2, y2)]} of an image set."""
        dataset = get_dataset(self.config(), image_set)
        def readable(record):
            return [(dataset.classes[c],) + tuple(round(float(v), 2) for v in box)
                    for c, box in zip(record.gt_classes, record.boxes)]
        return {entry.path: readable(record) for entry, record in zip(dataset.image_set.entries, dataset.gt_roidb())}

    def clips(self):
        """[(name, length)] of the clips to test."""
        return [(clip.name, clip.length) for clip in get_dataset(self.config(), 'VID_val_videos').clips()]

    def xml(self, path):
        """The text of an annotation."""
        return (self.path / 'Annotations' / (path + '.xml')).read_text(encoding='utf-8')

    def said(self, text):
        """Whether a line of the summary holds `text`."""
        return any(text in line for line in self.lines)


def run_import(format_name, src, dst, **options):
    """Import and return the Imported."""
    return Imported(dst, import_dataset(format_name, str(src), str(dst), Options(**options)))


GT = ('1,1,11,6,20,30,1,1,1', '2,1,12,6,20,30,1,3,1')


def mot_sequences(folder, *names, length=3):
    """MOT sequences."""
    for name in names:
        for i in range(1, length + 1):
            image(folder / name / 'img1' / ('%06d.jpg' % i))
        (folder / name / 'gt').mkdir()
        (folder / name / 'gt/gt.txt').write_text('\n'.join(GT) + '\n')
    return folder
