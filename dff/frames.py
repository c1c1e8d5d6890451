"""A frame made ready for a network."""
from typing import NamedTuple, Sequence, Tuple

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


def largest_input(form: InputFormat) -> Tuple[int, int]:
    """Return (height, width) of the largest network input that `form` allows, for a frame that lies."""
    stride = max(1, form.stride)
    height, width = (-(-side // stride) * stride for side in form.scales)
    return height, width
