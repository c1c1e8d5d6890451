"""What decoders of pictures say while they decode, which libjpeg and libpng write to the standard
error and nowhere else."""

import os
import re
import sys
import tempfile

from dff.image import read_image

_MESSAGE = re.compile(
    r'jpeg|libpng|premature end|extraneous bytes|huffman|restart marker', re.IGNORECASE
)


def decoder_messages(path):
    """Decode the picture at `path`; returns what its decoder says, '' where it is content.

    For processes that do nothing else meanwhile: what others write to the standard error waits
    until then.
    Raises DataError where it cannot be decoded.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as stream:
        os.dup2(stream.fileno(), 2)
        try:
            read_image(path)
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            stream.seek(0)
            lines = stream.read().decode('utf-8', 'replace').splitlines()
            for line in lines:
                if not _MESSAGE.search(line):
                    print(line, file=sys.stderr)
    return '; '.join(dict.fromkeys(line.strip() for line in lines if _MESSAGE.search(line)))
