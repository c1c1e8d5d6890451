"""Tracks as MOT Challenge text: `frame,id,left,top,width,height,score,class,-1`, counted from 1."""
import numpy as np


def mot_lines(frame_number: int, detections: np.ndarray, ids: np.ndarray) -> str:
    """Return the lines of one frame, '' for none.

    Args:
        frame_number: from 1.
        detections: [n, 6]: class, score, x1, y1, x2, y2, inclusive corners that count from 0.
        ids: int [n]; what has none (0) is left out, -1 stays: nothing was tracked.
    """
    return ''.join('%d,%d,%.2f,%.2f,%.2f,%.2f,%.4f,%d,-1\n'
                   % (frame_number, track, x1 + 1, y1 + 1, x2 - x1 + 1, y2 - y1 + 1, score, label)
                   for (label, score, x1, y1, x2, y2), track in zip(detections.tolist(), ids.tolist()) if track)
