"""What a module is bound with and gives back: shapes, lists for each device, gradient requests."""
import lib  # noqa: F401  (prepares MXNet's import)
import mxnet as mx


def gradient_requests(names, request):
    """Return {name: request}: 'write', 'add' or 'null'. Raises ValueError for requests by name."""
    if not isinstance(request, str):
        raise ValueError('grad_req must be one of write, add, null for all parameters')
    return dict.fromkeys(names, request)


def shapes_by_name(described):
    """Return {name: tuple} from {name: shape}, [(name, shape)] or None."""
    pairs = described.items() if hasattr(described, 'items') else described or []
    return {pair[0]: tuple(int(side) for side in pair[1]) for pair in pairs}


def per_device(values, devices):
    """Return `values` as one list for each of so many devices; a flat list is that of the only one.

    Raises ValueError where there are more or fewer lists.
    """
    values = values or []
    nested = bool(values) and isinstance(values[0], (list, tuple)) and not (values[0] and isinstance(values[0][0], str))
    lists = list(values) if nested else [values] if values else [[]] * devices
    if len(lists) != devices:
        raise ValueError('%d devices need a list of arrays each, got %d' % (devices, len(lists)))
    return lists


def mean_on_cpu(arrays):
    """Return the mean of NDArrays of one shape, on whatever devices, as a new one on the CPU."""
    total = arrays[0].copyto(mx.cpu())
    for array in arrays[1:]:
        total += array.as_in_context(mx.cpu())
    return total / len(arrays) if len(arrays) > 1 else total


def merged(per_output, merge_multi_context):
    """Return [NDArray], those of several devices joined along axis 0, from [[NDArray of each device]].

    Without merge_multi_context the lists stay. Raises ValueError where sizes differ, which cannot be joined.
    """
    if not merge_multi_context:
        return per_output
    if any(len({array.shape[1:] for array in arrays}) > 1 for arrays in per_output):
        raise ValueError('the devices worked on images of different sizes: use merge_multi_context=False')
    return [arrays[0] if len(arrays) == 1 else mx.nd.concat(*[array.as_in_context(mx.cpu()) for array in arrays], dim=0)
            for arrays in per_output]
