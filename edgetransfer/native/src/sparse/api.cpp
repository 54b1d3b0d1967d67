// The C interface that Python calls. No exception passes it; a call that fails returns null or 1
// and leaves a sentence in `error`.
#include <cstdio>
#include <cstring>
#include <memory>

#include "session.h"

#if defined(_WIN32)
#define SPARSE_API extern "C" __declspec(dllexport)
#else
#define SPARSE_API extern "C" __attribute__((visibility("default")))
#endif

namespace {

template <typename F>
bool guarded(char* error, int64_t capacity, F call) {
  const char* what = "an unknown error";
  try {
    call();
    return true;
  } catch (const std::bad_alloc&) {
    what = "not enough memory";
    std::snprintf(error, static_cast<size_t>(capacity), "%s", what);
  } catch (const std::exception& caught) {
    std::snprintf(error, static_cast<size_t>(capacity), "%s", caught.what());
  } catch (...) { std::snprintf(error, static_cast<size_t>(capacity), "%s", what); }
  return false;
}

}  // namespace

SPARSE_API const char* sparse_instruction_set() {
  sparse::Generator generator{};
  return sparse::choose_kernels(generator).name;
}

SPARSE_API void* sparse_open(const int64_t* words, int64_t word_count, const float* numbers,
                             int64_t number_count, int64_t threads, char* error, int64_t capacity) {
  void* session = nullptr;
  guarded(error, capacity, [&] {
    auto network = std::make_unique<sparse::Network>(words, word_count, numbers, number_count);
    session = new sparse::Session(std::move(network), static_cast<int>(threads));
  });
  return session;
}

SPARSE_API int sparse_run(void* session, const float* images, int64_t count, float* out,
                          char* error, int64_t capacity) {
  return guarded(error, capacity,
                 [&] { static_cast<sparse::Session*>(session)->run({images, out, count}); })
             ? 0
             : 1;
}

// Which form each operator runs in, its weights that are not zero, and the bytes of its code.
SPARSE_API void sparse_describe(void* session, int64_t* forms, int64_t* weights,
                                int64_t* code_bytes) {
  const auto& operators = static_cast<sparse::Session*>(session)->network().operators;
  for (size_t i = 0; i < operators.size(); ++i) {
    forms[i] = static_cast<int64_t>(operators[i].form);
    weights[i] = operators[i].weights;
    code_bytes[i] = operators[i].code_bytes;
  }
}

// Switch the clocks of the operators on or off, and read and reset them.
SPARSE_API void sparse_profile(void* session, int on, double* seconds) {
  auto* opened = static_cast<sparse::Session*>(session);
  opened->profile(on != 0);
  opened->take_profile(seconds);
}

// Run `rounds` of multiply-adds in registers alone; gives back how many a round has.
SPARSE_API int64_t sparse_spin(int64_t rounds) {
  sparse::Generator generator{};
  volatile float kept = sparse::choose_kernels(generator).spin(rounds);
  (void)kept;
  return sparse::kPeakAdds;
}

SPARSE_API int64_t sparse_memory(void* session) {
  return static_cast<sparse::Session*>(session)->memory();
}

SPARSE_API void sparse_close(void* session) { delete static_cast<sparse::Session*>(session); }
