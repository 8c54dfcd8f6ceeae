// What the fields of annotated records are called, so that what is added to them clashes with none and all fit
// together.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reviewrate/input.h"

namespace reviewrate {

/// Compares the fields of each record with those of the first one and with InputOptions::reserved.
class Columns {
 public:
  /// `options` must outlive it.
  explicit Columns(const InputOptions& options) : options_(options) {}

  /// The columns of a table of which no record was taken yet. Throws InputFailure if they do not fit.
  void take_table(const std::vector<std::string>& names);

  /// The fields of a record that stands in no table. What is wrong with them, for people; empty: nothing.
  std::string take_record(const std::vector<Field>& fields);

  /// Notes the columns of a table without records; they are the first ones if there were none.
  void note(const std::vector<std::string>& names);

  /// The first ones; empty until then.
  const std::vector<std::string>& first() const { return first_; }

 private:
  std::string complaint(const std::vector<std::string>& names) const;

  const InputOptions& options_;
  std::vector<std::string> first_;
};

/// The types of the fields that are carried, where the output has one for each. The first record that has a field says
/// it; in lines, JSON and tables of text all are text, and what is text can be made of anything later.
class ColumnTypes {
 public:
  /// `options` must outlive it.
  explicit ColumnTypes(const InputOptions& options) : options_(options) {}

  /// A record of Parquet or Arrow; `types` are InputFindings::types of its file. Throws InputFailure if one of them
  /// does not fit, and so none of its records does.
  void take_table(const ArrowBatch& types, const std::vector<std::string>& names);

  /// The fields of any other record. What is wrong with them, for people; empty: nothing.
  std::string take_record(const std::vector<Field>& fields);

 private:
  const InputOptions& options_;
  std::map<std::string, std::string> types_;  // by the field's name, as Arrow calls them
  ArrowBatch last_;                           // the table that was taken
};

}  // namespace reviewrate
