// Bytes that are there already, as a server gets them: read as the same bytes in a file would be.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "content.h"
#include "content_reader.h"
#include "finding_collector.h"
#include "format_choice.h"
#include "names.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/input.h"
#include "reviewrate/record_reader.h"
#include "reviewrate/storage.h"

namespace reviewrate {
namespace {

class MemoryStream final : public ByteStream {
 public:
  explicit MemoryStream(std::string_view bytes) : rest_(bytes) {}

  Status read(std::span<char> buffer, std::size_t& size, bool) override {
    if (rest_.empty()) return Status::end;
    size = rest_.copy(buffer.data(), buffer.size());
    rest_.remove_prefix(size);
    return Status::data;
  }

 private:
  std::string_view rest_;
};

class ContentSource final : public Source {
 public:
  ContentSource(const std::string& name, std::string content, const InputOptions& options)
      : content_(std::move(content)),
        origin_{id_of(name), name},
        options_(options),
        buffer_(std::min(content_.size(), kBlock)),
        choice_(options_),
        findings_(options_) {}

  Status next(Review& review, bool may_block) override {
    review = Review();
    if (ended_) return Status::end;
    try {
      if (!records_) {
        refuse_stored();
        records_.emplace(std::make_unique<PeekStream>(std::make_unique<MemoryStream>(content_)), ContentPlace{origin_},
                         options_, choice_, buffer_);
      }
      if (records_->next(review, may_block) != ContentReader::Status::review) {
        end();
        return Status::end;
      }
      review.position = content_.size() - left();
    } catch (const InputFailure& failure) {
      review = failed_review(origin_, failure.kind(), failure.what());
      review.position = content_.size();
      end();
    }
    findings_.add(review);
    return Status::review;
  }

  std::uint64_t bytes_total() const override { return content_.size(); }
  InputFindings findings() const override { return findings_.findings(); }

 private:
  static constexpr std::size_t kBlock = std::size_t{64} << 10;

  // What would have to be unpacked may become much more than was sent.
  void refuse_stored() const {
    const std::string_view seen = std::string_view(content_).substr(0, kMagicLength);
    const StorageForm form = storage_form_of(seen);
    std::string what;
    if (form == StorageForm::zip) what = zip_kind(seen, parts_of(origin_.path).extension);
    if (!what.empty()) throw InputFailure("format", "is " + what);
    if (form == StorageForm::tar || form == StorageForm::zip) {
      what = "is an archive";
    } else if (form != StorageForm::plain && form != StorageForm::undecided) {
      what = "is compressed";
    } else if (binary_format(seen) != InputFormat::automatic) {
      what = "is Parquet or Arrow";
    } else {
      return;
    }
    throw InputFailure("format", what + ", and only text is read here; the command line reads it");
  }

  // Bytes of the content that are no records yet; about, if they were decoded.
  std::uint64_t left() const {
    const std::uint64_t unread = content_.size() - std::min<std::uint64_t>(content_.size(), records_->given());
    return std::min<std::uint64_t>(content_.size(), unread + records_->waiting());
  }

  void end() {
    ended_ = true;
    if (!records_) return;
    findings_.end_content(origin_.path, *records_);
    findings_.end_file(origin_.path);
  }

  const std::string content_;
  const Origin origin_;
  const InputOptions options_;
  std::vector<char> buffer_;
  FormatChoice choice_;
  FindingCollector findings_;
  std::optional<ContentReader> records_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Source> open_content(const std::string& name, std::string content, const InputOptions& options) {
  return std::make_unique<ContentSource>(name, std::move(content), options);
}

}  // namespace reviewrate
