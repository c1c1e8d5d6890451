# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Greedy suppression, compiled. lib/boxes/nms.py holds the NumPy twin: same operations in the same order, same result."""
import numpy as np


def suppress(const float[:, ::1] boxes, float thresh):
    """Boxes float32 [n, 4], best first -> indices kept, int64, ascending. Runs without the interpreter's lock."""
    cdef Py_ssize_t n = boxes.shape[0], i, j, count = 0
    cdef float width, height, shared
    area_array = np.empty(n, dtype=np.float32)
    gone_array = np.zeros(n, dtype=np.uint8)
    keep_array = np.empty(n, dtype=np.int64)
    cdef float[::1] area = area_array
    cdef unsigned char[::1] gone = gone_array
    cdef long long[::1] keep = keep_array
    with nogil:
        for i in range(n):
            area[i] = (boxes[i, 2] - boxes[i, 0] + 1) * (boxes[i, 3] - boxes[i, 1] + 1)
        for i in range(n):
            if gone[i]:
                continue
            keep[count] = i
            count += 1
            for j in range(i + 1, n):
                if gone[j]:
                    continue
                width = max(min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0]) + 1, 0)
                height = max(min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1]) + 1, 0)
                shared = width * height
                if not shared / (area[i] + area[j] - shared) <= thresh:
                    gone[j] = 1
    return keep_array[:count]
