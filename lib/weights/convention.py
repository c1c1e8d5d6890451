"""How a network wants its images, and a first layer made for one convention turned into one for another."""
from collections import namedtuple

import numpy as np

# order: of the channels, 'rgb' or 'bgr'; means, stds: of pixels from 0 to 255, listed blue, green,
# red: the network sees (pixel - mean) / std. means None: those of each image, which no setting can
# express; they count as PIXEL_MEANS.
Convention = namedtuple('Convention', 'order means stds')

PIXEL_MEANS = (103.06, 115.90, 123.15)         # the default of network.PIXEL_MEANS, those of MSRA's ResNets
IMAGENET_MEANS = (103.53, 116.28, 123.675)     # 255 x (0.406, 0.456, 0.485)
IMAGENET_STDS = (57.375, 57.12, 58.395)        # 255 x (0.225, 0.224, 0.229)
ONE = (1.0, 1.0, 1.0)
BYTE = (255.0, 255.0, 255.0)


def in_order(values, order):
    """Values listed blue, green, red, in the channel order `order`; float64 [3]."""
    return np.asarray(values, np.float64)[::-1 if order == 'rgb' else 1]


def first_layer(weight, convention, means, unit=1.0):
    """Return the first convolution for images (RGB pixel - mean) / unit: (weight, shift).

    shift [O] is what the difference of the means adds to every output; it is exact but for the
    border, where the zeros of the padding now stand for our means.

    Args:
        weight: [O, 3 k, h, w], k images one after the other.
        convention: the Convention that it was trained with.
        means: ours, listed blue, green, red.
        unit: see above.
    """
    groups = weight.astype(np.float64).reshape(weight.shape[0], -1, 3, *weight.shape[2:])
    if convention.order == 'bgr':
        groups = groups[:, :, ::-1]
    groups = groups * (unit / in_order(convention.stds, 'rgb')).reshape(1, 1, 3, 1, 1)
    if convention.means is None:
        shift = np.zeros(weight.shape[0])
    else:
        offset = (in_order(means, 'rgb') - in_order(convention.means, 'rgb')) / unit
        shift = (groups * offset.reshape(1, 1, 3, 1, 1)).sum(axis=(1, 2, 3, 4))
    return groups.reshape(weight.shape).astype(np.float32), shift


def network_input(image, convention, means, pad):
    """Return an image as a foreign network sees it, float64 [1, 3, H + 2 pad, W + 2 pad].

    The border is filled with `means`, as in our networks, where zeros of the padding stand for
    them.

    Args:
        image: [H, W, 3], BGR pixels, any float.
        convention: the Convention of the network.
        means: ours, listed blue, green, red.
        pad: width of the border in pixels.
    """
    own = means if convention.means is None else convention.means
    padded = np.empty((image.shape[0] + 2 * pad, image.shape[1] + 2 * pad, 3))
    padded[:] = means
    padded[pad:pad + image.shape[0], pad:pad + image.shape[1]] = image
    normalised = (padded - own) / np.asarray(convention.stds)
    return normalised[:, :, ::-1 if convention.order == 'rgb' else 1].transpose(2, 0, 1)[None]
