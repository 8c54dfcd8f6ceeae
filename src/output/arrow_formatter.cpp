// Parquet and Arrow: a record as cells of columns with types. Arrow itself is in a module of its own.
#include <algorithm>
#include <utility>

#include "own_columns.h"

namespace reviewrate {
namespace {

class ArrowFormatter final : public Formatter {
 public:
  explicit ArrowFormatter(const OutputOptions& options) : options_(options), own_(chosen_columns(options)) {
    std::vector<ArrowColumn> columns;
    for (const std::string& name : options.columns) columns.push_back({name, ArrowType::text, name});
    if (has_id(options.columns)) {
      std::erase_if(own_, [](const OwnColumn& column) { return column.name == "id"; });
    }
    for (const OwnColumn& column : own_) {
      columns.push_back({options.annotate ? added_name(column, options) : std::string(column.name), column.type});
    }
    const std::vector<std::string> names = passed_names({options.pass.begin(), options.pass.end()});
    for (std::size_t i = 0; i < names.size(); ++i) columns.push_back({names[i], ArrowType::text, options.pass[i]});
    writer_ = arrow_module().make_writer(options.format == OutputFormat::parquet, std::move(columns));
  }

  void append(const Outcome& outcome, std::string& out) override {
    std::vector<std::optional<Value>> cells;
    add_passed(outcome.review, options_.columns, cells);
    for (const OwnColumn& column : own_) {
      cells.push_back(column.value(outcome, options_.labels));
      if (!cells.back() && *column.absent != '\0') cells.back() = Value{column.absent, true};
    }
    add_passed(outcome.review, options_.pass, cells);
    writer_->add(outcome.review.place, std::move(cells), out);
  }

  void flush(std::string& out) override { writer_->flush(out); }
  void finish(const ArrowBatch& types, std::string& out) override { writer_->finish(types, out); }

 private:
  static void add_passed(const Review& review, const std::vector<std::string>& names,
                         std::vector<std::optional<Value>>& cells) {
    for (const std::string& name : names) {
      const auto found = std::find_if(review.passed.begin(), review.passed.end(),
                                      [&](const Field& field) { return field.name == name; });
      cells.push_back(found == review.passed.end() ? std::optional<Value>() : found->value);
    }
  }

  const OutputOptions options_;
  std::vector<OwnColumn> own_;
  std::unique_ptr<ArrowWriter> writer_;
};

}  // namespace

std::unique_ptr<Formatter> make_arrow_formatter(const OutputOptions& options) {
  return std::make_unique<ArrowFormatter>(options);
}

}  // namespace reviewrate
