"""Pictures of flow: the field in colours, samples in rows, the curve of a training run."""
import cv2
import numpy as np

from dff.files import atomic_path

GAP = 4     # pixels between the pictures of a row


def flow_colours(flow, largest):
    """Flow [H, W, 2] as BGR uint8 [H, W, 3]: the direction is the hue, the length the saturation; white stands still.

    largest: length, pixels, of full saturation.
    """
    length, angle = cv2.cartToPolar(np.ascontiguousarray(flow[..., 0]),
                                    np.ascontiguousarray(flow[..., 1]), angleInDegrees=True)
    hsv = np.empty(flow.shape[:2] + (3,), np.uint8)
    hsv[..., 0] = (angle / 2) % 180
    hsv[..., 1] = np.clip(255 * length / max(largest, 1e-6), 0, 255)
    hsv[..., 2] = 255
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def sample_rows(pairs, methods):
    """One picture, BGR uint8: a row for each Pair of its two images, the true flow and that of
    each method of `methods`.
    """
    rows = []
    for pair in pairs:
        largest = np.linalg.norm(pair.flow, axis=2).max()
        cells = [pair.current, pair.reference, flow_colours(pair.flow, largest)]
        cells += [flow_colours(method(pair.current, pair.reference), largest) for method in methods]
        rows.append(np.concatenate([cv2.copyMakeBorder(cell, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255))
                                    for cell in cells], axis=1))
    return np.concatenate(rows)


def write_picture(path, image):
    """Write a BGR image, aside and renamed."""
    with atomic_path(path) as temporary:
        cv2.imwrite(temporary, image)


def plot_curve(records, path):
    """The Records of lib.flow.trainer.train_flow, trained with held-out pairs, as a picture."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(6, 3.6))
    axes.plot([record.batch for record in records],
              [record.error / record.zero for record in records], label='training pairs')
    measured = [record for record in records if record.validation is not None]
    axes.plot([record.batch for record in measured], [record.validation for record in measured],
              'o-', label='held-out pairs')
    axes.axhline(1, color='grey', linestyle=':', label='zero flow')
    axes.set(xlabel='batches', ylabel='end-point error / that of zero flow', ylim=(0, 1.1))
    axes.legend()
    axes.grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, bbox_inches='tight')
    plt.close(figure)
