"""Weights of the native int8 operators, and scales of bytes; the maths: lib/operator_cxx/int8/README.md."""
from collections import namedtuple

import numpy as np

GROUP, PANEL = 4, 32          # channels and filters side by side, as in lib/operator_cxx/int8/product.h
BLOCK = 16                    # channels of a bin side by side, as in features.h
LARGEST_DEPTH = 1 << 16       # products of a sum, as in op.cc
# Of the ends of ranges, and of what lies between them, less than which is 0: the factor between two scales, or of the
# square of one and another, is then one that the operators take.
LARGEST, SMALLEST = 1e9, 1e-12
# Rows, or columns, of a 4x4 kernel that meet the places y - 1 and y of the input in row 2 y of a
# deconvolution of stride 2, and the places y and y + 1 in row 2 y + 1.
TAPS = ((3, 1), (2, 0))

# A byte stands for (byte - zero) * scale.
Scale = namedtuple('Scale', 'scale zero')
# int8 weight, float32 scale and shift of a native layer.
Packed = namedtuple('Packed', 'weight scale shift')


def scale_of(low, high):
    """Return the Scale whose bytes reach from `low` to `high`, and hold 0 exactly: those below SMALLEST stand for 0."""
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < SMALLEST:
        low, high = 0.0, 255.0
    scale = (high - low) / 255
    return Scale(scale, int(round(-low / scale)))


def convolution(weight, bias, given, made):
    """Return the Packed parameters of a convolution.

    Args:
        weight: [filters, channels, rows, columns].
        bias: [filters].
        given: Scale of the map.
        made: Scale of the result; None: it is not in bytes.
    """
    steps = _steps(weight, 0)
    rounded = _rounded(weight, steps, 0)
    return _packed([rounded], bias, steps, given, made)


def deconvolution(weight, bias, given, made):
    """Return the Packed parameters of a 4x4 deconvolution of stride 2.

    Args:
        weight: [channels, filters, 4, 4].
        bias, given, made: as of `convolution`.
    """
    steps = _steps(weight, 1)
    rounded = _rounded(weight, steps, 1).transpose(1, 0, 2, 3)
    phases = [rounded[:, :, rows][:, :, :, columns] for rows in TAPS for columns in TAPS]
    return _packed(phases, bias, steps, given, made)


def pooled_scores(weight, given):
    """Return the Packed parameters of scores of regions, without their biases.

    Args:
        weight: [bins, outputs, channels].
        given: Scale of the map.
    """
    bins, outputs, channels = weight.shape
    wide = np.zeros((bins, outputs, -(-channels // BLOCK) * BLOCK), np.float32)
    wide[:, :, :channels] = weight
    # As a convolution: a block's channels at each "row" of blocks and each "column" of bins.
    blocks = wide.reshape(bins, outputs, -1, BLOCK).transpose(1, 3, 2, 0)
    return convolution(blocks, np.zeros(outputs), given, None)


def _steps(weight, axis):
    """What one step of each filter's int8 weights stands for."""
    others = tuple(each for each in range(4) if each != axis)
    return np.maximum(abs(weight.astype(np.float64)).max(axis=others), 1e-20) / 127


def _rounded(weight, steps, axis):
    shape = [-1 if each == axis else 1 for each in range(4)]
    return np.round(weight / steps.reshape(shape)).astype(np.int8)


def _packed(phases, bias, steps, given, made):
    unit = given.scale * steps / (made.scale if made else 1.0)
    offset = bias.astype(np.float64) / (made.scale if made else 1.0)
    sums = [phase.sum(axis=(1, 2, 3), dtype=np.int64) for phase in phases]
    shift = np.stack([offset - given.zero * each * unit for each in sums]).astype(np.float32)
    return Packed(np.stack([_panels(phase) for phase in phases]), unit.astype(np.float32),
                  shift if len(phases) > 1 else shift[0])


def _panels(weight):
    """[filters, channels, rows, columns] as int8 [panels, rows * columns * width / GROUP, PANEL, GROUP]; width: the
    channels of the map, to the next multiple of GROUP.
    """
    filters, channels, rows, columns = weight.shape
    width = -(-channels // GROUP) * GROUP
    wide = np.zeros((-(-filters // PANEL) * PANEL, rows, columns, width), np.int8)
    wide[:filters, :, :, :channels] = weight.transpose(0, 2, 3, 1)
    parts = wide.reshape(-1, PANEL, rows * columns * width // GROUP, GROUP)
    return np.ascontiguousarray(parts.transpose(0, 2, 1, 3))
