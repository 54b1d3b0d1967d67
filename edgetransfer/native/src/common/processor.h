// Which kernels run here: one choice for the sparse engine and for the steps of heads.
#pragma once

namespace native {

enum class Kernels { portable, avx2, avx512 };

struct Processor {
  Kernels kernels;
  bool generates;  // code beside them, where there is a generator for them
};

// What this processor can do, or less where the environment variable EDGETRANSFER_ISA says so:
// `avx512-rows`, `avx2`, `avx2-rows` (rows: no generated code) or `portable`.
Processor choose_processor();

}  // namespace native
