"""The worst frames of a test, with what was there and what was found drawn in."""
import base64
from collections import Counter
from typing import List

import cv2
import numpy as np

from dff.drawing import draw_boxes
from dff.errors import DataError
from dff.image import read_image
from lib.evaluation.outcomes import HIT, KINDS
from lib.report.facts import Facts
from lib.report.html_parts import link, text

APART, A_CLIP = 15, 3                  # frames between two chosen ones of a clip; chosen of a clip
WIDTH, QUALITY = 700, 70               # pixels at most; of JPEG
FOUND, DETECTED, MISSED, WRONG = (60, 200, 60), (200, 255, 200), (60, 60, 235), (0, 165, 255)     # BGR


def worst(facts: Facts, count: int) -> List[int]:
    """Return the frames, places in truth.frames, with the most misses and wrong detections.

    Neighbouring frames look alike: at most 3 of a clip are chosen, at least 15 frames apart; more of
    a clip only where others have no error.
    """
    trouble = facts.chosen.missed + facts.chosen.wrong
    order = [i for i in np.argsort(-trouble, kind='stable').tolist() if trouble[i]]
    for most in (A_CLIP, len(order)):
        taken: List[int] = []
        of_clip: Counter = Counter()
        for i in order:
            clip, number = int(facts.clip_of[i]), int(facts.truth.frames[i])
            near = of_clip[clip] and any(facts.clip_of[j] == clip and abs(int(facts.truth.frames[j]) - number) < APART
                                         for j in taken)
            if of_clip[clip] < most and not near:
                taken.append(i)
                of_clip[clip] += 1
            if len(taken) >= count:
                return taken[:count]
    return taken


def pictures(facts: Facts, count: int, page: str) -> List[str]:
    """Return `count` of the worst frames as embedded JPEG files that link to the frames.

    facts: of the test; page: path of the report. A frame that cannot be read is named instead.
    """
    parts = ['<h2>The worst frames</h2><p class="note"><b style="color:#4a4">Green</b>: an object that was found '
             '(pale: its detection). <b style="color:#d33">Red</b>: one that was missed. '
             '<b style="color:#d80">Orange</b>: a wrong detection, with its score and kind of error. Detections with '
             'a score of %.4g and more; at most %d frames of a clip, %d apart.</p>'
             % (facts.chosen.score, A_CLIP, APART)]
    for i in worst(facts, count):
        clip = facts.clips[facts.clip_of[i]]
        index = int(facts.truth.frames[i]) - clip.first_number
        path = clip.frame_path(index)
        caption = '%s, frame %d: %d missed, %d wrong' % (
            facts.names[facts.clip_of[i]], clip.first_frame + index, facts.chosen.missed[i], facts.chosen.wrong[i])
        try:
            content = '<img alt="" src="data:image/jpeg;base64,%s">' % _encoded(_drawn(facts, i, read_image(path)))
        except DataError as error:
            content = '<span class="error">%s</span>' % text(error)
        parts.append('<figure>%s<figcaption>%s</figcaption></figure>' % (link(path, content, page), text(caption)))
    return parts


def _encoded(picture):
    jpeg = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return base64.b64encode(jpeg.tobytes()).decode('ascii')


def _drawn(facts: Facts, i: int, image: np.ndarray) -> np.ndarray:
    scale = min(1.0, WIDTH / image.shape[1])
    canvas = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image.copy()
    truth, chosen = facts.truth, facts.chosen
    boxes, texts, colours = [], [], []      # the last are drawn on top
    for c, own in enumerate(facts.outcomes.classes):
        for k in np.flatnonzero((own.frames == i) & (own.scores >= chosen.score))[::-1]:
            hit = own.kinds[k] == HIT
            boxes.append(own.boxes[k])
            texts.append([] if hit else _labels(facts, c, own, k))
            colours.append(DETECTED if hit else WRONG)
    for row in range(truth.offsets[i], truth.offsets[i + 1]):
        known = bool(chosen.found[row])
        boxes.append(truth.boxes[row])
        texts.append([] if known else [facts.classes[truth.classes[row]]])
        colours.append(FOUND if known else MISSED)
    draw_boxes(canvas, np.array(boxes, np.float64).reshape(-1, 4) * scale, texts, colours)
    return canvas


def _labels(facts, c, own, k):
    short = '%.2f %s' % (own.scores[k], KINDS[own.kinds[k]])
    return ['%s %s' % (facts.classes[c], short), short] if len(facts.classes) > 2 else [short]
