// The few functions of the CUDA driver and of NVRTC that are used, found at run time.
#pragma once
#include <stddef.h>

namespace dff {

typedef int CuResult;
typedef int CuDevice;
typedef struct CuContextTag* CuContext;
typedef struct CuModuleTag* CuModule;
typedef struct CuFunctionTag* CuFunction;
typedef struct NvrtcProgramTag* NvrtcProgram;

struct Driver {
  CuResult (*get_context)(CuContext*);
  CuResult (*get_device)(CuDevice*);
  CuResult (*get_attribute)(int*, int, CuDevice);
  CuResult (*load_module)(CuModule*, const void*);
  CuResult (*get_function)(CuFunction*, CuModule, const char*);
  CuResult (*launch)(CuFunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
  CuResult (*set_bytes)(void*, unsigned char, size_t, void*);
  CuResult (*error_string)(CuResult, const char**);

  // The process's driver. Throws std::runtime_error where there is none.
  static const Driver& get();

  // Throws std::runtime_error("<doing>: <the driver's words>") unless `result` is success.
  void check(CuResult result, const char* doing) const;
};

struct Nvrtc {
  int (*create)(NvrtcProgram*, const char*, const char*, int, const char* const*, const char* const*);
  int (*compile)(NvrtcProgram, int, const char* const*);
  int (*ptx_size)(NvrtcProgram, size_t*);
  int (*ptx)(NvrtcProgram, char*);
  int (*log_size)(NvrtcProgram, size_t*);
  int (*log)(NvrtcProgram, char*);
  int (*destroy)(NvrtcProgram*);

  // The NVRTC that MXNet's wheel has loaded, or one of the system. Throws std::runtime_error where there is none.
  static const Nvrtc& get();
};

}  // namespace dff
