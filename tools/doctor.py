"""Checks the installation: python tools/doctor.py [--json]

One line for each thing that training and testing need: what was found, and for what is wrong, the
remedy. Ends with 1 where something must be fixed. Works where MXNet, NumPy or OpenCV cannot be
imported: that is what it is for.
"""
import argparse
import ctypes
import glob
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections import namedtuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, 'tools')]

import install_packages  # noqa: E402  (nothing of lib here: importing it is one of the checks)

OLDEST_PYTHON, NEWEST_PYTHON = (3, 8), (3, 12)
LITTLE_DISK = 5.0                  # GB: below this a training run may not finish
FEATURES = ('MKLDNN', 'OPENMP', 'DIST_KVSTORE', 'CUDA', 'CUDNN', 'NCCL')
# Folder below data/ -> what it is.
DATA_SETS = {
    'ILSVRC2015': 'ImageNet VID and DET', 'cityscapes': 'Cityscapes', 'camvid': 'CamVid',
    'toy_vid': 'toy_vid, embedded', 'toy_seg': 'toy_seg, embedded'
}

# state: 'ok', 'note' (works, could be better) or 'problem'; remedy: what to do, '' for 'ok'.
Finding = namedtuple('Finding', 'subject state text remedy')


def ok(subject, text):
    """A Finding that needs nothing."""
    return Finding(subject, 'ok', text, '')


def check_version():
    """The project's own version."""
    import dff
    return [ok('Deep Feature Flow', dff.__version__)]


def check_python():
    """The interpreter."""
    text = '%s, %s' % (platform.python_version(), sys.executable)
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return [ok('Python', text)]
    remedy = 'MXNet 1.9.1 works with %d.%d to %d.%d: make an environment of one of them, then `sh init.sh`'
    return [Finding('Python', 'problem', text, remedy % (OLDEST_PYTHON + NEWEST_PYTHON))]


def check_packages():
    """What requirements.txt asks for."""
    mxnet = install_packages.installed(re.compile(r'mxnet(-cu\d+)?$').match)
    opencv = install_packages.installed(install_packages.OPENCV.__contains__)
    names = [
        re.match(r'[\w-]+', line).group(0).lower()
        for line in install_packages.requirement_lines('requirements.txt')
    ]
    found = set(install_packages.installed(names.__contains__)) | (
        {'mxnet'} if mxnet else set()) | ({'opencv-python'} if opencv else set())
    missing = [name for name in names if name not in found]
    findings = [ok('packages', 'all %d of requirements.txt' % len(names))]
    if missing:
        findings = [Finding('packages', 'problem', 'missing: %s' % ', '.join(missing), 'run `sh init.sh`')]
    for several in (mxnet, opencv):
        if len(several) > 1:
            findings.append(Finding('packages', 'problem', '%s write the same files' % ' and '.join(several),
                                    'run `sh init.sh`, which removes all but the one that suits this machine'))
    return findings


def check_numpy_and_opencv():
    """Importing `lib`, which imports both."""
    import lib  # noqa: F401
    import cv2
    import numpy as np
    encoded = cv2.imencode('.jpg', np.zeros((8, 8, 3), np.uint8))[1]
    good = cv2.imdecode(encoded, cv2.IMREAD_COLOR) is not None
    text = 'NumPy %s, OpenCV %s' % (np.__version__, cv2.__version__)
    return [ok('NumPy, OpenCV', text) if good else
            Finding('NumPy, OpenCV', 'problem', text + ': cannot read JPEG files', 'run `sh init.sh`')]


def check_mxnet():
    """The wheel and what it is built with; a small computation."""
    import lib  # noqa: F401
    import mxnet as mx
    features = mx.runtime.Features()
    value = float((mx.nd.ones((2, 2)) * 3).sum().asscalar())
    wheels = install_packages.installed(re.compile(r'mxnet(-cu\d+)?$').match)
    text = '%s (%s), built with %s' % (mx.__version__, ', '.join(wheels) or 'no wheel',
                                       ', '.join(name for name in FEATURES if features.is_enabled(name)))
    if value != 12:
        return [
            Finding('MXNet', 'problem', '%s: four threes sum to %g' % (text, value),
                    'run `sh init.sh` in a new environment')
        ]
    if not mx.__version__.startswith('1.9.'):
        return [
            Finding('MXNet', 'note', text,
                    'the native operators need 1.9.1: `MXNET_PACKAGE=mxnet==1.9.1 sh init.sh`')
        ]
    return [ok('MXNet', text)]


def check_gpu():
    """GPU and driver against the kernels in the wheel."""
    wheel = next(iter(install_packages.installed(re.compile(r'mxnet-cu\d').match)), None)
    gpus = install_packages.capabilities()
    if not gpus:
        if wheel is None:
            return [ok('GPU', 'none found; the CPU is used')]
        return [Finding('GPU', 'problem', '%s is installed, but no GPU with a driver is found' % wheel,
                        'install the NVIDIA driver, or `MXNET_PACKAGE=mxnet==1.9.1 sh init.sh` for the CPU')]
    text = '%s, driver %s' % (', '.join('compute capability %d.%d' % gpu for gpu in gpus), driver_version())
    oldest, newest = install_packages.OLDEST, install_packages.NEWEST
    if not any(oldest <= gpu <= newest for gpu in gpus):
        return [Finding('GPU', 'note', '%s: MXNet 1.9.1 has kernels for %d.%d to %d.%d only, so the CPU is used'
                        % ((text,) + oldest + newest), 'a GPU of the Maxwell to Ada generations runs it')]
    if wheel is None:
        return [
            Finding('GPU', 'note', text + ', but the CPU wheel of MXNet is installed',
                    '`sh init.sh` installs the wheel for this GPU')
        ]
    return [ok('GPU', '%s, %s' % (text, wheel))] + check_cuda_libraries()


def driver_version():
    """The NVIDIA driver's version, or 'unknown'."""
    try:
        done = subprocess.run(
            ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return 'unknown'
    return (done.stdout.split() or ['unknown'])[0]


def check_cuda_libraries():
    """Each library that the GPU wheel links."""
    from lib.utils.cuda_libraries import PACKAGES, preload
    preload()
    findings = []
    for library, package in PACKAGES.items():
        try:
            ctypes.CDLL(library)
            findings.append(ok(library, 'found'))
        except OSError:
            findings.append(Finding(library, 'problem', 'missing', '`pip install %s`, or `sh init.sh`' % package))
    return findings


def check_native():
    """The native operators: built, loaded, and giving what MXNet's own give; the compiled box code."""
    from lib.utils.compiled import built
    boxes = ok('boxes', 'by Cython') if built() else Finding(
        'boxes', 'note', 'by NumPy, slower', 'run `sh init.sh`, which compiles them')
    import mxnet as mx
    from lib.operator_cxx import loader
    from lib.apps.operator_check import differing_operators
    if not loader.load():
        return [boxes, Finding('operators', 'note', "MXNet's own, several times slower than the native ones",
                               'run `sh init.sh`, which builds them')]
    devices = {'CPU': mx.cpu()}
    if mx.context.num_gpus():
        devices['GPU'] = mx.gpu(0)
    wrong = [
        '%s on the %s' % (name, device)
        for device, context in devices.items()
        for name in differing_operators(context)
    ]
    if wrong:
        return [
            boxes,
            Finding('operators', 'problem',
                    "the native ones give other numbers than MXNet's own: %s" % ', '.join(wrong),
                    'build them again: remove lib/operator_cxx/build, then `sh init.sh`')
        ]
    tested = ("native; warp, correlation, RoI pooling and proposals equal MXNet's own in a test on "
              'the %s')
    return [boxes, ok('operators', tested % ' and the '.join(devices))]


def check_machine():
    """Threads and disk."""
    from lib.utils.threads import physical_cores
    cores, threads = physical_cores(), os.environ.get('OMP_NUM_THREADS')
    text = '%s of %d cores' % (threads or cores, cores)
    findings = [ok('threads', text)]
    if threads and threads.isdigit() and int(threads) != cores:
        findings = [
            Finding('threads', 'note', text + ' (OMP_NUM_THREADS)',
                    'unset OMP_NUM_THREADS: as many threads as cores are fastest')
        ]
    for name in ('output', 'data', 'model'):
        folder = os.path.join(ROOT, name)
        if not os.path.isdir(folder):
            continue
        free = shutil.disk_usage(folder).free / 1e9
        if not os.access(folder, os.W_OK):
            findings.append(Finding(name + '/', 'problem', 'cannot be written', 'chmod u+w %s' % folder))
        elif free < LITTLE_DISK:
            findings.append(
                Finding(name + '/', 'note', '%.1f GB free' % free,
                        'make room, or link the folder to a larger disk'))
        else:
            findings.append(ok(name + '/', '%.0f GB free' % free))
    return findings


def check_files():
    """Data sets and models."""
    from lib.engine.params_file import inspect
    from dff.errors import CheckpointError
    folders = sorted(glob.glob(os.path.join(ROOT, 'data', '*', '')))
    present = ['%s (%s)' % (name, DATA_SETS[name]) if name in DATA_SETS else name for name in
               (os.path.basename(os.path.dirname(folder)) for folder in folders) if name != 'cache']
    findings = [
        ok('data sets', ', '.join(present)) if present else Finding(
            'data sets', 'note', 'none in data/',
            '`sh init.sh --demo` makes a small one; data/README.md names the others')
    ]
    parameters, exported = (sorted(glob.glob(os.path.join(ROOT, 'model', '**', name), recursive=True))
                            for name in ('*.params', 'model.json'))
    for path in parameters:
        name = os.path.relpath(path, ROOT)
        try:
            findings.append(ok(name, '%d arrays' % len(inspect(path))))
        except CheckpointError as error:
            findings.append(Finding(name, 'problem', 'damaged', str(error)))
    findings += [ok(os.path.relpath(os.path.dirname(path), ROOT), 'an exported model') for path in exported]
    if not parameters and not exported:
        findings.append(Finding('models', 'note', 'none in model/',
                                '`sh init.sh --demo` trains small ones; model/README.md names the others'))
    return findings


CHECKS = {
    'Deep Feature Flow': check_version, 'Python': check_python, 'packages': check_packages,
    'NumPy, OpenCV': check_numpy_and_opencv,
    'MXNet': check_mxnet, 'GPU': check_gpu, 'operators': check_native, 'threads, disk':
    check_machine, 'data sets, models': check_files
}


def examine():
    """[Finding] of all checks.

    One that cannot run is a problem itself, and those that fail for the same reason are notes.
    """
    findings, reasons = [], set()
    for subject, check in CHECKS.items():
        try:
            findings += check()
        except Exception as error:      # whatever is broken: the other checks go on
            setup = type(error).__name__ == 'SetupError'      # its message is the remedy
            state = 'note' if str(error) in reasons else 'problem'
            why = '' if setup else ' (%s: %s)' % (type(error).__name__, error)
            findings.append(Finding(subject, state, 'cannot be looked at' + why,
                                    str(error) if setup else 'run `sh init.sh`'))
            reasons.add(str(error))
    return findings


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', action='store_true', help='print a list of {subject, state, text, remedy}')
    args = parser.parse_args()
    findings = examine()
    problems = sum(finding.state == 'problem' for finding in findings)
    if args.json:
        print(json.dumps([finding._asdict() for finding in findings], indent=1))
    else:
        for finding in findings:
            state = 'PROBLEM' if finding.state == 'problem' else finding.state
            print('%-8s %s: %s' % (state, finding.subject, finding.text))
            if finding.remedy:
                print('%-8s    -> %s' % ('', finding.remedy))
        print('%s' % ('everything that is needed is there' if not problems else '%d to fix' % problems))
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
