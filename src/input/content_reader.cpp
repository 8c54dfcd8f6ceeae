// What comes in pieces is judged as soon as there is enough of it, so that a review that is typed is answered at once.
#include "content_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "content.h"
#include "decoding.h"

namespace reviewrate {

ContentReader::ContentReader(std::unique_ptr<PeekStream> content, ContentPlace place, const InputOptions& options,
                             FormatChoice& choice, std::span<char> buffer)
    : content_(std::move(content)),
      place_(std::move(place)),
      name_(parts_of(place_.origin.path)),
      options_(options),
      choice_(choice),
      buffer_(buffer) {}

ContentReader::Status ContentReader::next(Review& review, bool may_block) {
  for (;;) {
    if (records_) {
      if (records_->next(pending_, ended_, review)) return Status::review;
      if (ended_) return Status::end;
    }
    switch (records_ ? read(may_block) : open(may_block)) {
      case Step::again:
        break;
      case Step::idle:
        return Status::idle;
      case Step::interrupted:
        return Status::interrupted;
    }
  }
}

// Refuses what is no text, and opens the reader of its format.
ContentReader::Step ContentReader::open(bool may_block) {
  const bool by_content = choice_.promised(name_) == InputFormat::automatic;
  const ByteStream::Status status = look_ahead(by_content ? kLookAhead : kMagicLength, may_block);
  if (status == ByteStream::Status::interrupted) return Step::interrupted;
  const std::string_view seen = content_->seen();
  const bool ended = status == ByteStream::Status::end;
  const bool more = !ended && seen.size() < kLookAhead;
  if (more && seen.size() < needed_) return Step::idle;
  // What comes in pieces is judged by its first line, and not by less.
  const bool maybe_mark = !seen.empty() && std::string_view("\xFF\xFE\0", 3).find(seen.front()) != seen.npos;
  const bool enough =
      !more || (maybe_mark ? seen.size() >= 4 : seen.find('\n') != seen.npos) || seen.size() >= kMagicLength;
  if (!enough) return want_more();
  if (!decoded_ && decode()) return Step::again;
  const std::optional<InputFormat> format =
      choice_.choose({place_.origin.path, name_, content_->seen(), more, place_.inside, place_.decompressed});
  if (!format) return want_more();
  whole_ = format == InputFormat::whole;
  records_ = open_records(*format, place_.origin, options_, place_.file);
  ended_ = has_index(*format) && place_.file != nullptr;  // the reader goes to the file itself
  return Step::again;
}

// Reads ahead what there is, up to `most` bytes; waits, if that is allowed, until there are as many as are needed.
ByteStream::Status ContentReader::look_ahead(std::size_t most, bool may_block) {
  ByteStream::Status status = ByteStream::Status::data;
  while (status == ByteStream::Status::data && content_->seen().size() < std::max(most, needed_)) {
    const std::size_t size = content_->seen().size();
    status = content_->peek(size + 1, may_block && size < needed_);
  }
  return status;
}

// More has to be seen than there was.
ContentReader::Step ContentReader::want_more() {
  needed_ = content_->seen().size() + 1;
  return Step::again;
}

// Puts a decoder before content that is not in UTF-8; false if it is, or is no text.
bool ContentReader::decode() {
  const std::optional<Mark> mark = byte_order_mark(content_->seen());
  const std::string encoding = mark ? mark->encoding : options_.encoding;
  if (encoding.empty() || encoding == "UTF-8" || (!mark && !binary_kind(content_->seen()).empty())) return false;
  if (mark) marked_encoding_ = encoding;
  content_ = std::make_unique<PeekStream>(open_decoded(std::move(content_), encoding));
  place_.file = nullptr;
  needed_ = 1;
  decoded_ = true;
  return true;
}

ContentReader::Step ContentReader::read(bool may_block) {
  std::size_t size = 0;
  switch (content_->read(buffer_, size, may_block)) {
    case ByteStream::Status::data:
      pending_ = std::string_view(buffer_.data(), size);
      given_ += size;
      break;
    case ByteStream::Status::idle:
      return Step::idle;
    case ByteStream::Status::interrupted:
      return Step::interrupted;
    case ByteStream::Status::end:
      ended_ = true;
      break;
  }
  return Step::again;
}

}  // namespace reviewrate
