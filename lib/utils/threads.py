"""How many processor cores this process may really use."""
import math
import os


def read_text(path):
    """Return the file's text without surrounding blanks, or None where it cannot be read."""
    try:
        with open(path) as stream:
            return stream.read().strip()
    except OSError:
        return None


def cgroup_folders(controller):
    """Yield the control-group folders that may limit this process: its own groups and all their parents.

    controller: 'cpu' or 'memory'.
    """
    for line in (read_text('/proc/self/cgroup') or '').splitlines():
        _, controllers, path = line.split(':', 2)
        if controllers and controller not in controllers.split(','):
            continue
        root = '/sys/fs/cgroup' + ('/' + controllers if controllers else '')
        # Inside a container the path may be the host's; the root then holds the container's own limit.
        while True:
            yield root + path.rstrip('/')
            if path in ('', '/'):
                break
            path = os.path.dirname(path)


def cgroup_limit():
    """Processor time granted by the control groups (v1 and v2), in cores; infinity when there is no limit."""
    limit = math.inf
    for folder in cgroup_folders('cpu'):
        fields = (read_text(folder + '/cpu.max') or '').split()                      # version 2: "quota period"
        if not fields:
            fields = [read_text(folder + '/cpu.cfs_%s_us' % name) for name in ('quota', 'period')]
        if None not in fields and fields[0] not in ('max', '-1'):
            limit = min(limit, int(fields[0]) / int(fields[1]))
    return limit


def physical_cores():
    """Return the physical cores available.

    Those of the process's affinity, hyper-threads counted once, at most the control group's limit.
    """
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = read_text('/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list' % cpu)
        cores.add(siblings or str(cpu))
    return max(1, math.ceil(min(len(cores), cgroup_limit())))
