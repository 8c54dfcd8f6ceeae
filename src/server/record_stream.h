// A request of any number of records, which come as a stream or are those of a file: they go to the model as they are
// read, their answers back in the same order.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "context.h"
#include "reviewrate/input.h"
#include "reviewrate/record_reader.h"

namespace reviewrate::server {

/// Why the model cannot be asked to explain what takes it `tokens`: more than `most`.
std::string too_much_to_explain(std::size_t tokens, std::size_t most);

/// Bytes of records in, bytes of answers out. Holds a bounded number of records that are not answered, so that many
/// streams share the model. When it ends the queue passes over those that the model was not given.
class RecordStream : public std::enable_shared_from_this<RecordStream> {
 public:
  /// Who sends the records and waits for the answers; lives as long as the queue has records of the stream.
  class Owner {
   public:
    virtual ~Owner() = default;

    /// Calls `take`, with which a stream takes an answer: then there may be more output, or more input is wanted.
    virtual void on_answer(const std::function<void()>& take) = 0;
  };

  /// `file` is the content of one; without it, feed() brings records as JSON Lines.
  RecordStream(Context& context, const Parameters& parameters, std::weak_ptr<Owner> owner,
               std::optional<std::string> file = {});
  RecordStream(const RecordStream&) = delete;
  RecordStream& operator=(const RecordStream&) = delete;

  /// Takes the next bytes, none of a file; they have to stay where they are until wants_input() or finished(). `last`:
  /// there are no more behind them.
  void feed(std::string_view bytes, bool last);

  bool wants_input() const;

  /// Takes at most `most` bytes of what there is to send.
  std::string take_output(std::size_t most);
  bool has_output() const { return unsent() > 0; }

  /// Every record is answered; the rest of the output is the last.
  bool finished() const { return ended_ && unanswered_ == 0; }

  std::size_t reviews() const { return reviews_; }
  std::size_t tokens() const { return tokens_; }

 private:
  void read_records();
  bool has_room() const;
  bool read(Review& review);
  void push(Review review);
  std::size_t unsent() const { return output_.size() - sent_; }
  void take(const Outcome& outcome, std::size_t estimate);
  void count();

  Context& context_;
  const std::optional<ExplainUnit> explain_;
  const bool texts_;
  InputOptions options_;
  std::vector<std::string> notices_;      ///< what the command line would say on stderr
  std::unique_ptr<RecordReader> reader_;  ///< of a stream
  std::unique_ptr<Source> file_;          ///< else
  const std::weak_ptr<Owner> owner_;
  std::string_view input_;
  bool last_ = false;
  bool ended_ = false;    ///< the last record was read
  bool noticed_ = false;  ///< the notices are in the output
  std::size_t unanswered_ = 0;
  std::size_t unanswered_tokens_ = 0;
  std::string output_;
  std::size_t sent_ = 0;  ///< how much of output_ was taken
  std::size_t file_bytes_;
  Share held_;  ///< bytes of the file, or of the record that is not whole, and of the output
  std::size_t reviews_ = 0;
  std::size_t tokens_ = 0;
};

}  // namespace reviewrate::server
