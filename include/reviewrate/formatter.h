// From outcomes to the bytes of jsonl, csv, tsv and text.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reviewrate/record.h"

namespace reviewrate {

enum class OutputFormat { text, jsonl, csv, tsv };

/// Whether records are rows below a header.
inline bool is_table(OutputFormat format) { return format == OutputFormat::csv || format == OutputFormat::tsv; }

/// What the records look like.
struct OutputOptions {
  OutputFormat format = OutputFormat::jsonl;
  std::vector<std::string> labels;           ///< names, by label index
  std::optional<std::size_t> positive = {};  ///< text: the label that is shown as a good one, if one is
  bool color = false;                        ///< text: labels and ratings have colors
  std::vector<std::string> pass;             ///< csv and tsv: the passed columns, in order
  bool annotate = false;                     ///< passed fields as they were read, and behind them the program's own
  std::vector<std::string> columns;          ///< to annotate csv and tsv: the fields that are read, in order
  std::vector<std::string> own;  ///< to annotate: the own fields of column_names() to add, in order; empty: all
  std::string prefix;            ///< to annotate: stands before the names of own fields but the id
  std::size_t text_width = 80;   ///< text: how many columns a line may take; 0: as many as it needs
  bool on_terminal = false;      ///< csv, tsv: cells are without what a terminal obeys; nobody reads them back there
  bool wrap = false;             ///< text: the whole review below each line
};

/// Writes outcomes as text; immutable, so that it can be shared.
class Formatter {
 public:
  virtual ~Formatter() = default;

  /// What stands before the first record: the column names of csv and tsv, else nothing.
  virtual std::string header() const { return {}; }

  /// Appends one record with its line end.
  virtual void append(const Outcome& outcome, std::string& out) const = 0;
};

/// The names that OutputOptions::own may have.
std::vector<std::string> column_names();

/// To annotate: the names that no field that is read may have. The id is none of them: it is added only where no field
/// has its name.
std::vector<std::string> added_names(const OutputOptions& options);

/// What tells a failed record: the field that only such a one has, or the column that is empty in all others.
std::string failure_name(const OutputOptions& options);

/// The formatter for `options`.
std::unique_ptr<Formatter> make_formatter(const OutputOptions& options);

/// `text` (valid UTF-8) as a JSON string with its quotes.
std::string json_string(const std::string& text);

}  // namespace reviewrate
