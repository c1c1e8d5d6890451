"""The parameters of the best validation of a training: `<prefix>-best.params` and `.json`."""
import os

from dff.errors import CheckpointError, shown
from dff.files import file_sha256, read_json
from lib.engine.checkpoint import BEST, file_name, named_arrays, save_arrays, write_record


def save_best(prefix, arg_params, aux_params, record):
    """Write <prefix>-best.params, and <prefix>-best.json with `record` and the checksum.

    Args:
        prefix: of the checkpoints.
        arg_params, aux_params: {name: NDArray}, the parameters and auxiliary states.
        record: dict; its `classes` are compared by `check_best`.

    Raises CheckpointError where a file cannot be written.
    """
    path = file_name(prefix, BEST)
    save_arrays(path, named_arrays(arg_params, aux_params))
    write_record(file_name(prefix, BEST, 'json'),
                 dict(record, sha256={'params': file_sha256(path)}))


def check_best(prefix, classes):
    """Raise CheckpointError where <prefix>-best.params is of other classes, or not that of its record.

    Without a record, as copied from elsewhere, nothing is known of it.

    Args:
        prefix: of the checkpoints.
        classes: what the settings list, names in order.
    """
    path, record = file_name(prefix, BEST), read_json(file_name(prefix, BEST, 'json'))
    if record is None or not os.path.isfile(path):
        return
    found = record.get('classes', classes)
    if found != list(classes):
        raise CheckpointError(
            '%s is of a training for other classes: %s, and the settings have: %s. Use the '
            'settings that it was trained with, or name another epoch'
            % (path, shown(found), shown(list(classes))))
    if (record.get('sha256') or {}).get('params') != file_sha256(path):
        raise CheckpointError(
            '%s is not the file that %s describes: a training was stopped between the two, or one '
            'was replaced. --resume continues and writes both again; another epoch can be tested'
            % (path, file_name(prefix, BEST, 'json')))
