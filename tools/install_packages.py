"""Installs the Python packages that suit this machine into the running Python's environment; called by init.sh.

    python tools/install_packages.py            install what is missing
    python tools/install_packages.py --print    only print MXNet's package for this machine

Standard library only: it runs before anything is installed. Prints `error: ...` and exits with 2 on failure.
"""
import ctypes
import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import sysconfig

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CPU_PACKAGE, GPU_PACKAGE = 'mxnet==1.9.1', 'mxnet-cu112==1.9.1'
# Its kernels are compiled for 5.0, 6.0, 7.0, 8.0 and 8.6, which serve 5.0 to 8.9; nothing in it
# can be translated for newer GPUs.
OLDEST, NEWEST = (5, 0), (8, 9)
STAMP = os.path.join(sys.prefix, '.deep-feature-flow-packages')
OPENCV = ('opencv-python', 'opencv-contrib-python', 'opencv-python-headless', 'opencv-contrib-python-headless')


def fail(text):
    """End with one line."""
    print('error: ' + text, file=sys.stderr)
    sys.exit(2)


def say(text):
    """One line for the user; stdout is kept for what --print asks for."""
    print('init.sh: ' + text, file=sys.stderr)


def capabilities():
    """Compute capabilities of the NVIDIA GPUs, [(major, minor)]; empty without a GPU or without its driver."""
    try:
        query = subprocess.run(['nvidia-smi', '--query-gpu=compute_cap', '--format=csv,noheader'], timeout=60,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True)
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = re.findall(r'^\s*(\d+)\.(\d+)\s*$', query.stdout, re.MULTILINE)
    return [(int(major), int(minor)) for major, minor in found] or capabilities_of_driver()


def capabilities_of_driver():
    """The same from the driver library: nvidia-smi of drivers before 2021 does not know the question."""
    try:
        cuda = ctypes.CDLL('libcuda.so.1')
    except OSError:
        return []
    count, values = ctypes.c_int(), (ctypes.c_int(), ctypes.c_int())
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return []
    found = []
    for device in range(count.value):
        # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR.
        for value, attribute in zip(values, (75, 76)):
            cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        found.append((values[0].value, values[1].value))
    return found


def mxnet_package():
    """The requirement line of MXNet for this machine, and one sentence why."""
    override = os.environ.get('MXNET_PACKAGE')
    if override:
        return override, 'chosen by MXNET_PACKAGE'
    gpus = capabilities()
    if any(OLDEST <= gpu <= NEWEST for gpu in gpus):
        return GPU_PACKAGE, 'GPU of compute capability %s' % ', '.join('%d.%d' % gpu for gpu in gpus)
    if gpus:
        return CPU_PACKAGE, (
            'the GPU has compute capability %d.%d and MXNet 1.9.1 has kernels for %d.%d to %d.%d only: '
            'the CPU is used' % (max(gpus) + OLDEST + NEWEST))
    return CPU_PACKAGE, 'no NVIDIA GPU found'


def loads(library):
    """Whether the dynamic loader finds `library`."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def installed(names):
    """Those distributions of this environment whose (normalised) name satisfies `names`."""
    found = (distribution.metadata['Name'] or '' for distribution in importlib.metadata.distributions())
    return sorted({name for name in (item.lower().replace('_', '-') for item in found) if names(name)})


def opencv_name():
    """The OpenCV package to ask for: an installed one if it can work here, else the one that suits the machine."""
    display = loads('libGL.so.1') and loads('libgthread-2.0.so.0')
    fitting = [name for name in installed(OPENCV.__contains__) if display or name.endswith('headless')]
    return fitting[0] if fitting else 'opencv-python' if display else 'opencv-python-headless'


def requirement_lines(path):
    """Lines of a requirements file without comments."""
    with open(os.path.join(ROOT, path), encoding='utf-8') as stream:
        lines = [line.split('#')[0].strip() for line in stream]
    return [line for line in lines if line]


def wanted(mxnet, opencv):
    """Every requirement line for this machine."""
    lines = []
    for line in requirement_lines('requirements.txt'):
        name = re.match(r'[\w-]+', line).group(0)
        lines.append(mxnet if name == 'mxnet' else line.replace(name, opencv, 1) if name == 'opencv-python' else line)
    if re.search(r'mxnet[-_]cu11', mxnet):
        lines += requirement_lines('requirements-gpu.txt')
    return lines


def satisfied(line):
    """Whether a requirement line such as `numpy>=1.20,<2` holds here: another pip command may have changed it."""
    name, bounds = re.match(r'([\w-]+)(.*)', line).groups()
    try:
        version = importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, KeyError):
        return False
    if not version:      # the record of an installation that was cut short
        return False
    compare = {'==': lambda bound: version == bound, '>=': lambda bound: numbers(version) >= numbers(bound),
               '<': lambda bound: numbers(version) < numbers(bound)}
    return all(compare[sign](bound) for sign, bound in re.findall(r'(==|>=|<)\s*([^,;\s]+)', bounds))


def numbers(version):
    """The release of a version, without zeros at its end: (1, 26, 4)."""
    found = re.match(r'[\d.]*', version).group(0).strip('.').split('.')
    while found[-1:] == ['0']:
        found.pop()
    return tuple(int(number) for number in found if number)


def pip(*arguments):
    """Run pip in this environment; its own words go to the terminal. True on success."""
    command = [sys.executable, '-m', 'pip', '--disable-pip-version-check'] + list(arguments)
    return subprocess.call(command, env=dict(os.environ, PIP_USER='0')) == 0


def install(lines, mxnet, opencv):
    """Bring the environment to `lines`, requirements for pip.

    mxnet and opencv are the packages of the two in them: other builds are removed before.
    """
    version = subprocess.run([sys.executable, '-m', 'pip', '--version'], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, universal_newlines=True)
    if version.returncode:
        fail('%s has no pip: `%s -m ensurepip`, then run init.sh again' % (sys.prefix, sys.executable))
    # Two builds of MXNet, or of OpenCV, write the same folder of site-packages.
    rivals = [name for name in installed(OPENCV.__contains__) if name != opencv]
    chosen = re.search(r'mxnet(?:[-_]cu\d+)?', os.path.basename(mxnet))
    rivals += [name for name in installed(re.compile(r'mxnet(-cu\d+\w*)?$').match)
               if chosen is None or name != chosen.group(0).replace('_', '-')]
    if rivals:
        say('removing %s, replaced by another build' % ', '.join(rivals))
        pip('uninstall', '-q', '-y', *rivals)
    size = '2.5 GB to download' if len(lines) > 15 else '200 MB to download'
    say('installing %d packages into %s (at most %s)' % (len(lines), sys.prefix, size))
    # pip before 20.3 does not know today's names of Linux wheels.
    new_enough = [int(part) for part in re.findall(r'\d+', version.stdout)[:2]] >= [20, 3]
    if not ((new_enough or pip('install', '-q', 'pip>=20.3')) and pip('install', '-q', '--no-compile', *lines)):
        fail(
            'pip failed, its reason is above. Without network: set PIP_INDEX_URL to a package '
            'mirror or https_proxy to a proxy, or PIP_FIND_LINKS to a folder of wheels, then run '
            'init.sh again')
    # pip compiles one file after the other. What is no Python of this version, such as test data, is left as it is.
    folders = {sysconfig.get_paths()[kind] for kind in ('purelib', 'platlib')}
    subprocess.call([sys.executable, '-W', 'ignore', '-m', 'compileall', '-qq', '-j', '0'] + sorted(folders))


def main():
    """Run the command."""
    if platform.libc_ver()[0] != 'glibc':
        fail(
            'MXNet is built for Linux with glibc, which this Python does not use: run in a '
            'Debian, Ubuntu or Fedora container'
        )
    mxnet, reason = mxnet_package()
    if '--print' in sys.argv[1:]:
        print(mxnet)
        say(reason)
        return
    say('%s (%s)' % (mxnet, reason))
    opencv = opencv_name()
    lines = wanted(mxnet, opencv)
    key = hashlib.sha256('\n'.join(lines + [sys.version]).encode()).hexdigest()
    if os.path.exists(STAMP):
        with open(STAMP) as stream:
            if stream.read() == key and all(satisfied(line) for line in lines if not line.endswith('.whl')):
                say('packages in %s are up to date' % sys.prefix)
                return
    install(lines, mxnet, opencv)
    with open(STAMP, 'w') as stream:
        stream.write(key)


if __name__ == '__main__':
    main()
