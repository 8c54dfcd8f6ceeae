// Runs a fuzz target over the files of the given folders, without libFuzzer and so with any compiler. Exits 1 if a
// folder has none.
#include <algorithm>
#include <exception>
#include <iterator>
#include <vector>

#include "fuzz.h"

namespace {

/// How many files `folder` has.
std::size_t replay(const char* folder) {
  std::vector<std::filesystem::path> files(std::filesystem::directory_iterator{folder}, {});
  std::sort(files.begin(), files.end());
  for (const std::filesystem::path& file : files) {
    std::printf("%s\n", file.c_str());
    std::fflush(stdout);  // to be seen before a sanitizer's report
    std::ifstream stream(file, std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(stream), {});
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  return files.size();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    for (int i = 1; i < argc; ++i) {
      if (replay(argv[i]) == 0) {
        std::fprintf(stderr, "%s: has no files\n", argv[i]);
        return 1;
      }
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return argc > 1 ? 0 : 1;
}
