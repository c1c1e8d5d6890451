"""Native operators called as by MXNet with random attributes and inputs, sanitizers watching."""

import concurrent.futures
import os
import subprocess

import pytest

from lib.operator_cxx import build, sources
from tests.native.test_native_kernels import FLAGS, SANITIZERS, compiler  # noqa: F401  (a fixture)

ROUNDS = os.environ.get('DFF_REGISTERED_ROUNDS', '300')


@pytest.mark.slow
def test_what_is_let_through_stays_within_its_tensors(compiler, root, tmp_path):  # noqa: F811
    driver, folder = root / 'tests' / 'native', build.find_mxnet()[0]
    own = [
        path
        for path in sources.find('cc')
        if os.path.basename(path) not in ('gpu_api.cc', 'driver.cc')
    ]
    own.remove(
        os.path.join(sources.FOLDER, 'common', 'gpu.cc')
    )  # its embedded kernels; nothing here runs on a GPU
    program = str(tmp_path / 'registered_test')
    flags = FLAGS + SANITIZERS + ['-w', '-DDFF_MXNET_VERSION=10901']
    flags += [
        '-I' + path for path in (os.path.join(folder, 'include'), str(driver), sources.FOLDER)
    ]
    parts = [os.path.join(folder, 'src', 'lib_api.cc'), str(driver / 'registered_test.cc')] + own
    objects = [str(tmp_path / ('%d.o' % number)) for number in range(len(parts))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(
            pool.map(
                lambda part, made: build.run([compiler] + flags + ['-c', part, '-o', made]),
                parts,
                objects,
            )
        )
    build.run([compiler] + flags + objects + ['-o', program])
    # MXNet never frees its registry; where there is no memory for random sizes, the call fails.
    result = subprocess.run(
        [program, ROUNDS],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        env=dict(os.environ, ASAN_OPTIONS='detect_leaks=0:allocator_may_return_null=1'),
    )
    assert result.returncode == 0, result.stdout
    lines = result.stdout.splitlines()
    assert len(lines) == 23 and all(
        ': %s of %s good calls' % (ROUNDS, ROUNDS) in line for line in lines
    ), result.stdout
