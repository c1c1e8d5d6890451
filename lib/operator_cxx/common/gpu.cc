#include "gpu.h"

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "driver.h"

// kernels.fatbin (compiled by nvcc, empty without it) and kernels.cu (their source, ending in 0), written by the build.
__asm__(
    ".section .rodata\n"
    ".balign 64\n"
    "dff_fatbin_begin: .incbin \"kernels.fatbin\"\n"
    "dff_fatbin_end: .byte 0\n"
    ".balign 64\n"
    "dff_source_begin: .incbin \"kernels.cu\"\n"
    ".byte 0\n"
    ".text\n");
extern "C" __attribute__((visibility("hidden"))) const char dff_fatbin_begin[], dff_fatbin_end[], dff_source_begin[];

namespace dff {
namespace {

const int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*

// PTX of the kernels for compute capability `capability` (80 for 8.0). Throws std::runtime_error with NVRTC's log.
std::string compile_ptx(int capability) {
  const Nvrtc& nvrtc = Nvrtc::get();
  NvrtcProgram program = nullptr;
  if (nvrtc.create(&program, dff_source_begin, "kernels.cu", 0, nullptr, nullptr)) throw std::runtime_error("NVRTC does not start");
  const std::string architecture = "--gpu-architecture=compute_" + std::to_string(capability);
  const char* options[] = {architecture.c_str(), "--std=c++11", "--fmad=false"};
  const bool failed = nvrtc.compile(program, 3, options) != 0;
  size_t size = 0;
  (failed ? nvrtc.log_size : nvrtc.ptx_size)(program, &size);
  std::string text(size, '\0');
  if (size) (failed ? nvrtc.log : nvrtc.ptx)(program, &text[0]);
  nvrtc.destroy(&program);
  if (failed) throw std::runtime_error("NVRTC cannot compile the kernels: " + text);
  return text;
}

// The kernels for the device of the current context: those that nvcc compiled if they suit it, else from source.
CuModule load_kernels(const Driver& driver) {
  CuModule module = nullptr;
  if (dff_fatbin_end > dff_fatbin_begin && driver.load_module(&module, dff_fatbin_begin) == 0) return module;
  CuDevice device = 0;
  int major = 0, minor = 0;
  driver.check(driver.get_device(&device), "finding the GPU");
  driver.check(driver.get_attribute(&major, kMajor, device), "asking for the compute capability");
  driver.check(driver.get_attribute(&minor, kMinor, device), "asking for the compute capability");
  std::string ptx;
  try {
    ptx = compile_ptx(major * 10 + minor);
  } catch (const std::runtime_error&) {
    ptx = compile_ptx(52);  // an NVRTC older than the GPU: PTX for any device it knows, which the driver translates
  }
  driver.check(driver.load_module(&module, ptx.c_str()), "loading the CUDA kernels");
  return module;
}

// A kernel in the current context; modules and functions are loaded once for each context.
CuFunction find_kernel(const Driver& driver, const char* name) {
  static std::mutex mutex;
  static std::map<CuContext, CuModule> modules;
  static std::map<std::pair<CuContext, std::string>, CuFunction> functions;
  CuContext context = nullptr;
  driver.check(driver.get_context(&context), "finding the CUDA context");
  if (!context) throw std::runtime_error("no CUDA context in this thread");
  std::lock_guard<std::mutex> lock(mutex);
  CuFunction& function = functions[std::make_pair(context, std::string(name))];
  if (!function) {
    CuModule& module = modules[context];
    if (!module) module = load_kernels(driver);
    driver.check(driver.get_function(&function, module, name), name);
  }
  return function;
}

}  // namespace

void GpuQueue::run(const char* name, Grid grid, unsigned int threads, void** arguments) {
  const Driver& driver = Driver::get();
  driver.check(driver.launch(find_kernel(driver, name), grid.x, grid.y, grid.z, threads, 1, 1, 0, stream_, arguments, nullptr), name);
}

void GpuQueue::zero(void* memory, size_t bytes) {
  const Driver& driver = Driver::get();
  if (bytes) driver.check(driver.set_bytes(memory, 0, bytes, stream_), "clearing GPU memory");
}

}  // namespace dff
