// A request of any number of records: they go to the model as they come, their answers back in the same order.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "context.h"
#include "reviewrate/record_reader.h"

namespace reviewrate::server {

/// Why the model cannot be asked to explain what takes it `tokens`: more than `most`.
std::string too_much_to_explain(std::size_t tokens, std::size_t most);

/// Bytes of records in, bytes of answers out. Holds a bounded number of records that are not answered, so that many
/// streams share the model.
class RecordStream : public std::enable_shared_from_this<RecordStream> {
 public:
  /// Every record is explained by `explain`, if it is set. `changed` is called when there is more output, or more input
  /// is wanted.
  RecordStream(Context& context, const InputOptions& options, std::optional<ExplainUnit> explain,
               std::function<void()> changed);
  ~RecordStream();
  RecordStream(const RecordStream&) = delete;
  RecordStream& operator=(const RecordStream&) = delete;

  /// Takes the next bytes; they have to stay where they are until wants_input() or finished(). `last`: there are no
  /// more behind them.
  void feed(std::string_view bytes, bool last);

  bool wants_input() const;

  /// Takes at most `most` bytes of what there is to send.
  std::string take_output(std::size_t most);
  bool has_output() const { return sent_ < output_.size(); }

  /// Every record is answered; the rest of the output is the last.
  bool finished() const { return ended_ && unanswered_ == 0; }

  /// Nobody waits for the answers any more: no further record is read.
  void abandon();

  std::size_t reviews() const { return reviews_; }
  std::size_t tokens() const { return tokens_; }

 private:
  void read_records();
  void take(const Outcome& outcome, std::size_t estimate);

  Context& context_;
  const InputOptions options_;
  const std::optional<ExplainUnit> explain_;
  const std::unique_ptr<RecordReader> reader_;
  std::function<void()> changed_;
  std::string_view input_;
  bool last_ = false;
  bool ended_ = false;  ///< the last record was read
  std::size_t unanswered_ = 0;
  std::size_t unanswered_tokens_ = 0;
  std::string output_;
  std::size_t sent_ = 0;  ///< how much of output_ was taken
  std::size_t held_ = 0;  ///< bytes of the record that is not whole, as the server counts them
  std::size_t reviews_ = 0;
  std::size_t tokens_ = 0;
};

}  // namespace reviewrate::server
