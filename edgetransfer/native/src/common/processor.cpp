#include "processor.h"

#include <cstdlib>
#include <string>

namespace native {

Processor choose_processor() {
  const char* asked = std::getenv("EDGETRANSFER_ISA");
  const std::string isa = asked ? asked : "";
#if defined(__x86_64__)
  const bool generates = isa != "avx512-rows" && isa != "avx2-rows";
  const bool at_most_avx2 = isa == "avx2" || isa == "avx2-rows";
  __builtin_cpu_init();
  if (isa != "portable") {
    if (!at_most_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
      return {Kernels::avx512, generates};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      return {Kernels::avx2, generates};
  }
#endif
  return {Kernels::portable, false};
}

}  // namespace native
