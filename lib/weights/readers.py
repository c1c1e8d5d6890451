"""Files of weights by their kind: {name: float32 array} of each, under the names that the file itself uses."""
import os
from collections import namedtuple

from dff.errors import CheckpointError
from lib.weights.layers import Network
from lib.weights.registry import READERS

# author: what the file says of its origin, '' where it says nothing; network: how its layers are connected, a
# lib.weights.layers.Network, or None where the kind of file does not tell.
Source = namedtuple('Source', 'path tensors author network', defaults=(None,))
REFUSED = {'.h5': 'HDF5 models of Caffe are not read; save the network as a binary .caffemodel',
           '.ckpt': 'TensorFlow has no release of these networks that fits'}


def read_source(path):
    """The Source at `path`, read by its extension; nothing in any file is executed.

    Raises CheckpointError (missing, damaged, of an unknown kind, without tensors), SetupError (a package is missing).
    """
    if not os.path.isfile(path):
        raise CheckpointError('%s does not exist; model/README.md lists files that can be converted' % path)
    extension = os.path.splitext(path)[1].lower()
    if extension not in READERS:
        reason = REFUSED.get(extension, 'files ending in %r are of no known kind' % extension)
        raise CheckpointError('%s: %s. Known kinds: %s' % (path, reason, ' '.join(READERS.names())))
    try:
        content = READERS.get(extension)(path)
    except OSError as error:
        raise CheckpointError('cannot read %s: %s' % (path, error.strerror or error)) from error
    network = content if isinstance(content, Network) else None
    if network:
        content = network.tensors
    tensors, author = content if isinstance(content, tuple) else (content, '')
    if not tensors:
        raise CheckpointError('%s holds no tensors under names' % path)
    return Source(path, tensors, author, network)
