"""How far a frame's boxes lie from their objects in the key frame, by the flow inside them."""
import numpy as np

STRIDE = 16     # pixels of the network's input for a cell of the feature map, where a model does not say


def box_displacements(boxes: np.ndarray, flow: np.ndarray, scale: float, stride: int = STRIDE) -> np.ndarray:
    """Return how far, right and down, each box moves along the flow: float64 [n, 2], pixels of the frame.

    The median in the middle half of the box, which holds less of the background than its rim does.

    Args:
        boxes: [n, 4] x1 y1 x2 y2 in pixels of the frame.
        flow: float32 [2, h, w], cells, from this frame to its key frame: what lies at cell (x, y)
            here lies at (x + flow[0], y + flow[1]) there.
        scale: from the frame to the network's input.
        stride: pixels of that for a cell.
    """
    boxes = np.asarray(boxes, np.float64)
    quarter = (boxes[:, 2:] - boxes[:, :2]) / 4
    inner = np.hstack([boxes[:, :2] + quarter, boxes[:, 2:] - quarter]) * scale / stride
    height, width = flow.shape[1:]
    last = np.array([width, height, width, height]) - 1
    cells = np.clip(np.floor(inner), 0, last).astype(int)
    found = np.zeros((len(boxes), 2))
    for row, (left, top, right, bottom) in enumerate(cells.tolist()):
        inside = flow[:, top:bottom + 1, left:right + 1].reshape(2, -1)
        if inside.size:
            found[row] = np.median(inside, axis=1)
    return found * stride / scale
