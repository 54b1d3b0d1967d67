// Runs a plan from files on a processor that Python is not at hand for:
//     run_plan WORDS NUMBERS IMAGES COUNT THREADS OUT OUT_FLOATS
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" {
void* sparse_open(const int64_t*, int64_t, const float*, int64_t, int64_t, char*, int64_t);
int sparse_run(void*, const float*, int64_t, float*, char*, int64_t);
void sparse_close(void*);
}

template <typename T>
std::vector<T> read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  const T* first = reinterpret_cast<const T*>(bytes.data());
  return std::vector<T>(first, first + bytes.size() / sizeof(T));
}

int main(int, char** arguments) {
  const auto words = read<int64_t>(arguments[1]);
  const auto numbers = read<float>(arguments[2]), images = read<float>(arguments[3]);
  char error[512] = "";
  void* session =
      sparse_open(words.data(), static_cast<int64_t>(words.size()), numbers.data(),
                  static_cast<int64_t>(numbers.size()), std::atoi(arguments[5]), error, 512);
  std::vector<float> out(std::strtoul(arguments[7], nullptr, 10));
  if (!session ||
      sparse_run(session, images.data(), std::atoi(arguments[4]), out.data(), error, 512)) {
    std::fprintf(stderr, "%s\n", error);
    return 1;
  }
  sparse_close(session);
  std::ofstream(arguments[6], std::ios::binary)
      .write(reinterpret_cast<const char*>(out.data()),
             static_cast<std::streamsize>(out.size() * sizeof(float)));
  return 0;
}
