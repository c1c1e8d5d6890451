"""Files that keep beside parameters what was measured: read and checked as a whole, or not used at all.

A record says what a network computes with: one that something has changed, or that another version
has made, would give other results, or none. So it holds a checksum of itself; and as anybody can
make one, every value is checked, too.
"""
import hashlib
import json
import logging
import os

from dff.files import read_json, require_regular, write_json

_log = logging.getLogger('dff.precision')


class Record:
    """A file of JSON with a checksum. A subclass says in `_wrong` what forbids to use one.

    Args:
        path: of the file; None: there is none.
        head: {name: value} that it must hold, who or what it was made for and how.
        anew: what a message says happens without it: 'int8 is calibrated again'.
    """

    def __init__(self, path, head, anew):
        self.path, self.writes, self._head, self._anew = path, path is not None, head, anew
        self._said = None

    def read(self):
        """Return the file's content; {} where there is none, or, with a message, it cannot be used."""
        if self.path is None or not os.path.exists(self.path):
            return {}
        record = read_json(self.path) or {}
        try:
            problem = self._problem(record)
        except RecursionError:
            problem = 'is no record'
        if problem and problem != self._said:      # a file may be read again before it is written anew
            _log.warning('%s %s: %s', self.path, problem, self._anew)
            self._said = problem
        return {} if problem else record

    def _problem(self, record):
        if record.get('sha256') != _checksum(record):
            return 'is damaged, was changed, or is of an older version'
        return self._wrong(record)

    def _wrong(self, record):
        """Return what forbids to use a record with a checksum that fits, in words; '' for nothing."""
        if any(record.get(name) != value for name, value in self._head.items()):
            return 'was made in another way'
        return ''

    def write(self, content, goes_on):
        """Write {name: value} with the head; where that cannot be, one line says so, once.

        goes_on: what the line says happens then.
        """
        if not self.writes:
            return
        record = dict(self._head, **content)
        try:
            if os.path.exists(self.path):
                require_regular(self.path)      # a pipe would be written into, and wait for a reader
            write_json(self.path, dict(record, sha256=_checksum(record)))
        except OSError as error:
            self.writes = False
            _log.warning('cannot write %s (%s): %s', self.path, error.strerror or error, goes_on)


def is_number(value):
    """Return whether a value of JSON is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _checksum(record):
    """SHA-256 of all but the checksum itself."""
    content = {name: value for name, value in record.items() if name != 'sha256'}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
