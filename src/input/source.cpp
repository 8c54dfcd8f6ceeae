// The way from the command line's texts and FILEs to reviews: which file comes next, what form it has, who reads it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "columns.h"
#include "content.h"
#include "content_reader.h"
#include "damage.h"
#include "decoding.h"
#include "finding_collector.h"
#include "folder_walk.h"
#include "format_choice.h"
#include "names.h"
#include "reviewrate/byte_stream.h"
#include "reviewrate/error.h"
#include "reviewrate/input.h"
#include "reviewrate/record_reader.h"
#include "reviewrate/storage.h"
#include "reviewrate/text.h"
#include "reviewrate/utf8.h"
#include "sampled_source.h"

namespace reviewrate {
namespace {

constexpr std::size_t kBlock = 256 * 1024;

// Many files may have the same to tell.
InputOptions with_each_notice_once(InputOptions options) {
  options.notify = [notify = options.notify,
                    told = std::make_shared<std::set<std::string>>()](const std::string& notice) {
    if (told->insert(notice).second) notify(notice);
  };
  return options;
}

class InputSource final : public Source {
 public:
  InputSource(std::vector<std::string> texts, std::vector<std::string> files, const InputOptions& options,
              Waiter& waiter)
      : texts_(std::move(texts)),
        files_(std::move(files)),
        options_(with_each_notice_once(options)),
        waiter_(waiter),
        buffer_(kBlock),
        choice_(options_),
        columns_(options_),
        types_(options_),
        findings_(options_),
        folders_([this](std::string_view reason) { findings_.skipped(reason); }) {
    for (const std::string& file : files_) {
      struct stat info {};
      const int found = file == "-" ? fstat(STDIN_FILENO, &info) : stat(file.c_str(), &info);
      if (found != 0) continue;  // it will be a bad record
      if (!S_ISREG(info.st_mode)) {
        bytes_total_ = 0;
        break;
      }
      bytes_total_ += static_cast<std::uint64_t>(info.st_size);
    }
  }

  Status next(Review& review, bool may_block) override {
    if (options_.limit == given_) return Status::end;
    const Status status = read(review, may_block);
    if (status == Status::review) ++given_;
    if (review.position == 0) review.position = bytes_read_;  // it stands for a file, or is a text
    return status;
  }

  void wake() override { waiter_.wake(); }
  std::uint64_t bytes_total() const override { return bytes_total_; }
  std::vector<std::string> columns() const override { return columns_.first(); }

  /// Whatever ended the reading, what was read so far counts.
  InputFindings findings() const override {
    FindingCollector so_far = findings_;
    if (records_) so_far.end_content(origin_.path, *records_);
    if (next_file_ > 0) so_far.end_file(files_[next_file_ - 1]);
    return so_far.findings();
  }

 private:
  enum class Step { again, review, idle, end };

  Status read(Review& review, bool may_block) {
    review = Review();
    if (next_text_ < texts_.size()) {
      read_text(review);
      return Status::review;
    }
    for (;;) {
      try {
        switch (step(review, may_block)) {
          case Step::again:
            continue;
          case Step::review:
            findings_.add(review);
            return Status::review;
          case Step::idle:
            return Status::idle;
          case Step::end:
            return Status::end;
        }
      } catch (const ReadInterrupted&) {
        return Status::end;
      } catch (const InputFailure& failure) {
        review = failed_review(origin_, failure.kind(), failure.what());
        close_content();
        if (archive_ && archive_->broken()) close_archive();
        return Status::review;
      }
    }
  }

  void read_text(Review& review) {
    std::string& text = texts_[next_text_++];
    const Origin origin{"text:" + std::to_string(next_text_), "text:" + std::to_string(next_text_)};
    if (text.size() > options_.max_review_bytes) {
      review = failed_review(
          origin, "size",
          "the text is larger than " + std::to_string(options_.max_review_bytes) + " bytes (--max-review-bytes)");
      return;
    }
    review.id = {origin.id};
    review.text.swap(text);
    review.repaired = repair(review.text);
    if (options_.annotate) {
      origin_ = origin;
      hold_to_columns(review);
    }
  }

  // One step towards the next review, by the innermost thing that is open.
  Step step(Review& review, bool may_block) {
    if (records_) return read_records(review, may_block);
    if (content_) return open_content(may_block);
    if (archive_) return open_next_member(may_block);
    if (folders_.inside()) return open_next_entry();
    if (next_file_ > 0) findings_.end_file(files_[next_file_ - 1]);
    if (next_file_ < files_.size()) return open_next_file();
    return Step::end;
  }

  // Says what is read or opened next: its path from the FILE that was named on, and its path in messages.
  void set_name(std::string name, std::string path) {
    origin_ = {id_of(name), std::move(path)};
    name_ = std::move(name);
  }

  Step open_next_file() {
    const std::string& file = files_[next_file_++];
    set_name(file, file);
    inside_ = false;
    if (file == "-") {
      chosen_ = true;
      open_descriptor(STDIN_FILENO, false);
    } else {
      open_path(file);
    }
    return Step::again;
  }

  Step open_next_entry() {
    FolderWalk::Entry entry;
    if (!folders_.next(entry)) return Step::again;
    const bool opened = entry.folder || included(entry.id) || parts_of(entry.id).archive;
    set_name(std::move(entry.id), std::move(entry.path));
    inside_ = true;
    if (opened) {
      open_path(origin_.path);
    } else {
      findings_.skipped("not included");
    }
    return Step::again;
  }

  void open_path(const std::string& path) {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer where no signal is heeded.
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT && !inside_ && path.find(' ') != std::string::npos) {
      throw InputFailure("open", "cannot be opened: there is no such file; a text itself stands behind --text (-t)");
    }
    if (fd < 0) fail_to_open(path, "cannot be opened: ", std::error_code(errno, std::generic_category()));
    struct stat info {};
    const bool known = fstat(fd, &info) == 0;
    if (known && S_ISDIR(info.st_mode)) {
      close(fd);
      folders_.enter(path, name_, info);
    } else if (known && inside_ && !S_ISREG(info.st_mode)) {
      close(fd);
      throw InputFailure("open", "is not a regular file");
    } else if (known && inside_ && is_written(info)) {
      close(fd);
      findings_.skipped("output");
    } else {
      chosen_ = known && !S_ISREG(info.st_mode);
      open_descriptor(fd, true);
    }
  }

  void open_descriptor(int fd, bool owned) {
    auto stream = std::make_unique<FdStream>(fd, owned, waiter_, bytes_read_);
    stored_ = &stream->bytes_read();
    given_bytes_ = 0;
    container_ = origin_;
    container_name_ = name_;
    // Stdin may begin in the middle of a file.
    FdStream* const file = owned && stream->size() > 0 ? stream.get() : nullptr;
    set_content(std::move(stream));
    file_ = file;
  }

  void set_content(std::unique_ptr<ByteStream> stream) {
    content_ = std::make_unique<PeekStream>(std::move(stream));
    file_ = nullptr;
    decompressed_ = false;
  }

  Step open_next_member(bool may_block) {
    origin_ = container_;
    chosen_ = false;
    ArchiveReader::Member member;
    switch (archive_->next(member, may_block)) {
      case ByteStream::Status::data:
        break;
      case ByteStream::Status::idle:
        return Step::idle;
      case ByteStream::Status::interrupted:
        return Step::end;
      case ByteStream::Status::end:
        close_archive();
        return Step::again;
    }
    const std::string prefix = folders_.inside() ? container_name_ + "/" : "";
    set_name(prefix + member.path, container_.path + "/" + member.path);
    if (!member.regular && !member.link) return Step::again;
    if (const std::string_view reason = skip_reason(member.path); !reason.empty()) {
      findings_.skipped(reason);
      return Step::again;
    }
    if (!included(name_)) {
      findings_.skipped("not included");
      return Step::again;
    }
    if (member.link) throw InputFailure("archive", "is a link inside an archive, and those are not followed");
    inside_ = true;
    set_content(open_member(*archive_));
    return Step::again;
  }

  // Looks at the first bytes: takes off a compression, opens an archive, or has the records read.
  Step open_content(bool may_block) {
    const NameParts name = parts_of(origin_.path);
    StorageForm form = storage_form_of(content_->seen());
    std::size_t far = 0;  // what must be seen before the form says what to do
    if (name.tar && form == StorageForm::plain) far = kTarMagicEnd;
    if (form == StorageForm::zip) far = kZipNameEnd;
    const std::size_t wanted = form == StorageForm::undecided ? content_->seen().size() + 1 : far;
    if (content_->seen().size() < wanted) {
      const ByteStream::Status status = content_->peek(wanted, may_block);
      if (status == ByteStream::Status::data) return Step::again;
      if (status == ByteStream::Status::idle) return Step::idle;
      if (status == ByteStream::Status::interrupted) return Step::end;
      if (form == StorageForm::undecided && name.compressed && !decompressed_) {
        throw InputFailure("damaged", "has the name of a compressed file or archive, but ends before one begins");
      }
    }
    const bool plain = form == StorageForm::plain || form == StorageForm::undecided;
    if (name.tar && plain) {
      choice_.refuse_page({origin_.path, name, content_->seen(), false, inside_, decompressed_});
      form = StorageForm::tar;
    }
    switch (form) {
      case StorageForm::gzip:
      case StorageForm::zstd:
      case StorageForm::xz:
      case StorageForm::bzip2: {
        if (decompressed_) throw InputFailure("archive", "is compressed more than once, and not opened");
        const ExpansionLimit limit(*stored_);
        set_content(open_compressed(std::move(content_), form, limit));
        decompressed_ = true;
        return Step::again;
      }
      case StorageForm::zip:
        if (const std::string kind = zip_kind(content_->seen(), name.extension); !kind.empty()) {
          throw InputFailure("format", "is " + kind);
        }
        if (!archive_ && file_ == nullptr && !keep_content()) return Step::end;
        [[fallthrough]];
      case StorageForm::tar:
        if (archive_) throw InputFailure("archive", "is an archive inside an archive, and not opened");
        archive_ = std::make_unique<ArchiveReader>(std::move(content_), form, ExpansionLimit(*stored_), file_);
        return Step::again;
      case StorageForm::plain:
      case StorageForm::undecided:
        break;
    }
    return open_plain();
  }

  // Puts the content into a file of its own, where it can be read at any place; false if it was interrupted.
  bool keep_content() {
    NamelessFile kept;
    for (std::size_t size = 0;;) {
      const ByteStream::Status status = content_->read(buffer_, size, true);
      if (status == ByteStream::Status::interrupted) return false;
      if (status == ByteStream::Status::end) break;
      kept.append(std::string_view(buffer_.data(), size));
    }
    auto stream = std::make_unique<FdStream>(kept.release(), true, waiter_, bytes_reread_);
    FdStream* const file = stream.get();
    stored_ = &stream->bytes_read();
    set_content(std::move(stream));
    file_ = file;
    return true;
  }

  // Content that is neither compressed nor an archive.
  Step open_plain() {
    if (!chosen_ && !included(name_)) {
      findings_.skipped("not included");
      close_content();
      return Step::again;
    }
    records_.emplace(std::move(content_), ContentPlace{origin_, inside_, decompressed_, file_}, options_, choice_,
                     buffer_);
    columns_taken_ = false;
    return Step::again;
  }

  Step read_records(Review& review, bool may_block) {
    switch (records_->next(review, may_block)) {
      case ContentReader::Status::review:
        review.position = position();
        if (options_.annotate) hold_to_columns(review);
        if (options_.one_type) hold_to_types(review);
        return Step::review;
      case ContentReader::Status::idle:
        return Step::idle;
      case ContentReader::Status::end:
        close_content();
        return Step::again;
      case ContentReader::Status::interrupted:
        break;
    }
    return Step::end;
  }

  // Where the reader is, as stored: of the file that is read, the share that has become records counts.
  std::uint64_t position() const {
    const std::uint64_t given = given_bytes_ + records_->given();
    if (given == 0) return bytes_read_;
    const double waiting = static_cast<double>(records_->waiting());
    return bytes_read_ -
           static_cast<std::uint64_t>(waiting / static_cast<double>(given) * static_cast<double>(*stored_));
  }

  // Whether the record's fields fit to what is added to them, and to those of the records before it.
  void hold_to_columns(Review& review) {
    const std::vector<std::string>* table = table_columns();
    if (table != nullptr) {
      if (!std::exchange(columns_taken_, true)) columns_.take_table(*table);
      return;
    }
    if (review.passed.empty() && !review.failure) {  // lines and whole files have nothing but a text
      review.passed.push_back({options_.text_field, {review.text, false}});
    }
    if (review.passed.empty()) return;
    refuse(review, columns_.take_record(review.passed));
  }

  // The same of their types.
  void hold_to_types(Review& review) {
    const RecordReader& reader = *records_->records();
    if (const ArrowBatch& types = reader.tally().types) {
      types_.take_table(types, *reader.columns());
    } else {
      refuse(review, types_.take_record(review.passed));
    }
  }

  void refuse(Review& review, const std::string& reason) const {
    if (reason.empty()) return;
    release(review.text);
    review.passed.clear();
    review.failure =
        Failure{"columns", failure_message(shown_name(origin_.path), "record " + review.id.text + ": " + reason)};
  }

  // Those of the table that is read; null if it is none.
  const std::vector<std::string>* table_columns() const {
    return records_ && records_->records() != nullptr ? records_->records()->columns() : nullptr;
  }

  void close_content() {
    if (const std::vector<std::string>* table = table_columns()) columns_.note(*table);
    if (records_) {
      given_bytes_ += records_->given();
      findings_.end_content(origin_.path, *records_);
    }
    records_.reset();
    content_.reset();
  }

  void close_archive() {
    close_content();
    archive_.reset();
  }

  bool is_written(const struct stat& file) const {
    return std::any_of(options_.skip.begin(), options_.skip.end(), [&](const std::string& path) {
      struct stat other {};
      return stat(path.c_str(), &other) == 0 && other.st_dev == file.st_dev && other.st_ino == file.st_ino;
    });
  }

  bool included(const std::string& path) const { return is_included(path, options_.include); }

  std::vector<std::string> texts_;
  std::vector<std::string> files_;
  const InputOptions options_;
  Waiter& waiter_;
  std::vector<char> buffer_;
  std::atomic<std::uint64_t> bytes_read_ = 0;
  std::atomic<std::uint64_t> bytes_reread_ = 0;  // of what was kept
  std::uint64_t bytes_total_ = 0;
  std::size_t next_text_ = 0;
  std::size_t next_file_ = 0;
  std::size_t given_ = 0;  // records

  FormatChoice choice_;
  Columns columns_;             // of annotated records
  ColumnTypes types_;           // of carried fields
  bool columns_taken_ = false;  // those of the table that is read
  FindingCollector findings_;
  FolderWalk folders_;  // from a FILE that is one
  Origin origin_;       // of what is being read or opened
  std::string name_;    // its path from the FILE that was named on
  Origin container_;    // of the file that it lies in, if that is an archive
  std::string container_name_;
  const std::uint64_t* stored_ = nullptr;   // bytes read of that file
  std::unique_ptr<ArchiveReader> archive_;  // if that is what the file is
  std::unique_ptr<PeekStream> content_;     // of the file or member; refers to archive_
  FdStream* file_ = nullptr;                // the same, where it is a file that can be read at any place
  bool chosen_ = false;                     // it is a pipe, which no --include excludes
  bool inside_ = false;                     // it was found in a folder or archive
  bool decompressed_ = false;               // a compression was taken off
  std::optional<ContentReader> records_;    // once it is known to be plain
  std::uint64_t given_bytes_ = 0;           // of the file to readers that are done, decompressed
};

}  // namespace

std::unique_ptr<Source> open_source(std::vector<std::string> texts, std::vector<std::string> files,
                                    const InputOptions& options, Waiter& waiter) {
  if (!options.encoding.empty() && !is_encoding(options.encoding)) {
    throw Error(ErrorKind::usage,
                "--encoding \"" + options.encoding + "\": there is no such encoding (iconv -l lists them)");
  }
  if (!options.where.empty()) {
    const bool fieldless = options.format == InputFormat::lines || options.format == InputFormat::whole;
    if (fieldless || !texts.empty()) {
      throw Error(ErrorKind::usage, "--where asks for fields, and lines, whole files and --text have none");
    }
  }
  std::unique_ptr<Source> source = std::make_unique<InputSource>(std::move(texts), std::move(files), options, waiter);
  return options.sample ? sample(std::move(source), *options.sample, options.seed) : std::move(source);
}

}  // namespace reviewrate
