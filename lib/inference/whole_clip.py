"""Detections that take the whole clip (Seq-NMS) by the settings, and from the boxes that a test saved."""
import os

from dff.errors import DataError
from dff.tracking.clip_boxes import SavedBoxes, Selection
from dff.tracking.whole_clip import WholeClip
from lib.boxes.seq_nms import select
from lib.inference.clip_results import format_detections, saved_clips


def selection_of(cfg, thresh):
    """Return the Selection by TEST of the settings; thresh: lowest score of a detection."""
    test = cfg.TEST
    rescore = test.SEQ_NMS_RESCORE if test.SEQ_NMS else None
    return Selection(rescore, test.NMS, test.max_per_image, thresh)


def whole_clip_of(cfg, thresh, folder=None):
    """Return the WholeClip by TEST of the settings `cfg`; thresh: lowest score of a detection, folder: as of
    ClipBoxes.
    """
    return WholeClip(selection_of(cfg, thresh), folder, select)


def write_saved(folder, num_classes, selection, stream):
    """Write the detections that `selection` makes of boxes that a test with TEST.SAVE_RAW saved.

    Args:
        folder: of the test run.
        num_classes: with the background.
        selection: a Selection.
        stream: text file for lines as of a detections file.

    Raises DataError where `folder` is a file, holds no test run, or one whose boxes were not saved.
    """
    remedy = ("its detections are those after NMS, the boxes before it are gone; test again with "
              "--set TEST.SAVE_RAW=true and give the test's folder")
    if not os.path.isdir(folder):
        raise DataError('%s is %s: %s' % (
            folder, 'a detections file' if os.path.isfile(folder) else 'not there', remedy))
    clips = list(saved_clips(folder))
    if not clips:
        raise DataError('%s holds no finished clips of a test run' % folder)
    for first_number, length, path in clips:
        if path is None:
            raise DataError('%s: %s' % (folder, remedy))
        for index, found in enumerate(select(SavedBoxes(path, length, num_classes), selection)):
            stream.write(format_detections(first_number + index, found))
