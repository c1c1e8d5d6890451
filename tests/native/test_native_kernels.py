"""Every native kernel over random, degenerate and hostile inputs, with AddressSanitizer and UBSan watching.

The CUDA kernels run too, emulated on the CPU (tests/native/emulate_cuda.h); tests/gpu runs them on a GPU.
"""
import os
import subprocess

import pytest

from lib.operator_cxx import build, sources
from lib.operator_cxx.build import BuildError

SANITIZERS = ['-fsanitize=address,undefined,float-cast-overflow', '-fno-sanitize-recover=undefined']
# Function clones are chosen before the sanitizer is ready; one version of each is what can be watched.
FLAGS = ['-std=c++14', '-g', '-O1', '-ffp-contract=off', '-fopenmp', '-Wno-unknown-pragmas', '-Wno-psabi',
         '-DDFF_NO_CLONES']
ROUNDS = os.environ.get('DFF_KERNEL_ROUNDS', '10')


@pytest.fixture(scope='module')
def compiler(tmp_path_factory):
    """A compiler that can build with sanitizers; the tests are skipped without one."""
    try:
        name = build.find_compiler()
        probe = tmp_path_factory.mktemp('probe') / 'probe.cc'
        probe.write_text('int main() { return 0; }\n')
        build.run([name] + FLAGS + SANITIZERS + [str(probe), '-o', str(probe.with_suffix(''))])
    except BuildError as error:
        pytest.skip('no compiler with sanitizers: %s' % error)
    return name


@pytest.mark.slow
def test_kernels_under_sanitizers(compiler, root, tmp_path):
    driver = root / 'tests' / 'native'
    names = ('cpu.cc', 'gpu.cc', 'nms.cc', 'gemm.cc', 'links.cc', 'product.cc', 'maps.cc', 'features.cc',
             'scores.cc', 'matches.cc')
    kernels = [path for path in sources.find('cc') if os.path.basename(path) in names]
    kernels.remove(os.path.join(sources.FOLDER, 'common', 'gpu.cc'))  # the real driver; the test brings an emulated one
    program = str(tmp_path / 'kernels_test')
    build.run([compiler] + FLAGS + SANITIZERS
              + ['-I' + str(driver), '-I' + sources.FOLDER, str(driver / 'kernels_test.cc'),
                 str(driver / 'cpu_only_test.cc')] + kernels + ['-o', program])
    result = subprocess.run([program, ROUNDS], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            universal_newlines=True)
    assert result.returncode == 0, result.stdout
    assert '%s rounds of every kernel' % ROUNDS in result.stdout


def test_sanitizers_see_a_bad_access(compiler, tmp_path):
    source = tmp_path / 'bad.cc'
    source.write_text('#include <vector>\nint main(int n, char**) { std::vector<float> v(n); return v.data()[n]; }\n')
    build.run([compiler] + FLAGS + SANITIZERS + [str(source), '-o', str(tmp_path / 'bad')])
    result = subprocess.run([str(tmp_path / 'bad')], stderr=subprocess.PIPE, universal_newlines=True)
    assert result.returncode != 0 and 'heap-buffer-overflow' in result.stderr
