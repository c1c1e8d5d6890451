"""Small segmentation data sets, made for a test."""
import os

import cv2
import numpy as np

from lib.config.defaults import segmentation_defaults

HEIGHT, WIDTH = 12, 20


def write(path, image):
    """Write a picture, uint8 [H, W] or BGR, in the format that the name says; returns the path as text."""
    path = str(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    cv2.imencode(os.path.splitext(path)[1], image)[1].tofile(path)
    return path


def frame(path, height=HEIGHT, width=WIDTH):
    """Write a grey frame."""
    return write(path, np.full((height, width, 3), 90, np.uint8))


def label(path, ids=((0,),), height=HEIGHT, width=WIDTH):
    """Write a label map that repeats `ids`."""
    ids = np.asarray(ids, np.uint8)
    return write(path, np.tile(ids, (height // ids.shape[0] + 1, width // ids.shape[1] + 1))[:height, :width])


def seg_config(name, path, num_classes, image_set='train', **dataset):
    """Settings for the data set `name` at `path`."""
    cfg = segmentation_defaults()
    cfg.dataset.update(dict(dataset, dataset=name, dataset_path=str(path), image_set=image_set,
                            NUM_CLASSES=num_classes))
    return cfg
