// The way from the command line's texts and FILEs to reviews: which file comes next, what form it has, who reads it.
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include "reviewrate/byte_stream.h"
#include "reviewrate/error.h"
#include "reviewrate/input.h"
#include "reviewrate/record_reader.h"
#include "reviewrate/storage.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

constexpr std::size_t kBlock = 256 * 1024;

// What a name says; its content has the last word.
struct NameParts {
  std::string extension;    // in lower case, with the dot, below that of a compression
  bool compressed = false;  // compressed or an archive
  bool archive = false;
  bool tar = false;
};

NameParts parts_of(const std::string& path) {
  static constexpr std::array<std::string_view, 4> kCompressed = {".gz", ".zst", ".xz", ".bz2"};
  static constexpr std::array<std::string_view, 6> kTars = {".tar", ".tgz", ".tzst", ".txz", ".tbz2", ".tbz"};
  std::string name = path.substr(path.rfind('/') + 1);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  NameParts parts;
  for (const std::string_view suffix : kCompressed) {
    if (!parts.compressed && name.ends_with(suffix)) {
      parts.compressed = true;
      name.resize(name.size() - suffix.size());
    }
  }
  const std::size_t dot = name.rfind('.');
  if (dot != std::string::npos) parts.extension = name.substr(dot);
  parts.tar = std::find(kTars.begin(), kTars.end(), parts.extension) != kTars.end();
  parts.archive = parts.tar || parts.extension == ".zip";
  parts.compressed = parts.compressed || parts.archive;
  return parts;
}

// Whether a part of the path begins with a dot, as ".git", but not "." and "..".
bool is_hidden(const std::string& path) {
  const std::filesystem::path parts(path);
  return std::any_of(parts.begin(), parts.end(), [](const std::filesystem::path& part) {
    return part.native().starts_with('.') && part != "." && part != "..";
  });
}

Origin origin_of(std::string id, std::string path) {
  repair(id);
  return {std::move(id), std::move(path)};
}

class InputSource final : public Source {
 public:
  InputSource(std::vector<std::string> texts, std::vector<std::string> files, const InputOptions& options,
              Waiter& waiter)
      : texts_(std::move(texts)), files_(std::move(files)), options_(options), waiter_(waiter), buffer_(kBlock) {
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
            return Status::review;
          case Step::idle:
            return Status::idle;
          case Step::end:
            return Status::end;
        }
      } catch (const InputFailure& failure) {
        review = failed_review(origin_, failure.kind(), failure.what());
        close_content();
        if (archive_ && archive_->broken()) close_archive();
        return Status::review;
      }
    }
  }

  std::uint64_t bytes_read() const override { return bytes_read_; }
  std::uint64_t bytes_total() const override { return bytes_total_; }

 private:
  enum class Step { again, review, idle, end };

  // A folder on the way down to the file that is read.
  struct Folder {
    std::string path;
    std::string prefix;  // of its entries' ids
    std::vector<std::string> entries;
    std::size_t next = 0;
    dev_t device;
    ino_t inode;
  };

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
  }

  // One step towards the next review, by the innermost thing that is open.
  Step step(Review& review, bool may_block) {
    if (records_) return read_records(review, may_block);
    if (content_) return open_content(may_block);
    if (archive_) return open_next_member(may_block);
    if (!folders_.empty()) return open_next_entry();
    if (next_file_ < files_.size()) return open_next_file();
    return Step::end;
  }

  Step open_next_file() {
    const std::string& file = files_[next_file_++];
    origin_ = origin_of(file, file);
    inside_ = false;
    if (file == "-") {
      open_descriptor(STDIN_FILENO, false);
    } else {
      open_path(file);
    }
    return Step::again;
  }

  Step open_next_entry() {
    Folder& folder = folders_.back();
    if (folder.next == folder.entries.size()) {
      folders_.pop_back();
      return Step::again;
    }
    std::string name = std::move(folder.entries[folder.next++]);
    const bool is_folder = name.ends_with('/');
    if (is_folder) name.pop_back();
    const std::string id = folder.prefix + name;
    origin_ = origin_of(id, folder.path + (folder.path.ends_with('/') ? "" : "/") + name);
    inside_ = true;
    if (is_folder || included(id) || parts_of(name).archive) open_path(origin_.path);
    return Step::again;
  }

  void open_path(const std::string& path) {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer where no signal is heeded.
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) throw InputFailure("open", "cannot be opened: " + std::generic_category().message(errno));
    struct stat info {};
    const bool known = fstat(fd, &info) == 0;
    if (known && S_ISDIR(info.st_mode)) {
      close(fd);
      enter_folder(path, info);
    } else if (known && inside_ && !S_ISREG(info.st_mode)) {
      close(fd);
      throw InputFailure("open", "is not a regular file");
    } else if (known && inside_ && skipped(info)) {
      close(fd);
    } else {
      open_descriptor(fd, true);
    }
  }

  void enter_folder(const std::string& path, const struct stat& info) {
    for (const Folder& above : folders_) {
      if (above.device == info.st_dev && above.inode == info.st_ino) return;  // a link to a folder that is being read
    }
    Folder folder{path, folders_.empty() ? "" : origin_.id + "/", {}, 0, info.st_dev, info.st_ino};
    std::error_code error;
    std::filesystem::directory_iterator entry(path, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      std::string name = entry->path().filename().string();
      if (is_hidden(name)) continue;
      std::error_code unknown;  // such as a broken link: opening it will tell
      // With its slash, a folder is sorted so that the whole walk is in the order of paths.
      if (entry->is_directory(unknown)) name += '/';
      folder.entries.push_back(std::move(name));
    }
    if (error) throw InputFailure("open", "cannot be listed: " + error.message());
    std::sort(folder.entries.begin(), folder.entries.end());
    folders_.push_back(std::move(folder));
  }

  void open_descriptor(int fd, bool owned) {
    auto stream = std::make_unique<FdStream>(fd, owned, waiter_, bytes_read_);
    stored_ = &stream->bytes_read();
    container_ = origin_;
    set_content(std::move(stream));
  }

  void set_content(std::unique_ptr<ByteStream> stream) {
    content_ = std::make_unique<PeekStream>(std::move(stream));
    decompressed_ = false;
  }

  Step open_next_member(bool may_block) {
    origin_ = container_;
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
    const std::string prefix = folders_.empty() ? "" : container_.id + "/";
    origin_ = origin_of(prefix + member.path, container_.path + "/" + member.path);
    if ((!member.regular && !member.link) || is_hidden(member.path) || !included(origin_.id)) return Step::again;
    if (member.link) throw InputFailure("archive", "is a link inside an archive, and those are not followed");
    inside_ = true;
    set_content(open_member(*archive_));
    return Step::again;
  }

  // Looks at the first bytes: takes off a compression, opens an archive, or chooses the record format.
  Step open_content(bool may_block) {
    const NameParts name = parts_of(origin_.path);
    StorageForm form = storage_form_of(content_->seen());
    const std::size_t far = name.tar && form == StorageForm::plain ? kTarMagicEnd : 0;
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
    if (name.tar && (form == StorageForm::plain || form == StorageForm::undecided)) form = StorageForm::tar;
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
      case StorageForm::tar:
      case StorageForm::zip:
        if (archive_) throw InputFailure("archive", "is an archive inside an archive, and not opened");
        archive_ = std::make_unique<ArchiveReader>(std::move(content_), form, ExpansionLimit(*stored_));
        return Step::again;
      case StorageForm::plain:
      case StorageForm::undecided:
        break;
    }
    return choose_format(name, may_block);
  }

  Step choose_format(const NameParts& name, bool may_block) {
    InputFormat format = options_.format;
    const bool is_stdin = !inside_ && origin_.id == "-";
    if (!is_stdin && !included(origin_.id)) {
      close_content();
      return Step::again;
    }
    if (format == InputFormat::automatic && is_stdin) {
      const ByteStream::Status status = peek_first_line(may_block);
      if (status == ByteStream::Status::idle) return Step::idle;
      if (status == ByteStream::Status::interrupted) return Step::end;
      const std::string_view seen = content_->seen();
      format = is_json_object(seen.substr(0, seen.find('\n'))) ? InputFormat::jsonl : InputFormat::lines;
    }
    if (format == InputFormat::automatic) {
      if (name.extension == ".jsonl" || name.extension == ".ndjson" || name.extension == ".json") {
        format = InputFormat::jsonl;
      } else if (name.extension == ".csv") {
        format = InputFormat::csv;
      } else if (name.extension == ".tsv") {
        format = InputFormat::tsv;
      } else {
        format = inside_ ? InputFormat::whole : InputFormat::lines;
      }
    }
    records_ = open_records(format, origin_, options_);
    pending_ = {};
    ended_ = false;
    return Step::again;
  }

  // Reads ahead to the end of the first line, but only as long as that may be a JSON object.
  ByteStream::Status peek_first_line(bool may_block) {
    for (std::size_t searched = 0;;) {
      const std::string_view seen = content_->seen();
      const std::size_t start = seen.find_first_not_of(" \t\r\xEF\xBB\xBF");
      const bool maybe_object = start == std::string_view::npos || seen[start] == '{';
      if (!maybe_object || seen.find('\n', searched) != std::string_view::npos ||
          seen.size() > max_json_line(options_)) {
        return ByteStream::Status::data;
      }
      searched = seen.size();
      const ByteStream::Status status = content_->peek(searched + 1, may_block);
      if (status != ByteStream::Status::data) return status;
    }
  }

  Step read_records(Review& review, bool may_block) {
    if (records_->next(pending_, ended_, review)) return Step::review;
    if (ended_) {
      close_content();
      return Step::again;
    }
    std::size_t size = 0;
    switch (content_->read(buffer_, size, may_block)) {
      case ByteStream::Status::data:
        pending_ = {buffer_.data(), size};
        return Step::again;
      case ByteStream::Status::idle:
        return Step::idle;
      case ByteStream::Status::interrupted:
        return Step::end;
      case ByteStream::Status::end:
        ended_ = true;
        return Step::again;
    }
    return Step::end;
  }

  void close_content() {
    records_.reset();
    content_.reset();
  }

  void close_archive() {
    close_content();
    archive_.reset();
  }

  bool skipped(const struct stat& file) const {
    return std::any_of(options_.skip.begin(), options_.skip.end(), [&](const std::string& path) {
      struct stat other {};
      return stat(path.c_str(), &other) == 0 && other.st_dev == file.st_dev && other.st_ino == file.st_ino;
    });
  }

  bool included(const std::string& path) const {
    return options_.include.empty() ||
           std::any_of(options_.include.begin(), options_.include.end(),
                       [&](const std::string& glob) { return fnmatch(glob.c_str(), path.c_str(), 0) == 0; });
  }

  std::vector<std::string> texts_;
  std::vector<std::string> files_;
  const InputOptions options_;
  Waiter& waiter_;
  std::vector<char> buffer_;
  std::atomic<std::uint64_t> bytes_read_ = 0;
  std::uint64_t bytes_total_ = 0;
  std::size_t next_text_ = 0;
  std::size_t next_file_ = 0;

  std::vector<Folder> folders_;             // from a FILE that is one down to where the walk is
  Origin origin_;                           // of what is being read or opened
  Origin container_;                        // of the file that it lies in, if that is an archive
  const std::uint64_t* stored_ = nullptr;   // bytes read of that file
  std::unique_ptr<ArchiveReader> archive_;  // if that is what the file is
  std::unique_ptr<PeekStream> content_;     // of the file or member; refers to archive_
  bool inside_ = false;                     // it was found in a folder or archive
  bool decompressed_ = false;               // a compression was taken off
  std::unique_ptr<RecordReader> records_;   // once its format is known
  std::string_view pending_;                // in buffer_, not yet taken by records_
  bool ended_ = false;                      // the content is read
};

}  // namespace

std::unique_ptr<Source> open_source(std::vector<std::string> texts, std::vector<std::string> files,
                                    const InputOptions& options, Waiter& waiter) {
  if (!options.where.empty()) {
    const bool fieldless = options.format == InputFormat::lines || options.format == InputFormat::whole;
    if (fieldless || !texts.empty()) {
      throw Error(ErrorKind::usage, "--where asks for fields, and lines, whole files and --text have none");
    }
  }
  return std::make_unique<InputSource>(std::move(texts), std::move(files), options, waiter);
}

}  // namespace reviewrate
