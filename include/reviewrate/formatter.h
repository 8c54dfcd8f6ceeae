// From outcomes to the bytes of jsonl, csv, tsv and text.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reviewrate/record.h"

namespace reviewrate {

enum class OutputFormat { text, jsonl, csv, tsv, parquet, arrow };

/// Whether records are rows below a header.
inline bool is_table(OutputFormat format) { return format == OutputFormat::csv || format == OutputFormat::tsv; }

/// Whether records are rows of columns that have to be known before the first one is written.
inline bool has_columns(OutputFormat format) { return format != OutputFormat::text && format != OutputFormat::jsonl; }

/// Whether they are no text.
inline bool is_binary(OutputFormat format) { return format == OutputFormat::parquet || format == OutputFormat::arrow; }

/// What the records look like.
struct OutputOptions {
  OutputFormat format = OutputFormat::jsonl;
  std::vector<std::string> labels;           ///< names, by label index
  std::optional<std::size_t> positive = {};  ///< text: the label that is shown as a good one, if one is
  bool color = false;                        ///< text: labels and ratings have colors
  std::vector<std::string> pass;             ///< where there are columns: the passed ones, in order
  bool annotate = false;                     ///< passed fields as they were read, and behind them the program's own
  std::vector<std::string> columns;  ///< to annotate where there are columns: the fields that are read, in order
  std::vector<std::string> own;      ///< to annotate: the own fields of column_names() to add, in order; empty: all
  std::string prefix;                ///< to annotate: stands before the names of own fields but the id
  std::size_t text_width = 80;       ///< text: how many columns a line may take; 0: as many as it needs
  bool on_terminal = false;  ///< csv, tsv: cells are without what a terminal obeys; nobody reads them back there
  bool unsure = false;       ///< predictions may be unsure
  bool explained = false;    ///< predictions may have explanations
  bool effort = false;       ///< predictions tell the effort
  bool wrap = false;         ///< text: the whole review below each line
};

/// Writes outcomes as bytes.
class Formatter {
 public:
  virtual ~Formatter() = default;

  /// What stands before the first record: the column names of csv and tsv, else nothing.
  virtual std::string header() const { return {}; }

  /// Appends one record with its line end; Parquet and Arrow take it for later.
  virtual void append(const Outcome& outcome, std::string& out) = 0;

  /// Appends what a reader should have by now.
  virtual void flush(std::string& out) { static_cast<void>(out); }

  /// Appends what stands behind the last record. If none came, Parquet and Arrow take the types of the input's columns
  /// from `types`.
  virtual void finish(const ArrowBatch& types, std::string& out) {
    static_cast<void>(types);
    static_cast<void>(out);
  }
};

/// Whether records tell the probability of each label: of two labels the score says both.
bool has_scores(const std::vector<std::string>& labels);

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

/// `explanation` of the review `text` as a JSON object.
std::string explanation_json(const Explanation& explanation, const std::string& text);

}  // namespace reviewrate
