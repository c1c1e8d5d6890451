"""Files as users have them: turned by EXIF, cut short, with holes, in other encodings."""

import struct

import cv2
import numpy as np


def with_orientation(jpeg, orientation):
    """The bytes of a JPEG file with an EXIF orientation put in."""
    entry = struct.pack('>HHIHH', 0x112, 3, 1, orientation, 0)
    exif = b'Exif\0\0' + b'MM\0*' + struct.pack('>IH', 8, 1) + entry + struct.pack('>I', 0)
    return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif + jpeg[2:]


def turn_file(path, orientation):
    """Put an EXIF orientation into the JPEG file at `path`."""
    path.write_bytes(with_orientation(path.read_bytes(), orientation))


def stray_bytes(path, count=19):
    """Put bytes before the end marker of a JPEG file: it decodes, with a warning."""
    data = path.read_bytes()
    assert data.endswith(b'\xff\xd9')
    path.write_bytes(data[:-2] + b'\x11' * count + data[-2:])


def picture(t, height=48, width=80):
    """Frame t: grey value 4 t, the upper left corner white."""
    image = np.full((height, width, 3), 4 * t, np.uint8)
    image[: height // 4, : width // 4] = 255
    return image


def write_video(path, frames, code='MJPG', fps=25):
    """Write a video of `frames` frames; returns its path as text."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, (80, 48))
    for t in range(frames):
        writer.write(picture(t))
    writer.release()
    return str(path)


def hole_in(path, first, last):
    """Overwrite frames first .. last of an AVI file of MJPG: their bytes are no JPEG any more."""
    data = bytearray(path.read_bytes())
    end, starts = data.find(b'idx1'), [data.find(b'00dc', data.find(b'movi'))]
    while starts[-1] >= 0:
        starts.append(data.find(b'00dc', starts[-1] + 4, end))
    for index in range(first, last + 1):
        size = struct.unpack('<I', data[starts[index] + 4 : starts[index] + 8])[0]
        data[starts[index] + 8 : starts[index] + 8 + size] = b'\x55' * size
    path.write_bytes(bytes(data))


def cut_video(path, frame):
    """Cut an AVI file of MJPG off behind so many frames; its head still declares all."""
    data, at = path.read_bytes(), 0
    for _ in range(frame + 1):
        at = data.find(b'00dc', at + 4)
    path.write_bytes(data[:at])


def turn_video(path):
    """Put a display matrix into an .mp4 file that turns it by 90 degrees."""
    data = bytearray(path.read_bytes())
    plain = struct.pack('>9i', 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    at = data.index(plain, data.index(b'tkhd'))
    data[at : at + 36] = struct.pack('>9i', 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    path.write_bytes(bytes(data))
