"""Made-up boxes of one class of a clip, before NMS."""
import numpy as np


def moving_boxes(seed, frames, per_frame, ties=False, width=300):
    """(offsets, boxes, scores), arguments of seq_nms: boxes about tracks that move.

    Args:
        seed: of the random numbers.
        frames: of the clip; some may be empty.
        per_frame: boxes of a frame, at most.
        ties: equal boxes and scores occur.
        width: pixels in which the tracks begin.
    """
    rng = np.random.RandomState(seed)
    counts = rng.randint(0, per_frame + 1, frames)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    starts = rng.uniform(0, width, (max(1, per_frame // 4), 2))
    tracks, times = rng.randint(0, len(starts), offsets[-1]), np.repeat(np.arange(frames), counts)
    turns = np.sin(rng.uniform(0.01, 0.1, starts.shape)[tracks] * times[:, None])
    corners = starts[tracks] + 40 * turns + rng.randn(offsets[-1], 2) * 6
    boxes = np.hstack((corners, corners + rng.uniform(30, 60, corners.shape)))
    scores = 1e-3 + rng.uniform(0, 1, offsets[-1]) ** 3
    if ties:
        boxes, scores = boxes.round(-1), scores.round(1) + 0.01
    return offsets, boxes.astype(np.float32), scores.astype(np.float32).astype(np.float64)


def frames_of(offsets, boxes, scores, label=1):
    """The same as one float32 [n, 6] a frame: class, score, box."""
    rows = np.column_stack((np.full(len(scores), label), scores, boxes)).astype(np.float32)
    return np.split(rows, offsets[1:-1])
