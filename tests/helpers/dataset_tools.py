"""Small data sets in the ILSVRC2015 layout, made for a test."""
import cv2
import numpy as np

from lib.config.defaults import detection_defaults

HEIGHT, WIDTH = 40, 60


def object_xml(name, x1, y1, x2, y2, extra=''):
    """An <object> with nothing but what is needed."""
    return ('<object><name>%s</name>'
            '<bndbox><xmin>%s</xmin><ymin>%s</ymin><xmax>%s</xmax><ymax>%s</ymax></bndbox>%s</object>'
            % (name, x1, y1, x2, y2, extra))


def annotation(*objects, size='<size><width>%d</width><height>%d</height></size>' % (WIDTH, HEIGHT)):
    """An annotation's text."""
    return '<annotation>%s%s</annotation>' % (size, ''.join(objects))


class DatasetFolder:
    """A folder that fills up with image sets, images and annotations."""

    def __init__(self, path):
        self.path = path
        (path / 'ImageSets').mkdir(parents=True)

    def image_set(self, name, *lines):
        """Write an image set; returns its file."""
        file = self.path / 'ImageSets' / (name + '.txt')
        file.write_text(''.join(line + '\n' for line in lines), encoding='utf-8')
        return file

    def image(self, tree, path, xml, height=HEIGHT, width=WIDTH):
        """Write an image and its annotation; returns the annotation's file."""
        image = self.path / 'Data' / tree / (path + '.JPEG')
        image.parent.mkdir(parents=True, exist_ok=True)
        cv2.imencode('.jpg', np.zeros((height, width, 3), np.uint8))[1].tofile(str(image))
        file = self.path / 'Annotations' / tree / (path + '.xml')
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(xml, encoding='utf-8')
        return file

    def config(self, image_set, classes=('cat', 'dog')):
        """Settings that point here."""
        cfg = detection_defaults()
        cfg.dataset.dataset_path, cfg.dataset.root_path = str(self.path), str(self.path.parent / 'root')
        cfg.dataset.image_set, cfg.dataset.CLASSES, cfg.dataset.NUM_CLASSES = image_set, list(classes), len(classes) + 1
        return cfg
