# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Box overlaps, compiled. dff/boxes.py holds the NumPy twin: same operations in the same order, same bits."""
import numpy as np


def overlaps(const double[:, ::1] a, const double[:, ::1] b):
    """Intersection over union of float64 [n, 4] and [k, 4] -> float64 [n, k]. Runs without the interpreter's lock."""
    cdef Py_ssize_t n = a.shape[0], k = b.shape[0], i, j
    cdef double width, height, area_a, shared, union_
    result = np.zeros((n, k))
    areas = np.empty(k)
    cdef double[:, ::1] out = result
    cdef double[::1] area_b = areas
    with nogil:
        for j in range(k):
            area_b[j] = (b[j, 2] - b[j, 0] + 1) * (b[j, 3] - b[j, 1] + 1)
        for i in range(n):
            area_a = (a[i, 2] - a[i, 0] + 1) * (a[i, 3] - a[i, 1] + 1)
            for j in range(k):
                width = min(a[i, 2], b[j, 2]) - max(a[i, 0], b[j, 0]) + 1
                if not width > 0:
                    continue
                height = min(a[i, 3], b[j, 3]) - max(a[i, 1], b[j, 1]) + 1
                if not height > 0:
                    continue
                shared = width * height
                union_ = area_a + area_b[j] - shared
                if union_ > 0:                       # false for a NaN in either box
                    out[i, j] = shared / union_
    return result
