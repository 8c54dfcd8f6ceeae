// Columns may come in another order, but not by other names.
#include "columns.h"

#include <algorithm>
#include <utility>

#include "../arrow/arrow_module.h"
#include "reviewrate/byte_stream.h"

namespace reviewrate {
namespace {

constexpr const char* kAdvice = "; rate it by itself, or with -f jsonl, where each record keeps its own fields";

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string clash(const std::string& name, const std::string& type, const std::string& first) {
  return "the column \"" + name + "\" is " + type + " here and " + first +
         " in an earlier file, and has one type in Parquet and Arrow" + kAdvice;
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

void ColumnTypes::take_table(const ArrowBatch& types, const std::vector<std::string>& names) {
  if (std::exchange(last_, types) == types) return;
  for (const std::string& name : options_.annotate ? names : options_.pass) {
    const std::string type = arrow_module().type_of(types, name);
    if (type.empty()) continue;
    const std::string& first = types_.emplace(name, type).first->second;
    if (first == kArrowText || first == type) continue;
    throw InputFailure("columns", clash(name, type == kArrowText ? "text" : type, first));
  }
}

std::string ColumnTypes::take_record(const std::vector<Field>& fields) {
  for (const Field& field : fields) {
    if (field.value.json && field.value.text == "null") continue;
    const std::string& first = types_.emplace(field.name, kArrowText).first->second;
    if (first != kArrowText) return clash(field.name, "text", first);
  }
  return {};
}

void Columns::note(const std::vector<std::string>& names) {
  if (first_.empty()) first_ = names;
}

}  // namespace reviewrate
