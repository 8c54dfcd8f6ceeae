// Fuzz target: compressed files and archives, as files and as pipes. The first byte chooses the file's name, the second
// what becomes of the rest: it is the file as it stands, or the content that is compressed here and then, perhaps,
// damaged. Else next to no input would come past the checksums.
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include <array>

#include "records.h"
#include "reviewrate/input.h"
#include "reviewrate/storage.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

namespace {

struct Form {
  const char* name;
  int format;
  int filter;
};

constexpr std::array<Form, 10> kForms = {{
    {"in.tar", ARCHIVE_FORMAT_TAR_PAX_RESTRICTED, ARCHIVE_FILTER_NONE},
    {"in.zip", ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE},
    {"in.tar.gz", ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_GZIP},
    {"in.tar.xz", ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_XZ},
    {"in.csv.gz", ARCHIVE_FORMAT_RAW, ARCHIVE_FILTER_GZIP},
    {"in.jsonl.zst", ARCHIVE_FORMAT_RAW, ARCHIVE_FILTER_ZSTD},
    {"in.txt.xz", ARCHIVE_FORMAT_RAW, ARCHIVE_FILTER_XZ},
    {"in.tsv.bz2", ARCHIVE_FORMAT_RAW, ARCHIVE_FILTER_BZIP2},
    {"in.csv", ARCHIVE_FORMAT_RAW, ARCHIVE_FILTER_ZSTD},
    {"in", ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_GZIP},
}};

constexpr std::array<const char*, 4> kMembers = {"a.csv", "b/c.txt", "./d.jsonl", "e"};

la_ssize_t append(archive*, void* compressed, const void* bytes, std::size_t size) {
  static_cast<std::string*>(compressed)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

// Whether no part of `content` looks as if it were compressed itself.
bool is_plain(std::string_view content) {
  for (;;) {
    const StorageForm stored = storage_form_of(content);
    if (stored != StorageForm::plain && stored != StorageForm::undecided) return false;
    const std::size_t nul = content.find('\0');
    if (nul == content.npos) return true;
    content.remove_prefix(nul + 1);
  }
}

// Members of an archive are parted by NULs in `content`.
std::string make_archive(const Form& form, std::string_view content) {
  std::string compressed;
  archive* writer = archive_write_new();
  archive_write_set_format(writer, form.format);
  archive_write_add_filter(writer, form.filter);
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_set_options(writer, form.filter == ARCHIVE_FILTER_GZIP ? "gzip:!timestamp" : nullptr);
  check(archive_write_open(writer, &compressed, nullptr, append, nullptr) == ARCHIVE_OK, "libarchive can write");
  const bool many = form.format != ARCHIVE_FORMAT_RAW;
  for (std::size_t i = 0; i < (many ? kMembers.size() : 1); ++i) {
    const std::string_view member = content.substr(0, many ? content.find('\0') : content.npos);
    content.remove_prefix(std::min(content.size(), member.size() + 1));
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, kMembers[i]);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(member.size()));
    check(archive_write_header(writer, entry) == ARCHIVE_OK, "libarchive can write a header");
    archive_write_data(writer, member.data(), member.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  return compressed;
}

// Everything is always there, but only every other question is answered so.
class FickleWaiter final : public Waiter {
 public:
  Event wait(int, bool may_block) override {
    idle_ = !idle_;
    return idle_ && !may_block ? Event::idle : Event::ready;
  }

 private:
  bool idle_ = false;
};

std::vector<Review> read_all(const std::string& path, bool may_block) {
  InputOptions options;
  options.max_review_bytes = 1000;
  FickleWaiter waiter;
  const auto source = open_source({}, {path}, options, waiter);
  std::vector<Review> reviews;
  Review review;
  for (;;) {
    const Source::Status status = source->next(review, may_block);
    if (status == Source::Status::end) return reviews;
    if (status == Source::Status::idle) continue;
    check_review(review, options);
    if (reviews.size() < 100'000) reviews.push_back(review);
  }
}

// The same through a pipe that gives out small pieces; nothing if it cannot hold `bytes`.
std::vector<Review> read_from_pipe(const std::string& path, std::string_view bytes) {
  constexpr std::size_t kPieces = 15;  // a pipe holds 16
  const std::size_t piece_size = bytes.size() / kPieces + 1;
  if (piece_size > 4096) return {};
  int ends[2];
  check(pipe2(ends, O_DIRECT | O_CLOEXEC) == 0,
        "a pipe can be made");  // O_DIRECT: what was written apart is read apart
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, piece_size);
    check(write(ends[1], piece.data(), piece.size()) == static_cast<ssize_t>(piece.size()), "a pipe takes a piece");
    bytes.remove_prefix(piece.size());
  }
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/proc/self/fd/" + std::to_string(ends[0]), path);
  close(ends[1]);
  std::vector<Review> reviews = read_all(path, false);
  close(ends[0]);
  return reviews;
}

bool has_failure(const std::vector<Review>& reviews, const std::string& kind) {
  return std::any_of(reviews.begin(), reviews.end(),
                     [&](const Review& review) { return review.failure && review.failure->kind == kind; });
}

bool has_damage(const std::vector<Review>& reviews) { return has_failure(reviews, "damaged"); }

// Checks what was read of content that was compressed and not damaged.
void check_intact(const TempFolder& folder, const Form& form, std::string_view content,
                  const std::vector<Review>& reviews) {
  check(!has_damage(reviews), "an archive that was just made is whole");
  if (form.format != ARCHIVE_FORMAT_RAW) return;
  const std::string name(form.name);
  const std::vector<Review> plain = read_all(folder.write(name.substr(0, name.find('.', 3)), content), true);
  const auto same_text = [](const Review& a, const Review& b) { return a.text == b.text && a.repaired == b.repaired; };
  check(std::equal(reviews.begin(), reviews.end(), plain.begin(), plain.end(), same_text),
        "compression changes nothing in the texts");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TempFolder folder;
  std::string_view input = as_text(data, size);
  const Form& form = kForms[take_byte(input) % kForms.size()];
  const unsigned treatment = take_byte(input);
  std::string bytes(input);
  if (treatment != 0) bytes = make_archive(form, input);
  if (treatment > 1 && !bytes.empty()) {
    const std::size_t place = bytes.size() * (treatment / 2) / 128;
    if (treatment % 2 == 0) {
      bytes.resize(place);
    } else {
      bytes[place] = static_cast<char>(bytes[place] ^ 1 << bytes.size() % 8);
    }
  }

  const std::vector<Review> from_file = read_all(folder.write(form.name, bytes), true);
  if (treatment == 1 && is_plain(input)) check_intact(folder, form, input, from_file);
  const std::vector<Review> from_pipe = read_from_pipe(folder.path() + "/" + form.name, bytes);
  if (bytes.size() <= 4096) {
    // How much libarchive gives out before a fault depends on the blocks in which it gets its bytes, and so does
    // whether a member that cannot be used is read as far as its fault.
    const bool damaged = has_damage(from_file) || has_damage(from_pipe);
    // What is no text is told by what has arrived; of a pipe that is less, and the rest fails record by record.
    const bool is_no_text = has_failure(from_file, "format") || has_failure(from_pipe, "format");
    check(damaged || is_no_text || same({from_file, ""}, {from_pipe, ""}), "a pipe gives the same records as a file");
  }
  return 0;
}
