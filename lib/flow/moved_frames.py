"""Pairs made from a data set's own training images: an image, moved along a flow of our own.

They take the place of FlyingChairs (Dosovitskiy et al., arXiv 1504.06852) where the flow network shall learn the very
textures and objects that it will see.
"""
import cv2
import numpy as np

from lib.flow.pairs import Pair
from dff.image import read_image, resize


class MovedFrames:
    """A source of pairs: images of `roidb` in the size of config.SCALES, moved by up to
    `largest_motion` of their pixels.
    """

    def __init__(self, roidb, config, largest_motion):
        self.roidb, self.size, self.largest_motion = roidb, config.SCALES[0], largest_motion

    def __call__(self, rng):
        record = self.roidb[rng.randint(len(self.roidb))]
        image = read_image(record.image)
        image, scale = resize(image[:, ::-1] if record.flipped else image, self.size)
        fitted = np.zeros(tuple(self.size) + (3,), np.uint8)           # smaller images are padded
        fitted[:image.shape[0], :image.shape[1]] = image[:self.size[0], :self.size[1]]
        current, flow = moved_pair(fitted, record.boxes * scale, self.largest_motion, rng)
        return Pair(current, fitted, flow)


def moved_pair(image, boxes, largest_motion, rng):
    """Return (current image, flow [H, W, 2]) with current(x) = image(x + flow(x)).

    The background pans, turns and zooms a little; the regions of `boxes` and a few random ellipses
    move on their own.

    Args:
        image: BGR uint8 [H, W, 3].
        boxes: [n, 4], x1 y1 x2 y2 in its pixels.
        largest_motion: length in pixels of the motion of a region at most; of the pan half of it.
        rng: np.random.RandomState.
    """
    height, width = image.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    flow = np.empty((height, width, 2), np.float32)
    pan, turn, zoom = _motion(largest_motion / 2, rng), rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03)
    flow[..., 0] = pan[0] + zoom * (x - width / 2) - turn * (y - height / 2)
    flow[..., 1] = pan[1] + zoom * (y - height / 2) + turn * (x - width / 2)
    for x1, y1, x2, y2 in boxes:
        radius = 0.55 * (x2 - x1 + 1), 0.55 * (y2 - y1 + 1)
        _move_ellipse(flow, ((x1 + x2) / 2, (y1 + y2) / 2), radius, _motion(largest_motion, rng))
    for _ in range(rng.randint(3)):
        centre, radius = rng.uniform(0, (width, height)), rng.uniform(15, height / 3.0, 2)
        _move_ellipse(flow, centre, radius, _motion(largest_motion, rng))
    current = cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    # Even noise from bytes, with a deviation of 3 grey levels: a twentieth of the time of normal noise.
    noise = rng.randint(0, 256, image.shape, np.uint8) - np.float32(127.5)
    noise *= np.float32(3 * 12 ** 0.5 / 256)
    noise += current * np.float32(rng.uniform(0.92, 1.08))
    return np.clip(noise, 0, 255, out=noise).astype(np.uint8), flow


def _move_ellipse(flow, centre, radius, motion):
    """Set the flow inside an ellipse, centre and radius (x, y) in pixels, to `motion`."""
    left, top = (max(0, int(at - by)) for at, by in zip(centre, radius))
    right, bottom = (max(0, min(size, int(at + by) + 2)) for at, by, size in zip(centre, radius, flow.shape[1::-1]))
    y, x = np.ogrid[top:bottom, left:right]
    flow[top:bottom, left:right][((x - centre[0]) / radius[0]) ** 2 + ((y - centre[1]) / radius[1]) ** 2 < 1] = motion


def _motion(largest, rng):
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0, largest)
    return np.array([np.cos(angle), np.sin(angle)], np.float32) * np.float32(length)
