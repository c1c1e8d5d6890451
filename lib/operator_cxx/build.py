"""Builds the native operators into one shared library: python lib/operator_cxx/build.py [--force]

Needs a C++ compiler (CXX, g++, c++ or clang++) and the headers that the installed MXNet wheel
ships; MXNet is not imported. Where nvcc is found (NVCC, PATH, /usr/local/cuda), the CUDA kernels
are compiled too; otherwise the library holds their source, which NVRTC compiles at first use on a
GPU. What cannot be built is left out with one warning: MXNet's own operators serve then.
"""
import argparse
import concurrent.futures
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from lib.operator_cxx import cuda_image, sources  # noqa: E402
from dff.errors import SetupError  # noqa: E402
from dff.files import atomic_path  # noqa: E402

# No contraction to fused multiply-add: box and bin edges must round as in MXNet's operators, on every processor.
FLAGS = ['-std=c++11', '-O3', '-ffp-contract=off', '-fPIC', '-fopenmp', '-Wall', '-Wno-unknown-pragmas', '-Wno-psabi']


class BuildError(SetupError):
    """Something that the build needs is missing or fails; the text is one line."""


def find_mxnet():
    """(folder, version) of the installed MXNet, read from its files. Raises BuildError."""
    spec = importlib.util.find_spec('mxnet')
    if spec is None or not spec.submodule_search_locations:
        raise BuildError('MXNet is not installed in %s' % sys.prefix)
    folder = spec.submodule_search_locations[0]
    with open(os.path.join(folder, 'libinfo.py'), encoding='utf-8') as file:
        match = re.search(r'''^__version__\s*=\s*['"](\d+\.\d+\.\d+)''', file.read(), re.MULTILINE)
    if match is None or not os.path.isfile(os.path.join(folder, 'src', 'lib_api.cc')):
        raise BuildError('the MXNet in %s does not ship the headers for native operators (1.9.1 does)' % folder)
    return folder, match.group(1)


def find_compiler():
    """Command of a C++ compiler that runs. Raises BuildError."""
    names = [os.environ['CXX']] if os.environ.get('CXX') else ['g++', 'c++', 'clang++']
    for name in names:
        if shutil.which(name):
            return name
    raise BuildError('no C++ compiler (%s): install g++ and run `sh init.sh` again' % ', '.join(names))


def first_line(command):
    """First line that `command --version` prints, which names the version."""
    return run([command, '--version']).partition('\n')[0]


def run(command):
    """Output of a command. Raises BuildError with the first error it printed."""
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if result.returncode:
        lines = [line for line in result.stdout.splitlines() if 'error' in line] or result.stdout.splitlines() or ['']
        raise BuildError('%s failed: %s' % (os.path.basename(command[0]), lines[0].strip()))
    return result.stdout


def compile_library(compiler, mxnet_folder, version, nvcc, target, extra=()):
    """Compile and link everything into one file; return what was done for CUDA, in words.

    Args:
        compiler: command of the C++ compiler.
        mxnet_folder: of the installed package.
        version: of MXNet, 'a.b.c'.
        nvcc: path of the CUDA compiler, or None.
        target: path of the library.
        extra: more flags for the compiler.

    Raises:
        BuildError: something fails.
    """
    major, minor, patch = (int(part) for part in version.split('.'))
    flags = FLAGS + list(extra) + [
        '-I' + os.path.join(mxnet_folder, 'include'),
        '-DDFF_MXNET_VERSION=%d' % (major * 10000 + minor * 100 + patch)
    ]
    with tempfile.TemporaryDirectory() as folder:
        cuda = cuda_image.write(folder, nvcc, run, BuildError)
        # First, as it takes the longest.
        jobs = [(os.path.join(mxnet_folder, 'src', 'lib_api.cc'), flags + ['-O1', '-w'])]
        jobs += [(path, flags + ['-Wa,-I' + folder]) for path in sources.find('cc')]
        objects = [os.path.join(folder, '%d.o' % number) for number in range(len(jobs))]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda job, output: run([compiler] + job[1] + ['-c', job[0], '-o', output]), jobs, objects))
        run([compiler, '-shared', '-fopenmp', '-o', target] + objects + ['-ldl'])
    return cuda


def build(force=False):
    """Bring the library up to date; returns a line that says what was done. Raises BuildError, OSError."""
    mxnet_folder, version = find_mxnet()
    compiler, nvcc = find_compiler(), cuda_image.find_nvcc()
    lib_api = [os.path.join(mxnet_folder, *path) for path in (('include', 'mxnet', 'lib_api.h'), ('src', 'lib_api.cc'))]
    source_digest = sources.digest()
    key = sources.hash_files(lib_api + [__file__, cuda_image.__file__], source_digest, version, first_line(compiler),
                             run([nvcc, '--version']) if nvcc else '')[:16]
    name = 'libdff_operators-%s.so' % key
    manifest = sources.read_manifest()
    if manifest and manifest['key'] == key and os.path.isfile(os.path.join(sources.BUILD, name)) and not force:
        return 'native operators are up to date (%s)' % manifest['cuda']
    with atomic_path(os.path.join(sources.BUILD, name)) as temporary:
        cuda = compile_library(compiler, mxnet_folder, version, nvcc, temporary)
    with atomic_path(sources.MANIFEST) as temporary, open(temporary, 'w', encoding='utf-8') as file:
        json.dump(dict(library=name, key=key, sources=source_digest, mxnet=version, cuda=cuda), file, indent=1)
    # Processes that have an older library open keep it; nobody opens it anew.
    for other in os.listdir(sources.BUILD):
        if other.startswith('libdff_operators-') and other != name:
            os.remove(os.path.join(sources.BUILD, other))
    return 'native operators built for MXNet %s (%s)' % (version, cuda)


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--force', action='store_true', help='build even if nothing has changed')
    arguments = parser.parse_args()
    try:
        print(build(arguments.force))
    except (SetupError, OSError) as error:
        print("warning: the native operators are not built (%s); MXNet's own are used, slower" % error, file=sys.stderr)


if __name__ == '__main__':
    main()
