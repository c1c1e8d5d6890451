"""Pairs of images for the tests of the flow network."""
import cv2
import numpy as np

from lib.flow.chairs import FLO_TAG
from lib.flow.pairs import Pair

SIZE = (64, 96)
MOTION = np.array([[1.02, -0.03, 5], [0.04, 0.97, -3], [0, 0, 1]])


def smooth_pair(motion, size=(120, 160)):
    """A smooth texture and the same moved by the affine `motion` [3, 3], with its exact flow."""
    y, x = np.mgrid[0:size[0], 0:size[1]].astype(np.float64)

    def texture(x, y):
        return np.stack([127 + 60 * np.sin(x / 9 + y / 14 + k) + 40 * np.cos(y / 7 - x / 25) for k in range(3)], axis=2)
    back = np.linalg.inv(motion)
    reference = texture(back[0, 0] * x + back[0, 1] * y + back[0, 2], back[1, 0] * x + back[1, 1] * y + back[1, 2])
    flow = np.stack([(motion[0] - [1, 0, 0]) @ np.stack([x, y, np.ones_like(x)]).reshape(3, -1),
                     (motion[1] - [0, 1, 0]) @ np.stack([x, y, np.ones_like(x)]).reshape(3, -1)],
                    axis=1).reshape(size + (2,))
    return Pair(texture(x, y).astype(np.uint8), reference.astype(np.uint8), flow.astype(np.float32))


def write_flo(path, flow):
    """Write flow [H, W, 2] as a .flo file."""
    flow = np.asarray(flow, '<f4')
    size = np.array(flow.shape[1::-1], '<i4')
    path.write_bytes(np.float32(FLO_TAG).astype('<f4').tobytes() + size.tobytes() + flow.tobytes())


def write_chairs(folder, pairs):
    (folder / 'data').mkdir(parents=True)
    for number, pair in enumerate(pairs, start=1):
        for name, image in (('img1', pair.current), ('img2', pair.reference)):
            cv2.imwrite(str(folder / 'data' / ('%05d_%s.ppm' % (number, name))), image)
        write_flo(folder / 'data' / ('%05d_flow.flo' % number), pair.flow)
    return folder
