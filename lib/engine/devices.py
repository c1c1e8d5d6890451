"""The devices that `gpus` names."""
import lib  # noqa: F401  (prepares the import of MXNet)
import mxnet as mx

from dff.errors import ConfigError


def contexts(gpus, report=print):
    """MXNet contexts for a `gpus` setting: '0,1', '' or 'cpu'; 'cpu,cpu' makes two CPU devices.

    Falls back to one CPU device, saying so through `report`, where MXNet sees no GPU.
    Raises ConfigError for a malformed setting or a GPU that does not exist.
    """
    parts = [part.strip() for part in gpus.split(',') if part.strip()]
    if all(part == 'cpu' for part in parts):
        report('running on the CPU')
        return [mx.cpu(i) for i in range(max(1, len(parts)))]
    if not all(part.isdigit() for part in parts):
        raise ConfigError("gpus: expected GPU numbers as in '0,1', or 'cpu'; found %r" % gpus)
    present = gpu_count()
    if present == 0:
        report('no GPU that this MXNet can use: running on the CPU (gpus: %s is ignored)' % gpus)
        return [mx.cpu()]
    missing = [part for part in parts if int(part) >= present]
    if missing:
        raise ConfigError('gpus: GPU %s does not exist; this machine has %d (numbers 0 to %d)'
                          % (missing[0], present, present - 1))
    return [mx.gpu(int(part)) for part in parts]


def gpu_count():
    """GPUs that this MXNet can use; 0 for the CPU wheel and where the driver is missing."""
    try:
        return mx.context.num_gpus()
    except mx.base.MXNetError:
        return 0
