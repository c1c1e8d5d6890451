"""Pictures in a window, where there is a display."""
import os
import sys
from typing import Optional

import cv2
import numpy as np

CLOSING = (27, ord('q'))      # Escape, q


def why_no_window() -> Optional[str]:
    """Return why no window can be opened here; None where one can."""
    if sys.platform.startswith('linux') and not (os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')):
        return 'there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)'
    if 'GUI:                           NONE' in cv2.getBuildInformation():
        return 'this OpenCV has no windows: replace opencv-python-headless by opencv-python'
    return None


class Window:
    """A window for pictures; title: its name."""

    def __init__(self, title: str):
        self._title = title

    def show(self, picture: np.ndarray) -> bool:
        """Show a BGR picture; returns False when the user closed the window or pressed Escape or q."""
        cv2.imshow(self._title, picture)
        key = cv2.waitKey(1) & 0xFF
        return key not in CLOSING and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Close it."""
        cv2.destroyAllWindows()
