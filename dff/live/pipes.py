"""Frames from a byte stream, as standard input: JPEG images one after the other, or raw pixels."""
import re
from typing import BinaryIO, Iterator, Optional, Tuple

import cv2
import numpy as np

from dff.errors import DataError

BLOCK = 1 << 16
LARGEST = 1 << 26          # bytes of a JPEG image; more without an end is something else
START, END = b'\xff\xd8', b'\xff\xd9'


def raw_size(source: str) -> Optional[Tuple[int, int]]:
    """Return (width, height) of the source '-:WIDTHxHEIGHT'; None for '-'. Raises DataError for
    anything else.
    """
    if source == '-':
        return None
    found = re.fullmatch(r'-:([1-9]\d{0,4})x([1-9]\d{0,4})', source)
    if not found:
        raise DataError("standard input is - for JPEG images, or -:WIDTHxHEIGHT for raw BGR frames, as "
                        "-:640x480; found '%s'" % source)
    return int(found.group(1)), int(found.group(2))


def piped_frames(stream: BinaryIO, size: Optional[Tuple[int, int]]) -> Iterator[np.ndarray]:
    """Yield BGR uint8 frames; stream: to read; size: (width, height) of raw BGR frames, None for MJPEG.

    Raises DataError where the stream holds no frame, or ends within one.
    """
    return _raw(stream, *size) if size else _jpegs(stream)


def _raw(stream, width, height):
    length, count = width * height * 3, 0
    while True:
        data = stream.read(length)
        if not data and count:
            return
        if len(data) < length:
            raise DataError('standard input ended after %d of the %d bytes of frame %d, %dx%d raw BGR'
                            % (len(data), length, count, width, height))
        yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
        count += 1


def _jpegs(stream):
    data, count = bytearray(), 0
    while True:
        block = stream.read1(BLOCK) if hasattr(stream, 'read1') else stream.read(BLOCK)
        data += block
        while True:
            start = data.find(START)
            end = jpeg_end(data, start) if start >= 0 else None
            if end is None:
                break
            frame = cv2.imdecode(np.frombuffer(bytes(data[start:end]), np.uint8), cv2.IMREAD_COLOR)
            del data[:end]
            if frame is None:
                raise DataError('cannot decode frame %d of standard input: a damaged JPEG image' % count)
            yield frame
            count += 1
        if not block:
            break
        if len(data) > LARGEST:
            raise DataError('standard input holds no JPEG image in %d bytes; raw frames are read with '
                            '-:WIDTHxHEIGHT' % len(data))
    if not count:
        raise DataError('standard input held no JPEG image; raw frames are read with -:WIDTHxHEIGHT')


def jpeg_end(data: bytearray, start: int) -> Optional[int]:
    """Return where the JPEG image that begins at `start` of `data` ends; None where it goes on.

    Segments are skipped by their lengths, since a thumbnail in one of them is an image with an end
    of its own (ITU T.81, annex B).
    """
    at = start + 2
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF:
            break                                   # no JPEG; what follows may still hold an end
        if marker == 0xD9:
            return at + 2
        length = 0 if marker == 0xFF or 0xD0 <= marker <= 0xD7 else int.from_bytes(data[at + 2:at + 4], 'big')
        at += 1 if marker == 0xFF else 2 + length
        if marker == 0xDA:                          # the scan: an end cannot occur inside
            break
    else:
        return None
    # Progressive images have several scans; tables between them hold no end in practice.
    found = data.find(END, at)
    return None if found < 0 else found + 2
