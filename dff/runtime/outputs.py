"""Results written while they come: pictures, JSON, MOT Challenge text, CSV."""
import contextlib
import json
import os
from typing import Any, Callable, Iterator, List, Optional

from dff.errors import DataError
from dff.files import atomic_path
from dff.runtime.results import CLASS_COLUMNS, CSV_COLUMNS
from dff.writers import open_writer

Write = Callable[[Any], None]     # takes one result


@contextlib.contextmanager
def writing(recognises: str, classes: List[str], fps: float, output: Optional[str] = None,
            json_path: Optional[str] = None, mot_path: Optional[str] = None,
            csv_path: Optional[str] = None) -> Iterator[Write]:
    """Yield write(result), which writes a Detections or ClassMap into each of the files asked for.

    Files appear under their names when the block ends well.

    Args:
        recognises: 'detection' or 'segmentation'.
        classes: names by class id, for the JSON.
        fps: of a video written.
        output: an .mp4 file or a folder, for pictures; None: none, as of all others.
        json_path, mot_path, csv_path: text files.

    Raises DataError where something cannot be written.
    """
    columns = CSV_COLUMNS if recognises == 'detection' else CLASS_COLUMNS
    with contextlib.ExitStack() as stack:
        writes: List[Write] = []
        if output is not None:
            picture = stack.enter_context(open_writer(output, fps))
            writes.append(lambda result: picture(result.draw(), result.name))
        if json_path is not None:
            writes.append(stack.enter_context(_json(json_path, classes)))
        if mot_path is not None:
            text = stack.enter_context(_text(mot_path))
            writes.append(lambda result: text(result.to_mot()))
        if csv_path is not None:
            rows = stack.enter_context(_text(csv_path))
            rows(columns + '\n')
            writes.append(lambda result: rows(result.to_csv()))

        def write(result: Any) -> None:
            for each in writes:
                each(result)
        yield write


@contextlib.contextmanager
def _text(path: str) -> Iterator[Callable[[str], Any]]:
    with contextlib.ExitStack() as stack:
        with _said(path):
            if os.path.isdir(path):
                raise IsADirectoryError(21, 'it is a folder')
            temporary = stack.enter_context(atomic_path(path))
            stream = stack.enter_context(open(temporary, 'w', encoding='utf-8'))

        def write(text: str) -> None:
            with _said(path):
                stream.write(text)
        yield write
        with _said(path):
            stack.close()


@contextlib.contextmanager
def _said(path: str) -> Iterator[None]:
    """Errors of the file at `path`, and not those of whoever writes into it, as a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError('cannot write %s: %s' % (path, error.strerror or error)) from None


@contextlib.contextmanager
def _json(path: str, classes: List[str]) -> Iterator[Write]:
    """One frame a line, in constant memory."""
    with _text(path) as text:
        text('{"classes": %s,\n "frames": [' % json.dumps(classes))
        separator = '\n  '

        def write(result: Any) -> None:
            nonlocal separator
            text(separator + result.to_json())
            separator = ',\n  '
        yield write
        text('\n]}\n')
