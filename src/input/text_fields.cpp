// Where nobody names the text's field, one with a usual name is taken if there is no doubt.
#include "text_fields.h"

#include <algorithm>
#include <array>

#include "reviewrate/printable.h"
#include "reviewrate/text.h"

namespace reviewrate {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool is_usual_text_field(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kUsual = {"text",    "review", "reviewtext", "review_text",
                                                             "content", "body",   "comment"};
  constexpr std::size_t kLongest = 11;
  return name.size() <= kLongest &&
         std::find(kUsual.begin(), kUsual.end(), ascii_lower(std::string(name))) != kUsual.end();
}

std::size_t count_usual_text_fields(const std::vector<std::string>& names) {
  return static_cast<std::size_t>(std::count_if(names.begin(), names.end(), is_usual_text_field));
}

std::vector<std::string> listed_text_fields(const InputOptions& options) {
  std::vector<std::string> listed;
  const std::string& names = options.text_field;
  if (names.find(',') == std::string::npos) return listed;
  for (std::size_t begin = 0; begin <= names.size();) {
    const std::size_t end = std::min(names.find(',', begin), names.size());
    listed.push_back(names.substr(begin, end - begin));
    begin = end + 1;
  }
  return listed;
}

std::vector<std::string> find_text_fields(const std::vector<std::string>& names, const InputOptions& options) {
  if (contains(names, options.text_field)) return {options.text_field};
  std::vector<std::string> listed = listed_text_fields(options);
  const bool all =
      std::all_of(listed.begin(), listed.end(), [&](const std::string& one) { return contains(names, one); });
  if (!listed.empty() && all) return listed;
  if (options.text_field != InputOptions().text_field || count_usual_text_fields(names) != 1) return {};
  return {*std::find_if(names.begin(), names.end(), is_usual_text_field)};
}

void tell_text_field(const std::vector<std::string>& fields, const InputOptions& options) {
  if (fields.size() != 1 || fields.front() == options.text_field) return;
  options.notify(printable("the text is taken from \"" + fields.front() + "\"; --text-field says otherwise"));
}

}  // namespace reviewrate
