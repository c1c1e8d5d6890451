"""A frame made ready for a network, and frames that are made up."""
from typing import List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

from dff.image import resize, to_tensor


class InputFormat(NamedTuple):
    """What a network wants its images to be."""

    scales: Tuple[int, int]          # pixels: the shorter side becomes the first, the longer one at most the second
    stride: int                      # both sides are padded to multiples of it; 0: not
    pixel_means: Sequence[float]     # blue, green, red; taken off


class Frame(NamedTuple):
    """A frame and what a network sees of it."""

    image: np.ndarray      # BGR uint8 [H, W, 3]
    tensor: np.ndarray     # float32 [1, 3, h, w]: RGB minus means
    im_info: np.ndarray    # float32 [1, 3]: h, w, scale from `image` to `tensor`


def prepare(image: np.ndarray, form: InputFormat) -> Frame:
    """Scale and pad `image`, BGR uint8 [H, W, 3], to the InputFormat `form`, and return the Frame."""
    scaled, scale = resize(image, form.scales, form.stride)
    im_info = np.array([[scaled.shape[0], scaled.shape[1], scale]], np.float32)
    return Frame(image, to_tensor(scaled, form.pixel_means), im_info)


class Pass(NamedTuple):
    """One way in which a frame is shown to a network."""

    form: InputFormat
    mirrored: bool         # left and right change places


class Shown(NamedTuple):
    """A frame made ready for several passes; where one Frame is asked for, it is that of the first."""

    image: np.ndarray
    tensor: np.ndarray
    im_info: np.ndarray
    passes: Tuple[Pass, ...]
    frames: Tuple[Frame, ...]      # of each pass; the image of a mirrored one is mirrored, too


def prepare_passes(image: np.ndarray, passes: Sequence[Pass]) -> Shown:
    """Make `image`, BGR uint8 [H, W, 3], ready for each of the `passes`, at least one, the first not mirrored."""
    frames = tuple(prepare(np.ascontiguousarray(image[:, ::-1]) if each.mirrored else image, each.form)
                   for each in passes)
    return Shown(*frames[0], tuple(passes), frames)


def largest_input(form: InputFormat) -> Tuple[int, int]:
    """Return (height, width) of the largest network input that `form` allows, for a frame that lies."""
    stride = max(1, form.stride)
    height, width = (-(-side // stride) * stride for side in form.scales)
    return height, width


def made_up_clip(size: Tuple[int, int], length: int, seed: int = 0) -> List[np.ndarray]:
    """Return `length` frames, BGR uint8 [height, width, 3], of a pattern that moves.

    size: (height, width); seed: of the pattern.
    """
    height, width = size
    border = 8 * length
    noise = np.random.RandomState(seed).rand((height + border) // 4 + 1, (width + border) // 4 + 1, 3)
    smooth = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 2) - 0.5
    picture = cv2.resize(np.clip(smooth * 1200 + 128, 0, 255).astype(np.uint8), (width + border, height + border))
    return [np.ascontiguousarray(picture[4 * t:4 * t + height, 8 * t:8 * t + width]) for t in range(length)]
