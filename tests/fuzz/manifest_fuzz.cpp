// Fuzz target: manifest.json, which is either refused in one line or good in all its values.
#include <algorithm>

#include "fuzz.h"
#include "reviewrate/error.h"
#include "reviewrate/manifest.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

namespace {

void check_file(const PackageFile& file, const std::string& dir) {
  check(file.path.starts_with(dir + "/") && file.path.find("..") == std::string::npos, "files are in the package");
  check(file.path.find('\0') == std::string::npos, "a path has no NUL");
  check(file.sha256.size() == 64, "every file has a checksum");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TempFolder folder;
  folder.write("manifest.json", as_text(data, size));
  try {
    const Manifest manifest = read_manifest(folder.path());
    check_file(manifest.model, folder.path());
    check_file(manifest.vocab, folder.path());
    if (manifest.reference) check_file(*manifest.reference, folder.path());
    check(manifest.labels.size() >= 2, "there are two labels");
    check(!manifest.positive || *manifest.positive < manifest.labels.size(), "the positive label is one of them");
    check(manifest.max_tokens >= 3 && manifest.max_tokens <= 65'536, "max_tokens is in its bounds");
    check(!manifest.precisions.empty(), "there is a precision");
    if (manifest.rating_thresholds) {
      check(std::is_sorted(manifest.rating_thresholds->begin(), manifest.rating_thresholds->end()),
            "the thresholds ascend");
    }
  } catch (const Error& error) {
    check(error.kind() == ErrorKind::model, "the model is to blame");
    check(is_one_line(error.what()), "a message is one line of UTF-8");
  }
  return 0;
}
