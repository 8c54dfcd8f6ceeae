// Fuzz target: the whole way from a file to texts. The first bytes of the input choose how records are written: in what
// format, under what name, compressed or in an archive, damaged at one place, through a file or a pipe; the rest makes
// their texts. Every text that comes out must be one of those that were written, in their order and no more than once,
// and if one is missing there must be a bad record.
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include <array>
#include <optional>
#include <set>

#include "records.h"
#include "reviewrate/input.h"

using namespace reviewrate;
using namespace reviewrate::fuzz;

namespace {

enum class Layout { lines, json_lines, json_array, json_pretty, json_joined, csv, tsv };
constexpr std::size_t kLayouts = 7;

enum class Damage { none, cut, insert, remove, change };
constexpr std::size_t kDamages = 5;

enum class Wrapping { none, gzip, zstd, tar, zip, folder };
constexpr std::size_t kWrappings = 6;

bool is_json(Layout layout) { return layout != Layout::lines && layout != Layout::csv && layout != Layout::tsv; }
bool is_table(Layout layout) { return layout == Layout::csv || layout == Layout::tsv; }

// Everything that the input says but the texts.
struct Plan {
  Layout layout;
  std::string name;
  Wrapping wrapping;
  Damage damage;
  std::size_t place;  // of the damage, in 65536th parts of the file
  unsigned value;     // what is inserted or put in the place of a byte
  unsigned style;     // quotes, other fields, line ends
  bool piped;
  bool wide;  // UTF-16
};

// The names under which a layout must be read, and others.
std::string choose_name(Layout layout, unsigned choice) {
  static const std::array<const char*, 3> kAny = {"in", "in.1", "in.data"};
  if (choice % 4 == 0) return kAny[choice / 4 % kAny.size()];
  if (choice % 16 == 1) return std::array{"in.csv", "in.tsv", "in.json", "in.txt"}[choice / 16 % 4];
  if (layout == Layout::lines) return "in.txt";
  if (layout == Layout::csv) return "in.csv";
  if (layout == Layout::tsv) return "in.tsv";
  return std::array{"in.json", "in.jsonl", "in.jsonl.1", "in.ndjson"}[choice / 4 % 4];
}

bool fits(const Plan& plan) {
  const bool any = plan.name == "in" || plan.name == "in.1" || plan.name == "in.data" || plan.name == "in.jsonl.1";
  if (any) return true;
  if (plan.name == "in.txt") return !is_table(plan.layout);
  if (plan.layout == Layout::csv) return plan.name == "in.csv";
  if (plan.layout == Layout::tsv) return plan.name == "in.tsv";
  return is_json(plan.layout) && plan.name != "in.csv" && plan.name != "in.tsv";
}

// Texts that are told apart by their ends, and hold what is syntax elsewhere.
std::vector<std::string> make_texts(const Plan& plan, std::string_view& input) {
  static const std::array<const char*, 24> kPieces = {
      "a", "b", " ",  "\"",   ",",    ";",   "\t", "{",   "}", "[", "]", ":", "\\", "'", "\xC3\xA9", "\xF0\x9F\x98\x80",
      "0", "|", "\n", "\r\n", "\"\"", "},{", "z",  "\n\n"};
  std::vector<std::string> texts;
  do {
    const std::string number = std::to_string(100 + texts.size());
    std::string text = "<beginning of " + number + ":";
    const unsigned length = take_byte(input) % 24;
    for (unsigned i = 0; i < length; ++i) {
      std::string piece = kPieces[take_byte(input) % kPieces.size()];
      // Behind a quote that never closes, the lines of a table's cell are read as rows: csv_fuzz.cpp is about those.
      const bool one_line = plan.layout == Layout::lines || (is_table(plan.layout) && plan.damage != Damage::none);
      if (one_line && piece.find('\n') != piece.npos) piece = "n";
      text += piece;
    }
    texts.push_back(text + ":" + number + " ends here>");
  } while (!input.empty() && texts.size() < 12);
  return texts;
}

std::string json_string(const std::string& text, unsigned style) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      (out += '\\') += c;
    } else if (c == '\n') {
      out += (style & 1) != 0 ? "\\u000a" : "\\n";
    } else if (c == '\r' || c == '\t') {
      out += c == '\r' ? "\\r" : "\\t";
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string json_record(const std::string& text, std::size_t number, unsigned style, bool pretty) {
  static const std::array<const char*, 8> kOthers = {
      "1", "1e999", "NaN", "[1, {\"text\": \"no\"}]", "{\"text\": \"no\"}", "\"}{\"", "null", "[]"};
  std::string blank = pretty ? ((style & 2) != 0 ? "\n" : "\n  ") : "";
  std::string member = "\"text\":" + std::string(pretty ? " " : "") + json_string(text, style);
  const std::string other = std::string("\"x\": ") + kOthers[(style / 4 + number) % kOthers.size()];
  if ((style & 32) != 0) {
    member = (style & 64) != 0 ? member + "," + blank + other : other + "," + blank + member;
  }
  return "{" + blank + member + (pretty ? "\n" : "") + "}";
}

std::string cell(const std::string& text, char delimiter, bool quoted) {
  const bool must = text.find_first_of(std::string("\"\r\n") + delimiter) != text.npos;
  if (!must && !quoted) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + '"';
}

// The file, and where each record begins in it.
std::string write_file(const Plan& plan, const std::vector<std::string>& texts, std::vector<std::size_t>& begins) {
  const std::string end = (plan.style & 16) != 0 ? "\r\n" : "\n";
  const char delimiter = plan.layout == Layout::tsv ? '\t' : ',';
  const bool array = plan.layout == Layout::json_array || (plan.layout == Layout::json_pretty && (plan.style & 8) != 0);
  std::string out;
  if (is_table(plan.layout)) out = std::string("id") + delimiter + "text" + delimiter + "stars" + end;
  if (array) out = "[" + (plan.layout == Layout::json_pretty ? end : "");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    begins.push_back(out.size());
    if (plan.layout == Layout::lines) out += texts[i];
    if (is_json(plan.layout)) out += json_record(texts[i], i, plan.style, plan.layout == Layout::json_pretty);
    if (is_table(plan.layout)) {
      out += std::to_string(i) + delimiter + cell(texts[i], delimiter, (plan.style & 2) != 0) + delimiter + "5";
    }
    if (array && i + 1 < texts.size()) out += ',';
    if (plan.layout != Layout::json_joined && plan.layout != Layout::json_array) out += end;
  }
  return array ? out + "]" : out;
}

// A byte that means something in this layout. A quote more or less in a table is what csv_fuzz.cpp is about, and a line
// more or less is no damage to lines.
char damaging(const Plan& plan) {
  static constexpr std::string_view kBytes = "\n{}[],:\\a\xFF\"";
  const char byte = kBytes[plan.value % kBytes.size()];
  const bool harmless = (byte == '"' && !is_json(plan.layout)) || (byte == '\n' && plan.layout == Layout::lines);
  return harmless ? 'a' : byte;
}

// Damages `file`; false if there is nothing to damage.
bool damage(const Plan& plan, std::string& file) {
  if (plan.damage == Damage::none || file.empty()) return false;
  const std::size_t place = file.size() * plan.place >> 16;
  const char before = file[place];
  const bool line_end = before == '\n' || before == '\r';
  const bool by_quote = file.substr(place == 0 ? 0 : place - 1, 3).find('"') != std::string::npos;
  if (plan.damage == Damage::cut) {
    file.resize(place);
  } else if (by_quote && !is_json(plan.layout)) {
    return false;
  } else if (plan.damage == Damage::insert) {
    file.insert(place, 1, damaging(plan));
  } else if (line_end && !is_json(plan.layout)) {
    return false;
  } else if (plan.damage == Damage::remove) {
    file.erase(place, 1);
  } else {
    file[place] = damaging(plan);
  }
  return true;
}

std::string widen(const std::string& text) {
  std::string wide = "\xFF\xFE";
  for (const char c : text) (wide += c) += '\0';
  return wide;
}

la_ssize_t append(archive*, void* out, const void* bytes, std::size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

// As archives and compressed streams are written elsewhere.
std::string wrap(Wrapping wrapping, const std::string& name, const std::string& content) {
  std::string out;
  archive* writer = archive_write_new();
  if (wrapping == Wrapping::tar) archive_write_set_format_pax_restricted(writer);
  if (wrapping == Wrapping::zip) archive_write_set_format_zip(writer);
  if (wrapping == Wrapping::gzip || wrapping == Wrapping::zstd) archive_write_set_format_raw(writer);
  if (wrapping == Wrapping::gzip) archive_write_add_filter_gzip(writer);
  if (wrapping == Wrapping::zstd) archive_write_add_filter_zstd(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  check(archive_write_open(writer, &out, nullptr, append, nullptr) == ARCHIVE_OK, "libarchive can write");
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, name.c_str());
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
  check(archive_write_header(writer, entry) == ARCHIVE_OK, "libarchive can write a header");
  archive_write_data(writer, content.data(), content.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  return out;
}

class ReadyWaiter final : public Waiter {
 public:
  Event wait(int, bool) override { return Event::ready; }
};

std::vector<Review> read_all(const std::string& path) {
  const InputOptions options;
  ReadyWaiter waiter;
  const auto source = open_source({}, {path}, options, waiter);
  std::vector<Review> reviews;
  for (Review review; source->next(review, true) == Source::Status::review;) {
    check_review(review, options);
    reviews.push_back(review);
  }
  return reviews;
}

// Through a pipe, all of which is there at once; a file where a pipe cannot hold it.
std::vector<Review> read_piped(const TempFolder& folder, const std::string& bytes) {
  constexpr std::size_t kPipe = 65536;
  int ends[2];
  check(pipe2(ends, O_CLOEXEC) == 0, "a pipe can be made");
  const bool small = bytes.size() <= kPipe;
  if (small) check(write(ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "a pipe takes it");
  close(ends[1]);
  const std::string path = small ? "/proc/self/fd/" + std::to_string(ends[0]) : folder.write("in", bytes);
  std::vector<Review> reviews = read_all(path);
  close(ends[0]);
  return reviews;
}

// Whether `text` is a part of one of `texts` that no one could tell from a whole.
bool is_part(std::string_view text, const std::vector<std::string>& texts, const Plan& plan) {
  constexpr std::string_view kReplaced = "\xEF\xBF\xBD";  // for a character that was cut
  while (text.ends_with(kReplaced)) text.remove_suffix(kReplaced.size());
  while (text.starts_with(kReplaced)) text.remove_prefix(kReplaced.size());
  const auto is_part_of = [&](const std::string& written) {
    // Where a record may follow on the same line, a text that holds "},{" looks like two if its back slash is lost.
    const bool one_a_line = plan.layout == Layout::json_lines;
    if (is_json(plan.layout)) return !one_a_line && written.find('}') != std::string::npos && written.starts_with(text);
    return written.starts_with(text) || written.ends_with(text);
  };
  return std::any_of(texts.begin(), texts.end(), is_part_of);
}

// Which of `texts` it is, with some bytes changed where there was damage.
std::optional<std::size_t> find_text(const std::string& text, const std::vector<std::string>& texts, bool damaged) {
  constexpr std::size_t kChanged = 16;  // a byte of four that make a character becomes three U+FFFD
  std::optional<std::size_t> best;
  std::size_t fewest = kChanged + 1;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string& written = texts[i];
    const std::size_t shorter = std::min(text.size(), written.size());
    std::size_t front = 0;
    while (front < shorter && text[front] == written[front]) ++front;
    std::size_t back = 0;
    while (back < shorter - front && text[text.size() - 1 - back] == written[written.size() - 1 - back]) ++back;
    const std::size_t changed = std::max(text.size(), written.size()) - front - back;
    if (changed < fewest && (damaged || changed == 0)) {
      best = i;
      fewest = changed;
    }
  }
  return best;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TempFolder folder;
  std::string_view input = as_text(data, size);
  Plan plan{};
  plan.layout = static_cast<Layout>(take_byte(input) % kLayouts);
  plan.name = choose_name(plan.layout, take_byte(input));
  plan.wrapping = static_cast<Wrapping>(take_byte(input) % kWrappings);
  plan.damage = static_cast<Damage>(take_byte(input) % kDamages);
  plan.place = take_byte(input) << 8;
  plan.place |= take_byte(input);
  plan.value = take_byte(input);
  plan.style = take_byte(input);
  const unsigned way = take_byte(input);
  plan.piped = (way & 1) != 0;
  plan.wide = (way & 6) == 6;
  const std::vector<std::string> texts = make_texts(plan, input);

  std::vector<std::size_t> begins;
  std::string file = write_file(plan, texts, begins);
  const bool ascii = std::all_of(file.begin(), file.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  const bool damage_outside = (way & 8) != 0 && plan.wrapping != Wrapping::none && plan.wrapping != Wrapping::folder;
  bool damaged = !damage_outside && damage(plan, file);
  const bool in_folder = plan.wrapping == Wrapping::folder;
  const bool inside = in_folder || plan.wrapping == Wrapping::tar || plan.wrapping == Wrapping::zip;
  // By the rules, these are texts of their own: lines in an archive (one text), tables and broken JSON called .txt, and
  // the rows of a table without its header.
  if (plan.layout == Layout::lines && inside && texts.size() > 1) return 0;
  if (plan.name == "in.txt" && (is_table(plan.layout) || (damaged && is_json(plan.layout)))) return 0;
  const bool header_damaged = damaged && (file.size() * plan.place >> 16) <= begins[0] + 1;
  if (is_table(plan.layout) && header_damaged) return 0;
  const std::size_t written = file.size();
  if (damaged && is_json(plan.layout) && written < 12) return 0;  // { alone is a text
  if (plan.wide && ascii && !damaged) file = widen(file);

  std::string stored = in_folder || plan.wrapping == Wrapping::none ? file : wrap(plan.wrapping, plan.name, file);
  std::string name = plan.name;
  if (plan.wrapping == Wrapping::gzip) name += ".gz";
  if (plan.wrapping == Wrapping::zstd) name += ".zst";
  if (plan.wrapping == Wrapping::tar) name = "in.tar";
  if (plan.wrapping == Wrapping::zip) name = "in.zip";
  const bool cut_outside = damage_outside && plan.damage == Damage::cut;
  if (cut_outside) stored.resize(stored.size() * plan.place >> 16);
  if (cut_outside && stored.size() < 12) return 0;  // not even a magic number, or a part of a name in a tar archive

  std::vector<Review> reviews;
  if (in_folder) {
    const std::string sub = folder.path() + "/sub";
    std::filesystem::create_directory(sub);
    folder.write("sub/" + name, stored);
    reviews = read_all(sub);
    std::filesystem::remove_all(sub);
  } else if (plan.piped && fits(plan)) {
    reviews = read_piped(folder, stored);
  } else {
    reviews = read_all(folder.write(name, stored));
  }

  std::set<std::size_t> found;
  bool told = false;
  for (const Review& review : reviews) {
    told = told || review.failure.has_value();
    if (review.failure) continue;
    std::string text = review.text;
    const bool whole = plan.layout == Layout::lines && inside;
    while (whole && (text.ends_with('\n') || text.ends_with('\r'))) text.pop_back();
    if (text.empty() && (damaged || cut_outside)) continue;  // of a file or line of which nothing is left
    const std::optional<std::size_t> which = find_text(text, texts, damaged || cut_outside);
    if (!which && (damaged || cut_outside) && is_part(text, texts, plan)) {
      told = told || !is_json(plan.layout);
      continue;
    }
    if (!which) std::fprintf(stderr, "rated: %s\nfile %s: %s\n", review.text.c_str(), name.c_str(), file.c_str());
    check(which.has_value(), "a text that is rated was written");
    check(found.empty() || *found.rbegin() < *which, "texts come in their order, and once");
    found.insert(*which);
  }
  // What a cut takes away whole cannot be missed, but for the records of an array.
  std::size_t expected = texts.size();
  if (damaged && plan.damage == Damage::cut) {
    while (expected > 0 && begins[expected - 1] >= written) --expected;
  }
  if (found.size() < expected && !told) {
    std::fprintf(stderr, "%zu of %zu; file %s: %s\n", found.size(), expected, name.c_str(), file.c_str());
  }
  check(found.size() >= expected || told, "no text is missing unsaid");
  const bool read_as_written = !damaged && !cut_outside && fits(plan);
  if (read_as_written && (told || found.size() != texts.size())) {
    for (const Review& review : reviews) {
      if (review.failure) std::fprintf(stderr, "%s\n", review.failure->message.c_str());
    }
  }
  check(!read_as_written || (!told && found.size() == texts.size()), "what is whole is read whole");
  return 0;
}
