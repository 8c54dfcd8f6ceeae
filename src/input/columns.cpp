// Columns may come in another order, but not by other names.
#include "columns.h"

#include <algorithm>

#include "reviewrate/byte_stream.h"

namespace reviewrate {
namespace {

constexpr const char* kAdvice = "; rate it by itself, or with -f jsonl, where each record keeps its own fields";

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string Columns::complaint(const std::vector<std::string>& names) const {
  for (const std::string& name : names) {
    if (contains(options_.reserved, name)) {
      return "\"" + name + "\" is the name of a field and of a column that is added; --prefix gives that another name";
    }
    if (options_.one_table && !contains(first_, name)) {
      return "\"" + name + "\" is none of the first record's fields, and a table has the same ones in every row" +
             kAdvice;
    }
  }
  return {};
}

void Columns::take_table(const std::vector<std::string>& names) {
  note(names);
  std::string reason = complaint(names);
  const auto missing =
      std::find_if(first_.begin(), first_.end(), [&](const std::string& name) { return !contains(names, name); });
  if (reason.empty() && options_.one_table && missing != first_.end()) {
    reason = "there is no column \"" + *missing + "\", which the first table has, and they become one table" + kAdvice;
  }
  if (!reason.empty()) throw InputFailure("columns", reason);
}

std::string Columns::take_record(const std::vector<Field>& fields) {
  std::vector<std::string> names;
  for (const Field& field : fields) names.push_back(field.name);
  note(names);
  return complaint(names);
}

void Columns::note(const std::vector<std::string>& names) {
  if (first_.empty()) first_ = names;
}

}  // namespace reviewrate
