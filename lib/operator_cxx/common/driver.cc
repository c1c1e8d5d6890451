#include "driver.h"

#include <dlfcn.h>

#include <initializer_list>
#include <stdexcept>
#include <string>

namespace dff {
namespace {

// A library that is loaded already under one of the names, or else the first that can be opened.
void* open_library(std::initializer_list<const char*> names, const char* missing) {
  for (const int mode : {RTLD_NOW | RTLD_NOLOAD, RTLD_NOW}) {
    for (const char* name : names) {
      if (void* library = dlopen(name, mode)) return library;
    }
  }
  throw std::runtime_error(missing);
}

template <typename Function>
void find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  if (!*function) throw std::runtime_error(std::string("this CUDA installation is too old: it has no ") + name);
}

Driver find_driver() {
  void* library = open_library({"libcuda.so.1", "libcuda.so"}, "libcuda.so.1 is missing: install the NVIDIA driver");
  Driver d;
  find(library, "cuCtxGetCurrent", &d.get_context);
  find(library, "cuCtxGetDevice", &d.get_device);
  find(library, "cuDeviceGetAttribute", &d.get_attribute);
  find(library, "cuModuleLoadData", &d.load_module);
  find(library, "cuModuleGetFunction", &d.get_function);
  find(library, "cuLaunchKernel", &d.launch);
  find(library, "cuMemsetD8Async", &d.set_bytes);
  find(library, "cuGetErrorString", &d.error_string);
  return d;
}

Nvrtc find_nvrtc() {
  void* library = open_library({"libnvrtc.so.11.2", "libnvrtc.so.11.1", "libnvrtc.so.11.0", "libnvrtc.so.12", "libnvrtc.so.13",
                                "libnvrtc.so"}, "libnvrtc is missing: pip install nvidia-cuda-nvrtc-cu11");
  Nvrtc n;
  find(library, "nvrtcCreateProgram", &n.create);
  find(library, "nvrtcCompileProgram", &n.compile);
  find(library, "nvrtcGetPTXSize", &n.ptx_size);
  find(library, "nvrtcGetPTX", &n.ptx);
  find(library, "nvrtcGetProgramLogSize", &n.log_size);
  find(library, "nvrtcGetProgramLog", &n.log);
  find(library, "nvrtcDestroyProgram", &n.destroy);
  return n;
}

}  // namespace

const Driver& Driver::get() {
  static const Driver driver = find_driver();
  return driver;
}

void Driver::check(CuResult result, const char* doing) const {
  if (result == 0) return;
  const char* words = nullptr;
  error_string(result, &words);
  throw std::runtime_error(std::string(doing) + ": " + (words ? words : "unknown CUDA error ") + " (" + std::to_string(result) + ")");
}

const Nvrtc& Nvrtc::get() {
  static const Nvrtc nvrtc = find_nvrtc();
  return nvrtc;
}

}  // namespace dff
