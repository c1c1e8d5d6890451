"""What the native operators compute, in plain NumPy: float64, loops where they are clearest."""
import numpy as np

from dff.boxes import greedy_nms


def flow_warp(feature, flow, scale=None):
    """feature [1 or N, C, H, W], flow [N, 2, H, W], scale [N, C, H, W] -> float64 [N, C, H, W];
    zero outside the map."""
    feature, flow = np.asarray(feature, np.float64), np.asarray(flow, np.float64)
    height, width = feature.shape[2:]
    out = np.zeros((flow.shape[0], feature.shape[1], height, width))
    for n in range(flow.shape[0]):
        x, y = np.arange(width) + flow[n, 0], np.arange(height)[:, None] + flow[n, 1]
        for dy in (0, 1):
            for dx in (0, 1):
                u, v = np.floor(x) + dx, np.floor(y) + dy
                weight = (1 - abs(x - u)) * (1 - abs(y - v)) * ((u >= 0) & (u < width) & (v >= 0) & (v < height))
                u, v = (np.clip(a, 0, b - 1).astype(int) for a, b in ((u, width), (v, height)))
                out[n] += weight * feature[n if len(feature) > 1 else 0][:, v, u]
    return out if scale is None else out * scale


def correlation(current, reference, max_displacement):
    """current, reference [N, C, H, W] -> float64 [N, (2D + 1)^2, H, W]; zero outside the map."""
    current, reference, d = np.asarray(current, np.float64), np.asarray(reference, np.float64), max_displacement
    height, width = current.shape[2:]
    padded = np.pad(reference, ((0, 0), (0, 0), (d, d), (d, d)))
    planes = [(current * padded[:, :, y:y + height, x:x + width]).mean(axis=1) for y in range(2 * d + 1)
              for x in range(2 * d + 1)]
    return np.stack(planes, axis=1)


def psroi_pooling(data, rois, spatial_scale, output_dim, pooled_size, group_size):
    """data [N, D * G * G, H, W], rois [R, 5] -> float64 [R, D, P, P]; bins follow MXNet's float32 arithmetic."""
    height, width = data.shape[2:]
    out = np.zeros((len(rois), output_dim, pooled_size, pooled_size))
    for r, roi in enumerate(np.asarray(rois, np.float32)):
        if not -1 < roi[0] < len(data):
            continue
        rows, columns = (bins(roi[k], roi[k + 2], pooled_size, np.float32(spatial_scale), cells)
                         for k, cells in ((2, height), (1, width)))
        for i, (top, bottom) in enumerate(rows):
            for j, (left, right) in enumerate(columns):
                if bottom > top and right > left:
                    place = i * group_size // pooled_size * group_size + j * group_size // pooled_size
                    cells = data[int(roi[0]), place::group_size ** 2, top:bottom, left:right]
                    out[r, :, i, j] = cells.astype(np.float64).mean(axis=(1, 2))
    return out


def pooled_scores(data, rois, weight, bias, spatial_scale):
    """Each bin's mean of the channels times its weights, and its bias unless it is empty.

    data [N, C, H, W], rois [R, 5], weight [P * P, outputs, C], bias [P * P, outputs] -> float64 [R, outputs].
    """
    side = int(len(bias) ** 0.5)
    one = np.ones((len(data), 1) + data.shape[2:])
    covered, *means = [psroi_pooling(plane, rois, spatial_scale, 1, side, 1).reshape(len(rois), -1)
                       for plane in [one] + [data[:, c:c + 1] for c in range(data.shape[1])]]
    return np.einsum('crb,boc->ro', np.array(means), weight, optimize=True) + covered @ bias


def bins(first, last, count, spatial_scale, cells):
    """[(first cell, end)] of the bins from `first` to `last` along an axis, in MXNet's float32 arithmetic."""
    def rounded(value):  # as C's round: halves away from zero
        return np.float32(np.sign(value) * np.floor(abs(value) + np.float32(0.5)))
    begin = rounded(first) * spatial_scale
    step = max((rounded(last) + np.float32(1)) * spatial_scale - begin, np.float32(0.1)) / np.float32(count)
    starts = [np.floor(np.float32(b) * step + begin) for b in range(count)]
    ends = [np.ceil(np.float32(b + 1) * step + begin) for b in range(count)]
    return [tuple(int(v) for v in np.clip([start, end], 0, cells)) for start, end in zip(starts, ends)]


def proposal(cls_prob, bbox_pred, im_info, anchors, stride, before_nms, after_nms, threshold):
    """[N, 2A, H, W], [N, 4A, H, W], [N, 3], anchors [A, 4] -> float32 [N * after_nms, 5]; minimum size 0."""
    images, _, height, width = cls_prob.shape
    result = []
    for n in range(images):
        y, x, a = (index.ravel() for index in np.mgrid[:height, :width, :len(anchors)])
        scores = cls_prob[n, len(anchors) + a, y, x].copy()
        deltas = np.stack([bbox_pred[n, 4 * a + k, y, x] for k in range(4)], axis=1)
        boxes = anchors[a] + np.stack((x, y, x, y), axis=1) * stride
        size = boxes[:, 2:] - boxes[:, :2] + 1
        centre = boxes[:, :2] + 0.5 * (size - 1) + deltas[:, :2] * size
        half = 0.5 * (np.exp(deltas[:, 2:]) * size - 1)
        image_height, image_width, _ = im_info[n]
        limits = [image_width - 1, image_height - 1] * 2
        boxes = np.clip(np.hstack((centre - half, centre + half)), 0, limits).astype(np.float32)
        scores[(y >= int(image_height / stride)) | (x >= int(image_width / stride))] = -1
        order = np.argsort(-scores, kind='stable')[:before_nms if before_nms > 0 else None]
        keep = order[greedy_nms(boxes[order], np.float32(threshold))][:after_nms]
        rows = boxes[keep[np.arange(after_nms) % len(keep)]]
        result.append(np.hstack((np.full((after_nms, 1), n, np.float32), rows)))
    return np.concatenate(result)


def class_map(score, rows, columns):
    """Classes [H, W] of highest score [C, h, w] at the places rows [H], columns [W], interpolated bilinearly."""
    taps = []
    for places, size in ((rows, score.shape[1]), (columns, score.shape[2])):
        places = np.clip(np.asarray(places, np.float64), 0, size - 1)
        low = np.minimum(places.astype(int), max(size - 2, 0))
        taps.append((low, np.minimum(low + 1, size - 1), places - low))
    (top, bottom, down), (left, right, across) = taps
    down, score = down[:, None], np.asarray(score, np.float64)
    lines = score[:, top] * (1 - down) + score[:, bottom] * down
    return (lines[..., left] * (1 - across) + lines[..., right] * across).argmax(axis=0)


def halved(images):
    """Images [N, C, H, W] at half their size, rounded up: means of up to 2x2 pixels."""
    rows, columns = (np.arange(0, size, 2) for size in images.shape[2:])
    counts = np.add.reduceat(np.add.reduceat(np.ones_like(images), rows, axis=2), columns, axis=3)
    return np.add.reduceat(np.add.reduceat(images, rows, axis=2), columns, axis=3) / counts


def central_difference(function, value, places, step=1e-4):
    """Derivatives of the scalar `function(value)` (float64) with respect to value[place], for every place."""
    slopes = []
    for place in places:
        moved = np.array(value, np.float64)
        moved[place] += step
        above = function(moved)
        moved[place] -= 2 * step
        slopes.append((above - function(moved)) / (2 * step))
    return np.array(slopes)
