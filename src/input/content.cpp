// Magic bytes, byte order marks, and what else the first bytes give away.
#include "content.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "line_splitter.h"
#include "readers.h"
#include "reviewrate/text.h"
#include "reviewrate/utf8.h"
#include "text_fields.h"

namespace reviewrate {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::string_view bytes;
  std::string_view kind;
};

constexpr std::string_view kDocument = "; save its text as .txt or .csv first";
constexpr std::string_view kExpand = "; expand it first";
constexpr std::string_view kConvert = "; convert it to .parquet, .jsonl or .csv first";
constexpr std::string_view kArrowFile = "ARROW1\x00\x00"sv;
constexpr std::string_view kArrowStream = "\xFF\xFF\xFF\xFF"sv;  // since Arrow 0.15

constexpr std::array<Magic, 43> kMagics = {{
    {"%PDF-"sv, "a PDF document"},
    {"{\\rtf"sv, "an RTF document"},
    {"%!PS"sv, "a PostScript document"},
    {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"sv, "an Office document (.doc, .xls)"},
    {"\x04\x22\x4D\x18"sv, "lz4-compressed"},
    {"\x02\x21\x4C\x18"sv, "lz4-compressed"},
    {"\xFF\x06\x00\x00sNaPpY"sv, "snappy-compressed"},
    {"\x1F\x9D"sv, "compressed by compress (.Z)"},
    {"\x1F\xA0"sv, "compressed by compress (.Z)"},
    {"LZIP\x01"sv, "lzip-compressed"},
    {"\x5D\x00\x00"sv, "lzma-compressed"},
    {"7z\xBC\xAF\x27\x1C"sv, "a 7z archive"},
    {"Rar!\x1A\x07"sv, "a rar archive"},
    {"MSCF\x00\x00\x00\x00"sv, "a cab archive"},
    {"!<arch>\n"sv, "an ar archive"},
    {kArrowFile, "an Arrow file"},
    {kArrowStream, "an Arrow stream"},
    {"FEA1\x00"sv, "a Feather file of the first version"},
    {"Obj\x01"sv, "an Avro file"},
    {"SEQ\x06"sv, "a Hadoop sequence file"},
    {"SQLite format 3\x00"sv, "an SQLite database"},
    {"\x89HDF\r\n\x1A\n"sv, "an HDF5 file"},
    {"\x93NUMPY"sv, "a NumPy array"},
    {"\x80\x02"sv, "a Python pickle"},
    {"\x80\x03"sv, "a Python pickle"},
    {"\x80\x04"sv, "a Python pickle"},
    {"\x80\x05"sv, "a Python pickle"},
    {"GGUF\x02\x00"sv, "a GGUF model"},
    {"GGUF\x03\x00"sv, "a GGUF model"},
    {"\x89PNG\r\n"sv, "a PNG image"},
    {"\xFF\xD8\xFF"sv, "a JPEG image"},
    {"GIF87a"sv, "a GIF image"},
    {"GIF89a"sv, "a GIF image"},
    {"II*\x00"sv, "a TIFF image"},
    {"MM\x00*"sv, "a TIFF image"},
    {"ID3\x03"sv, "an MP3 recording"},
    {"ID3\x04"sv, "an MP3 recording"},
    {"OggS\x00"sv, "an Ogg recording"},
    {"\x7F"
     "ELF"sv,
     "a program (ELF)"},
    {"\xCF\xFA\xED\xFE"sv, "a program (Mach-O)"},
    {"\xCA\xFE\xBA\xBE"sv, "a program (Java or Mach-O)"},
    {"MZ\x90\x00"sv, "a program (Windows)"},
    {"\x00"
     "asm"sv,
     "a program (WebAssembly)"},
}};

// What may be done with a kind.
std::string_view advice(std::string_view kind) {
  const auto has = [&](std::string_view word) { return kind.find(word) != kind.npos; };
  if (has("document")) return kDocument;
  if (has("compressed") || has("archive")) return kExpand;
  const bool data =
      has("Feather") || has("Avro") || has("Hadoop") || has("SQLite") || has("HDF5") || has("NumPy") || has("pickle");
  return data ? kConvert : ""sv;
}

// A structure follows in Thrift's compact form, of which the first byte is a control character; text may begin so, too.
bool is_parquet(std::string_view beginning, std::string_view letters = "PAR1") {
  return beginning.starts_with(letters) && (beginning.size() == 4 || (static_cast<unsigned char>(beginning[4]) < 0x20 &&
                                                                      std::isspace(beginning[4]) == 0));
}

// Its first stripe or footer follows, with control characters soon; no text has those.
bool is_orc(std::string_view beginning) {
  constexpr std::size_t kFar = 16;
  const std::string_view behind = beginning.substr(0, kFar);
  return behind.starts_with("ORC") && std::any_of(behind.begin(), behind.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 && c != '\x1B' && std::isspace(c) == 0;
         });
}

}  // namespace

std::string_view without_mark(std::string_view text) {
  while (text.starts_with(kBom)) text.remove_prefix(kBom.size());
  return text;
}

std::string binary_kind(std::string_view beginning) {
  for (const Magic& magic : kMagics) {
    if (beginning.starts_with(magic.bytes)) return std::string(magic.kind).append(advice(magic.kind));
  }
  const auto has_at = [&](std::size_t at, std::string_view bytes) {
    return beginning.size() > at && beginning.substr(at).starts_with(bytes);
  };
  if (has_at(0, "RIFF") && (has_at(8, "WEBP") || has_at(8, "WAVE") || has_at(8, "AVI ")))
    return "a picture or recording";
  if (has_at(0, "\0"sv) && has_at(4, "ftyp")) return "a picture or recording";
  if (is_parquet(beginning)) return "a Parquet file";
  if (is_orc(beginning)) return std::string("an ORC file").append(kConvert);
  // Of an encrypted one; where its first part is, too, that part's length comes first, which four bytes are for.
  if (has_at(0, "PARE") && (has_at(7, "\0"sv) || (beginning.size() > 4 && is_parquet(beginning, "PARE")))) {
    return std::string("an encrypted Parquet file").append(kConvert);
  }
  // safetensors: the length of a JSON object, and that object.
  if (beginning.size() > 10 && beginning.substr(4, 6) == "\0\0\0\0{\""sv) return "a safetensors model";
  return {};
}

InputFormat binary_format(std::string_view beginning) {
  if (is_parquet(beginning)) return InputFormat::parquet;
  if (beginning.starts_with(kArrowFile)) return InputFormat::arrow_file;
  return beginning.starts_with(kArrowStream) ? InputFormat::arrow : InputFormat::automatic;
}

std::string unreadable_kind(std::string_view beginning, bool strict) {
  const std::size_t nul = beginning.find('\0');
  if (nul < (strict ? beginning.size() : kMagicLength)) {
    // Half of what most texts are in UTF-16 is zero.
    std::size_t zeros[2] = {0, 0};
    for (std::size_t i = 0; i < beginning.size(); ++i) {
      if (beginning[i] == '\0') ++zeros[i % 2];
    }
    const std::size_t units = beginning.size() / 2;
    if (zeros[1] > units / 2 && zeros[0] < units / 16 + 1) {
      return "UTF-16 without a byte order mark, it seems; try --encoding UTF-16LE";
    }
    if (zeros[0] > units / 2 && zeros[1] < units / 16 + 1) {
      return "UTF-16 without a byte order mark, it seems; try --encoding UTF-16BE";
    }
    return "binary data (it has NUL bytes)";
  }
  std::size_t control = 0;
  for (const char c : beginning) {
    if (static_cast<unsigned char>(c) < 0x20 &&
        std::string_view("\t\n\v\f\r\x1B\x1E").find(c) == std::string_view::npos) {
      ++control;
    }
  }
  if (control > beginning.size() / 4) return "binary data";
  if (control <= beginning.size() / 32) return {};
  std::string copy(beginning);
  return repair(copy) > beginning.size() / 8 ? "binary data" : std::string();
}

std::string zip_kind(std::string_view beginning, const std::string& extension) {
  static constexpr std::size_t kNameLength = 26;
  static constexpr std::size_t kName = 30;
  std::string_view name;
  if (beginning.size() > kName) {
    const auto byte = [&](std::size_t at) {
      return static_cast<std::size_t>(static_cast<unsigned char>(beginning[at]));
    };
    name = beginning.substr(kName, byte(kNameLength) + 256 * byte(kNameLength + 1));
  }
  const bool markup = name.ends_with(".xml") || name.ends_with(".rels");
  const bool office =
      markup && (name.starts_with("[Content_Types]") || name.starts_with("_rels/") || name.starts_with("docProps/") ||
                 name.starts_with("xl/") || name.starts_with("word/") || name.starts_with("ppt/"));
  if (office || extension == ".xlsx" || extension == ".docx" || extension == ".pptx") {
    return std::string(extension == ".xlsx" || name.starts_with("xl/")     ? "an Excel workbook"
                       : extension == ".docx" || name.starts_with("word/") ? "a Word document"
                                                                           : "an Office document (.xlsx, .docx)")
        .append(kDocument);
  }
  const bool stored_type = name == "mimetype";
  if (stored_type || extension == ".ods" || extension == ".odt" || extension == ".epub") {
    return std::string("an OpenDocument or EPUB document").append(kDocument);
  }
  if (name.ends_with("/data.pkl") || name.ends_with("/version") || extension == ".pt" || extension == ".pth") {
    return "a PyTorch model";
  }
  if (name.ends_with(".npy")) return std::string("NumPy arrays").append(kConvert);
  if (name.starts_with("META-INF/") || name == "AndroidManifest.xml") return "a program (Java or Android)";
  return {};
}

std::string page_kind(std::string_view beginning, const std::string& extension, bool meant) {
  if (beginning.starts_with("version https://git-lfs.github.com/spec/")) {
    return "a Git LFS pointer and not the data itself; git lfs pull fetches it";
  }
  const std::string_view start = trimmed(without_mark(beginning));
  const auto begins = [&](std::string_view lower) {
    return ascii_lower(std::string(start.substr(0, lower.size()))) == lower;
  };
  const bool markup = extension == ".html" || extension == ".htm" || extension == ".xhtml" || extension == ".xml";
  if (markup || meant) return {};
  if (begins("<!doctype html") || begins("<html")) {
    return "an HTML page, such as servers send instead of a file";
  }
  if (begins("<?xml")) return "an XML document, such as servers send instead of a file";
  return {};
}

std::optional<Mark> byte_order_mark(std::string_view beginning) {
  if (beginning.starts_with("\xEF\xBB\xBF"sv)) return Mark{"UTF-8", 3};
  if (beginning.starts_with("\xFF\xFE\0\0"sv)) return Mark{"UTF-32LE", 4};
  if (beginning.starts_with("\0\0\xFE\xFF"sv)) return Mark{"UTF-32BE", 4};
  if (beginning.starts_with("\xFF\xFE"sv)) return Mark{"UTF-16LE", 2};
  if (beginning.starts_with("\xFE\xFF"sv)) return Mark{"UTF-16BE", 2};
  return std::nullopt;
}

bool begins_as_json(std::string_view beginning) {
  const std::string_view start = trimmed(without_mark(beginning));
  return start.starts_with('{') || start.starts_with('[');
}

bool begins_as_object(std::string_view beginning) {
  const std::string_view start = trimmed(without_mark(beginning));
  return start.starts_with('{') && trimmed(start.substr(1)).starts_with('"');
}

}  // namespace reviewrate
