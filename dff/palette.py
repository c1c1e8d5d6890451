"""Colours of classes."""
import numpy as np


def default_palette(num_classes):
    """Colours for classes without their own, uint8 [num_classes, 3] RGB: those of PASCAL VOC, where class 0 is black.

    The bits of a class's number, three at a time from the lowest, are the bits of red, green and blue from the highest.
    """
    palette = np.zeros((num_classes, 3), np.uint8)
    for index in range(num_classes):
        for place in range(8):
            for channel in range(3):
                palette[index, channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
    return palette
