#!/bin/sh
# Compiles a libcuda.so.1 that answers "no device", so that MXNet's GPU wheel can be imported where there is no NVIDIA driver.
# usage: sh make_stub_libcuda.sh FOLDER
set -eu
[ $# -eq 1 ] || { echo 'usage: sh make_stub_libcuda.sh FOLDER' >&2; exit 2; }
mkdir -p "$1"
# The functions of the driver that libmxnet.so links by name; every one returns CUDA_ERROR_NO_DEVICE.
for function in cuDeviceGet cuDevicePrimaryCtxRetain cuGetErrorString cuGraphKernelNodeGetParams cuGraphNodeGetType cuInit \
                cuLaunchKernel cuModuleGetFunction cuModuleLoadData cuModuleLoadDataEx cuModuleUnload; do
    echo "int $function(void) { return 100; }"
done >"$1/stub.c"
"${CC:-cc}" -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$1/libcuda.so.1" "$1/stub.c"
rm "$1/stub.c"
echo "$1/libcuda.so.1"
