"""How much memory this process and those that it starts may still take."""
from lib.utils.threads import cgroup_folders, read_text

# Names of a control group's limit and use, and of the cached files that it can drop: versions 2 and 1.
_GROUP_FILES = (('memory.max', 'memory.current', 'inactive_file'),
                ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file'))


def available_memory():
    """Return the bytes that are free, or held by what can be dropped, within the control groups' limits."""
    room = _fields('/proc/meminfo', ':')['MemAvailable'] * 1024
    for folder in cgroup_folders('memory'):
        for limit_file, use_file, dropped in _GROUP_FILES:
            limit, use = (read_text('%s/%s' % (folder, name)) or '' for name in (limit_file, use_file))
            if limit.isdigit() and use.isdigit():
                held = int(use) - _fields(folder + '/memory.stat').get(dropped, 0)
                room = min(room, max(0, int(limit) - held))
    return room


def peak_memory(process):
    """Return the bytes that a process has held at most; process: its number."""
    return _fields('/proc/%d/status' % process, ':')['VmHWM'] * 1024


def _fields(path, separator=' '):
    """{name: number} of the lines of a file that have one."""
    found = {}
    for line in (read_text(path) or '').splitlines():
        name, _, value = line.partition(separator)
        words = value.split()
        if words and words[0].isdigit():
            found[name] = int(words[0])
    return found
