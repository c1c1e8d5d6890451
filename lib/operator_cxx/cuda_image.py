"""The CUDA half of the native library: what nvcc compiles ahead, and the source that NVRTC compiles at first use."""
import os
import re
import shutil

from lib.operator_cxx import sources

# MXNet's wheels serve compute capability 5.0 to 9.0; newer devices take the PTX of the newest.
OLDEST, NEWEST = 50, 90
# As on the CPU: no fused multiply-add, so that boxes and bins round alike everywhere.
NVCC_FLAGS = ['-std=c++11', '-O3', '--fmad=false', '-Wno-deprecated-gpu-targets']


def find_nvcc():
    """Path of nvcc (NVCC, PATH, CUDA_HOME or /usr/local/cuda), or None."""
    candidates = (os.environ.get('NVCC', 'nvcc'),
                  os.path.join(os.environ.get('CUDA_HOME', '/usr/local/cuda'), 'bin', 'nvcc'))
    return next((path for path in map(shutil.which, candidates) if path), None)


def merged_source():
    """All kernels as one text: every .cu file, its local headers included once, system headers left as they are."""
    seen, lines = set(), []

    def add(path):
        if path in seen:
            return
        seen.add(path)
        with open(path, encoding='utf-8') as file:
            for line in file:
                include = re.match(r'#include "(.+)"', line)
                if include:
                    add(os.path.normpath(os.path.join(os.path.dirname(path), include.group(1))))
                elif not line.startswith('#pragma once'):
                    lines.append(line)

    for path in sources.find('cu'):
        add(path)
    return ''.join(lines)


def architectures(nvcc, run):
    """Compute capabilities (50, 60, ...) to build for: of each major version within what MXNet
    serves the oldest, which its others run.
    """
    found = sorted(
        (int(number) for number in re.findall(r'compute_(\d+)\b', run([nvcc, '--list-gpu-arch']))),
        reverse=True)
    return sorted({number // 10: number for number in found if OLDEST <= number <= NEWEST}.values())


def write(folder, nvcc, run, error):
    """Write kernels.cu and kernels.fatbin (empty without nvcc) into `folder`; returns what was done, in words.

    `run(command)` runs a command and raises `error` if it fails: the library is then built without compiled kernels.
    """
    source, fatbin = os.path.join(folder, 'kernels.cu'), os.path.join(folder, 'kernels.fatbin')
    with open(source, 'w', encoding='utf-8') as file:
        file.write(merged_source())
    open(fatbin, 'wb').close()
    if not nvcc:
        return 'CUDA kernels are compiled at first use: no nvcc'
    try:
        supported = architectures(nvcc, run)
        targets = [['-gencode', 'arch=compute_%d,code=sm_%d' % (a, a)] for a in supported]
        targets.append(['-gencode', 'arch=compute_%d,code=compute_%d' % (supported[-1], supported[-1])])
        run([nvcc] + NVCC_FLAGS + ['-fatbin', source, '-o', fatbin] + [flag for target in targets for flag in target])
    except (error, IndexError) as problem:
        open(fatbin, 'wb').close()
        return 'CUDA kernels are compiled at first use: %s' % (problem or 'nvcc lists no architecture')
    return 'CUDA kernels for compute capability %s and newer' % ', '.join('%d.%d' % divmod(a, 10) for a in supported)
