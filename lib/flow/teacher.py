"""Flow between real frames by a teacher: OpenCV's DIS from frame to frame, chained.

DIS (Kroeger et al., arXiv 1603.03590) finds the small motion from one frame to the next far better
than the large one over nine frames; so the flow over a distance is that of its steps, each fetched
along the steps before. Where the way back does not end where the way there began, or at something
of other brightness, something is hidden: the flow is not known there.
"""

import cv2
import numpy as np

from lib.flow.pairs import weighted_mean

FINE, GRID = 2, 4  # pixels for one value of the flow: of the steps, and of what is kept
# The way there and back may miss by this: squared pixels, and the share of the squared lengths
# (Meister et al., arXiv 1711.07837, section 3).
SLACK, SLACK_SHARE = 0.5, 0.01
ALIKE = 25  # grey levels that both ends may differ by


def window_flows(images):
    """Return the flow between the first frame and every other: float16 [n - 1, 2, h, w, 3].

    x, y in pixels and the weight, the share of pixels where it is known, on a grid of GRID pixels.
    [i, 0] leads from the first image to image i + 1, [i, 1] from there to the first.

    Args:
        images: consecutive frames in either order of time, n >= 2 BGR uint8 [H, W, 3] of one size.
    """
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in images]
    height, width = (-(-side // FINE) for side in grey[0].shape)
    points = np.empty((height, width, 2), np.float32)
    points[..., 0], points[..., 1] = np.arange(width), np.arange(height)[:, None]
    kept = tuple(-(-side // GRID) for side in grey[0].shape[::-1])
    # In cells of FINE pixels, so that values are at whole places.
    there = back = np.zeros_like(points)
    flows = []
    fine = [
        cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        for image in grey
    ]
    for last, this, seen in zip(grey, grey[1:], fine[1:]):
        steps = [
            cv2.resize(dis.calc(*pair, None), (width, height), interpolation=cv2.INTER_AREA)
            / np.float32(FINE)
            for pair in ((last, this), (this, last))
        ]
        there = there + fetch(steps[0], points + there)
        back = steps[1] + fetch(back, points + steps[1])
        flows.append(
            [
                np.concatenate(weighted_mean(_believed(*ways, points), kept), axis=2)
                for ways in ((there, back, fine[0], seen), (back, there, seen, fine[0]))
            ]
        )
    return np.array(flows, np.float16)


def fetch(values, at):
    """Return `values` [H, W, c] at the points `at`, float32 [h, w, 2]; those of the rim outside."""
    return cv2.remap(values, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _believed(flow, opposite, here, there, points):
    """`flow` in pixels times the weight, and the weight: 1 where it is believed.

    It ends in the image, where it is as bright, and `opposite` leads back. flow, opposite:
    [h, w, 2] in cells of FINE pixels; here, there: the grey images [h, w] that they lead between;
    points: x and y of each.
    """
    ends = points + flow
    back = fetch(opposite, ends)
    height, width = flow.shape[:2]
    missed, ahead, behind = (
        FINE**2 * (value**2).sum(axis=2) for value in (flow + back, flow, back)
    )
    x, y = ends[..., 0], ends[..., 1]
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    alike = np.abs(fetch(there, ends) - here) < ALIKE
    weight = (inside & alike & (missed < SLACK + SLACK_SHARE * (ahead + behind))).astype(
        np.float32
    )[..., None]
    return np.concatenate([FINE * weight * flow, weight], axis=2)
