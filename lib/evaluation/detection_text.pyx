# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Lines of a detections file to numbers, compiled. lib/evaluation/detections.py holds the NumPy twin: same result."""
import numpy as np

# Up to 15 digits and 10^22, a decimal is the quotient of two exact doubles, which division rounds as it should be rounded.
cdef enum:
    DIGITS = 15
    MINUS = 45
    POINT = 46
    ZERO = 48
    NINE = 57
    SPACE = 32
    NEWLINE = 10
cdef double[23] POWERS
for _power in range(23):
    POWERS[_power] = 10.0 ** _power


cdef inline const unsigned char* number(const unsigned char* at, unsigned char stop, double* value) noexcept nogil:
    """Read digits[.digits], with a minus or not, up to `stop`; returns what follows, NULL where anything else stands there."""
    cdef long long mantissa = 0
    cdef int digits = 0, decimals = 0
    cdef bint negative = at[0] == MINUS
    at += negative
    while ZERO <= at[0] <= NINE:
        mantissa = mantissa * 10 + at[0] - ZERO
        digits += 1
        at += 1
        if digits > DIGITS:
            return NULL
    if at[0] == POINT and digits:
        at += 1
        while ZERO <= at[0] <= NINE:
            mantissa = mantissa * 10 + at[0] - ZERO
            decimals += 1
            at += 1
            if digits + decimals > DIGITS:
                return NULL
        if not decimals:
            return NULL
    if not digits or at[0] != stop:
        return NULL
    value[0] = mantissa / POWERS[decimals] if decimals else <double>mantissa
    if negative:
        value[0] = -value[0]
    return at + 1


def parse(bytes text, int num_classes):
    """Lines `frame class score x1 y1 x2 y2`, each ended by a newline, fields split by one space.

    Returns (frames int32 [n], classes int32 [n], scores float64 [n], boxes float64 [n, 4]); None where a line is otherwise,
    a class is not 1 ... num_classes - 1, a frame number not 0 ... 2^31 - 1, or a number needs more than plain digits.
    """
    cdef Py_ssize_t lines = text.count(b'\n'), i
    cdef const unsigned char* at = text
    cdef const unsigned char* end = at + len(text)
    cdef double frame, label
    cdef int field
    frames_array, classes_array = np.empty(lines, np.int32), np.empty(lines, np.int32)
    scores_array, boxes_array = np.empty(lines), np.empty((lines, 4))
    cdef int[::1] frames = frames_array
    cdef int[::1] classes = classes_array
    cdef double[::1] scores = scores_array
    cdef double[:, ::1] boxes = boxes_array
    with nogil:
        for i in range(lines):
            at = number(at, SPACE, &frame)
            if at != NULL:
                at = number(at, SPACE, &label)
            if at == NULL or not (0 <= frame < 2147483648.0 and frame == <int>frame and 1 <= label < num_classes and label == <int>label):
                at = NULL
                break
            frames[i] = <int>frame
            classes[i] = <int>label
            at = number(at, SPACE, &scores[i])
            for field in range(4):
                if at != NULL:
                    at = number(at, SPACE if field < 3 else NEWLINE, &boxes[i, field])
            if at == NULL:
                break
    return (frames_array, classes_array, scores_array, boxes_array) if at == end else None
