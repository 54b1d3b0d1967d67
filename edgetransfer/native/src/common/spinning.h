// Waiting without a system call, for as long as falling asleep and being woken would take.
#pragma once

#include <chrono>

namespace native {

constexpr auto kSpinning = std::chrono::microseconds(20);
constexpr int kLooks = 64;  // between two looks at the clock

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Wait until ready(), some microseconds at most; false if it is not ready by then. To sleep is
// right after that: the core is then free for the thread that is waited for.
template <typename Ready>
bool spin(const Ready& ready) {
  const auto end = std::chrono::steady_clock::now() + kSpinning;
  do {
    for (int look = 0; look < kLooks; ++look) {
      if (ready()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

}  // namespace native
