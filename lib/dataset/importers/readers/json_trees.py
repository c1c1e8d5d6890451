"""Reading JSON files of annotations whose origin is unknown."""
import json
import math
import os
from typing import Any, Callable, Dict, List, Optional, Tuple

from lib.dataset.importers.paths import files_below
from dff.errors import DataError

Tree = Dict[str, Any]           # a JSON object


def json_paths(src: str, what: str) -> List[str]:
    """Return the file `src`, or the *.json of the folder `src`, those in annotations/ if there.

    what: the format as messages call it. Raises DataError where there is none.
    """
    if os.path.isfile(src):
        return [src]
    folder = os.path.join(src, 'annotations')
    folder = folder if os.path.isdir(folder) else src
    files = [os.path.join(folder, name) for name in files_below(folder, ('.json',))]
    if not files:
        raise DataError('%s: expected %s, a JSON file or a folder of them' % (src, what))
    return files


def load_json(file: str) -> Any:
    """Return what the JSON file `file` holds. Raises DataError where it cannot be read."""
    try:
        with open(file, encoding='utf-8-sig') as stream:
            return json.load(stream)
    except OSError as error:
        raise DataError('cannot read %s: %s' % (file, error.strerror)) from None
    except (ValueError, RecursionError) as error:
        raise DataError('%s is not valid JSON: %s; export it again' % (file, error)) from None


def first_json(src: str, fits: Callable[[Any], Any]) -> Optional[str]:
    """Return the first of a data set's JSON files if it is of a format, else None.

    src: a file or a folder; fits: tells by what the file holds. Raises DataError where it cannot be
    read.
    """
    files = [src] if os.path.isfile(src) and src.lower().endswith('.json') else []
    if os.path.isdir(src):
        files = [os.path.join(src, name) for name in files_below(src, ('.json',))]
    return files[0] if files and fits(load_json(files[0])) else None


def first_of(value: Any) -> Tree:
    """Return the first entry of a list of JSON objects; {} where `value` is none, or empty."""
    return mapping(value[0]) if isinstance(value, list) and value else {}


def objects(value: Any, where: str, remedy: str) -> List[Tree]:
    """Return `value`, a list of JSON objects.

    Args:
        value: of the file.
        where: file and key, for messages.
        remedy: what to do where it is none.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(value, list):
        raise DataError('%s: expected a list of objects, found %s; %s'
                        % (where, type(value).__name__, remedy))
    for index, entry in enumerate(value):
        if not isinstance(entry, dict):
            raise DataError('%s, entry %d: expected an object, found %s; %s'
                            % (where, index, type(entry).__name__, remedy))
    return value


def mapping(value: Any) -> Tree:
    """Return `value` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def turned_edges(x: float, y: float, width: float, height: float, rotation: float
                 ) -> Tuple[float, float, float, float]:
    """Return the edges (left, top, right, bottom) of the box around a turned rectangle.

    Args:
        x: of the corner that is the top left one before it is turned, and stays there.
        y: of that corner.
        width: of the rectangle.
        height: of the rectangle.
        rotation: clockwise, in degrees.
    """
    if not math.isfinite(rotation):
        return math.nan, math.nan, math.nan, math.nan
    if not rotation % 360:
        return x, y, x + width, y + height
    cosine, sine = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    across = [0.0, width * cosine, -height * sine, width * cosine - height * sine]
    down = [0.0, width * sine, height * cosine, width * sine + height * cosine]
    return x + min(across), y + min(down), x + max(across), y + max(down)
