"""Detections that take the whole clip (Seq-NMS), from the boxes of its frames before NMS."""
import itertools
import os
import time

import numpy as np

from dff.errors import DataError
from dff.results import Detected
from dff.tracking.seq_nms import MIN_SCORE
from lib.boxes.clip_boxes import ClipBoxes, SavedBoxes, Selection, select
from lib.inference.clip_results import format_detections, saved_clips


def selection_of(cfg, thresh):
    """Return the Selection by TEST of the settings; thresh: lowest score of a detection."""
    test = cfg.TEST
    rescore = test.SEQ_NMS_RESCORE if test.SEQ_NMS else None
    return Selection(rescore, test.NMS, test.max_per_image, thresh)


class WholeClip:
    """What comes of a clip after its end.

    Args:
        selection: a Selection.
        folder: as of ClipBoxes.
    """

    def __init__(self, selection, folder=None):
        # Boxes below the threshold of detections take part in Seq-NMS: a path may lift them.
        self.min_score = MIN_SCORE
        if selection.rescore is None:
            self.min_score = min(selection.thresh, MIN_SCORE)
        self._selection, self._folder = selection, folder

    def finish(self, results, images=None, save=None):
        """Yield a Detected for each frame, after all of `results` have come.

        The time that it took is shared among the frames, as a part of their post-processing.

        Args:
            results: iterable of Detected with the boxes before NMS above `min_score`.
            images: iterable of the frames' images; None: what is yielded has black ones, which take
                no memory.
            save: file for the boxes before NMS; None: do not.

        Raises DataError where a file cannot be written.
        """
        boxes, frames = ClipBoxes(self._folder), []
        try:
            for result in results:
                boxes.add(result.detections)
                frames.append((result.index, result.image.shape, result.is_key, result.seconds))
            if save is not None:
                boxes.save(save)
            start = time.perf_counter()
            chosen = list(select(boxes, self._selection))
            share = (time.perf_counter() - start) / max(1, len(frames))
        finally:
            boxes.close()
        pictures = itertools.repeat(None) if images is None else images
        for (index, shape, is_key, seconds), found, image in zip(frames, chosen, pictures):
            image = np.broadcast_to(np.uint8(0), shape) if image is None else image
            yield Detected(index, image, found, is_key, seconds._replace(post=seconds.post + share))


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
