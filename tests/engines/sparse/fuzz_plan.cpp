// Opens and runs damaged plans, to be built with sanitizers:
//     fuzz_plan SEED COUNT FOLDER...
// Each folder holds a plan in two files, `words` and `numbers`. A plan is damaged in a few words
// and handed to the library, which may refuse it or run it, but neither crash nor read what is not
// its own. Prints how many of them were refused and how many were run.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

extern "C" {
void* sparse_open(const int64_t*, int64_t, const float*, int64_t, int64_t, char*, int64_t);
int sparse_run(void*, const float*, int64_t, float*, char*, int64_t);
void sparse_close(void*);
}

namespace {

constexpr int64_t kHeader = 3;             // magic, version, number of tensors; then their shapes
constexpr int64_t kMostNumbers = 200'000;  // of all tensors of a plan that is run

struct Plan {
  std::vector<int64_t> words;
  std::vector<float> numbers;
};

template <typename T>
std::vector<T> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  const T* first = reinterpret_cast<const T*>(bytes.data());
  return std::vector<T>(first, first + bytes.size() / sizeof(T));
}

int64_t damaged(std::mt19937_64& random, int64_t value, const std::vector<int64_t>& words) {
  constexpr int64_t kEdges[] = {-1,
                                0,
                                1,
                                2,
                                63,
                                64,
                                65,
                                4096,
                                4097,
                                1 << 14,
                                1 << 20,
                                1 << 26,
                                int64_t{1} << 32,
                                int64_t{1} << 40,
                                std::numeric_limits<int64_t>::max(),
                                std::numeric_limits<int64_t>::min()};
  switch (random() % 6) {
    case 0: return static_cast<int64_t>(static_cast<uint64_t>(value) + 1);
    case 1: return static_cast<int64_t>(static_cast<uint64_t>(value) - 1);
    case 2: return kEdges[random() % std::size(kEdges)];
    case 3: return words[random() % words.size()];
    case 4: return static_cast<int64_t>(random() % 20);
    default:
      return static_cast<int64_t>(static_cast<uint64_t>(value) ^ uint64_t{1} << (random() % 64));
  }
}

// The numbers of one image of each tensor together, or -1 where there are too many to run.
int64_t numbers_of(const std::vector<int64_t>& words, int64_t tensor) {
  const int64_t* shape = words.data() + kHeader + 3 * tensor;
  return shape[0] * shape[1] * shape[2];
}

bool small(const std::vector<int64_t>& words) {
  int64_t sum = 0;
  for (int64_t t = 0; t < words[2]; ++t)
    if ((sum += numbers_of(words, t)) > kMostNumbers) return false;
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  std::mt19937_64 random(std::strtoull(arguments[1], nullptr, 10));
  std::vector<Plan> plans;
  for (int i = 3; i < count; ++i) {
    const std::string folder = arguments[i];
    plans.push_back({read<int64_t>(folder + "/words"), read<float>(folder + "/numbers")});
  }
  int64_t refused = 0, run = 0;
  for (int64_t i = std::atoll(arguments[2]); i > 0; --i) {
    const Plan& plan = plans[random() % plans.size()];
    std::vector<int64_t> words = plan.words;
    std::vector<float> numbers = plan.numbers;
    for (int n = 1 + static_cast<int>(random() % 4); n > 0; --n) {
      int64_t& word = words[random() % words.size()];
      word = damaged(random, word, words);
    }
    if (random() % 8 == 0) words.resize(random() % words.size());
    if (random() % 8 == 0) numbers.resize(random() % (numbers.size() + 1));
    words.shrink_to_fit();
    numbers.shrink_to_fit();
    char error[512] = "";
    const int threads = 1 + static_cast<int>(random() % 3);
    void* session =
        sparse_open(words.data(), static_cast<int64_t>(words.size()), numbers.data(),
                    static_cast<int64_t>(numbers.size()), threads, error, sizeof(error));
    if (!session) {
      ++refused;
      continue;
    }
    if (small(words)) {
      const int64_t images = 1 + static_cast<int64_t>(random() % 35);
      const int64_t place = kHeader + 3 * words[2];
      std::vector<float> given(static_cast<size_t>(images * numbers_of(words, words[place])));
      std::vector<float> out(static_cast<size_t>(images * numbers_of(words, words[place + 1])));
      sparse_run(session, given.data(), images, out.data(), error, sizeof(error));
      ++run;
    }
    sparse_close(session);
  }
  std::printf("%lld refused, %lld run\n", static_cast<long long>(refused),
              static_cast<long long>(run));
  return 0;
}
