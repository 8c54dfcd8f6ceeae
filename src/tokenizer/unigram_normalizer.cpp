// The normalizers before SentencePiece pieces; see the header.
//
// unigram_tables.inc has for each mapping of code points its runs (first, last, what the first becomes, where 0 stands
// for nothing; the others of a run follow in step) and, for what becomes several, sequences (code point, count, the
// code points). What stands in neither stays as it is. The other tables are ranges (first, last).
#include "reviewrate/unigram_normalizer.h"

#include <algorithm>
#include <span>
#include <unordered_map>
#include <utility>

#include "reviewrate/error.h"
#include "reviewrate/unicode.h"
#include "reviewrate/utf8.h"

namespace reviewrate {
namespace {

#include "unigram_tables.inc"

/// What each code point becomes.
class Mapping {
 public:
  Mapping(std::span<const char32_t> runs, std::span<const char32_t> sequences) : runs_(runs) {
    for (std::size_t i = 0; i < sequences.size(); i += 2 + sequences[i + 1]) {
      sequences_.emplace(sequences[i], sequences.subspan(i + 2, sequences[i + 1]));
    }
  }

  void append(char32_t c, std::string& out) const {
    // The first run that does not end before the code point: the runs are sorted, three numbers each.
    std::size_t low = 0;
    for (std::size_t high = runs_.size() / 3; low < high;) {
      const std::size_t middle = (low + high) / 2;
      if (runs_[3 * middle + 1] < c) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (3 * low < runs_.size() && runs_[3 * low] <= c) {
      if (const char32_t target = runs_[3 * low + 2]; target != 0) append_code_point(out, target + c - runs_[3 * low]);
      return;
    }
    const auto found = sequences_.find(c);
    if (found == sequences_.end()) return append_code_point(out, c);
    for (const char32_t part : found->second) append_code_point(out, part);
  }

 private:
  std::span<const char32_t> runs_;
  std::unordered_map<char32_t, std::span<const char32_t>> sequences_;
};

void unaccent(char32_t c, std::string& out) {
  static const Mapping mapping(kUnaccentedRuns, kUnaccentedSequences);
  // Hangul syllables decompose by arithmetic (The Unicode Standard, section 3.12), which fold() has.
  if (c < 0xAC00 || c > 0xD7A3) return mapping.append(c, out);
  for (const FoldedChar& jamo : fold(c)) append_code_point(out, jamo.code_point);
}

void lowercase(char32_t c, std::string& out) {
  static const Mapping mapping(kLowercaseRuns, kLowercaseSequences);
  mapping.append(c, out);
}

template <typename Append>
std::string each_code_point(std::string_view text, const Append& append) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const DecodedChar decoded = decode_code_point(text);
    append(decoded.code_point, out);
    text.remove_prefix(decoded.length);
  }
  return out;
}

std::string replace_quotes(std::string text) {
  for (const std::string_view pair : {"``", "''"}) {
    std::string out;
    std::size_t begin = 0;
    for (std::size_t at; (at = text.find(pair, begin)) != std::string::npos; begin = at + pair.size()) {
      out.append(text, begin, at - begin).push_back('"');
    }
    text = out.append(text, begin);
  }
  return text;
}

std::string replace_spaces(std::string_view text, std::string_view replacement) {
  std::string out;
  while (!text.empty()) {
    const std::size_t spaces = std::min(text.find_first_not_of(' '), text.size());
    out += spaces >= 2 ? replacement : text.substr(0, spaces);
    text.remove_prefix(spaces);
    const std::size_t others = std::min(text.find(' '), text.size());
    out += text.substr(0, others);
    text.remove_prefix(others);
  }
  return out;
}

bool in(std::span<const char32_t> ranges, char32_t c) {
  // Firsts stand at even places and lasts at odd ones.
  const auto bound = std::lower_bound(ranges.begin(), ranges.end(), c);
  return bound != ranges.end() && (*bound == c || (bound - ranges.begin()) % 2 == 1);
}

/// The length of the grapheme cluster at the start of `text`, which must not be empty (Unicode Standard Annex #29).
/// Rules that only bear on clusters of more than five bytes, those of Hangul, flags and joined emoji, are left out:
/// such clusters are not looked up.
std::size_t cluster_length(std::string_view text) {
  const auto ascii = [&](std::size_t at) { return at >= text.size() || static_cast<unsigned char>(text[at]) < 0x80; };
  if (text.starts_with("\r\n")) return 2;
  if (ascii(0) && ascii(1)) return 1;
  DecodedChar last = decode_code_point(text);
  std::size_t length = last.length;
  if (in(kControls, last.code_point)) return length;
  for (; length < text.size(); length += last.length) {
    const DecodedChar next = decode_code_point(text.substr(length));
    const bool joins =
        in(kJoinsPrevious, next.code_point) || (in(kJoinsNext, last.code_point) && !in(kControls, next.code_point));
    if (!joins) break;
    last = next;
  }
  return length;
}

constexpr std::pair<const char*, NormalizerStep> kStepNames[] = {
    {"quotes", NormalizerStep::quotes},
    {"unaccent", NormalizerStep::unaccent},
    {"lowercase", NormalizerStep::lowercase},
    {"charsmap", NormalizerStep::charsmap},
    {"strip-right", NormalizerStep::strip_right},
    {"merge-spaces", NormalizerStep::merge_spaces},
    {"mark-long-spaces", NormalizerStep::mark_long_spaces},
};

}  // namespace

std::optional<NormalizerStep> parse_normalizer_step(const std::string& name) {
  for (const auto& [step_name, step] : kStepNames) {
    if (name == step_name) return step;
  }
  return std::nullopt;
}

Charsmap::Charsmap(const std::string& table, const std::string& name) {
  const auto number = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) value = value << 8U | static_cast<unsigned char>(table[at + i]);
    return value;
  };
  const std::size_t trie_bytes = table.size() < 4 ? 0 : number(0);
  if (trie_bytes == 0 || trie_bytes % 4 != 0 || trie_bytes > table.size() - 4) {
    throw Error(ErrorKind::model, name + ": cannot be used: it is not a precompiled table of normalization rules");
  }
  for (std::size_t at = 4; at < 4 + trie_bytes; at += 4) trie_.push_back(number(at));
  replacements_ = table.substr(4 + trie_bytes);
  // Whatever the trie points to begins and ends inside, and is text.
  replacements_.push_back('\0');
  if (std::string copy = replacements_; repair(copy) != 0) {
    throw Error(ErrorKind::model, name + ": cannot be used: its rules are not UTF-8");
  }
}

/// What the shortest rule at the start of `chunk` makes of it; `tokenizers` then drops the rest of the chunk.
std::optional<std::string_view> Charsmap::find(std::string_view chunk) const {
  // The units of Darts-clone's double array: a label, an offset to the children, and whether one of them is a value.
  const auto offset = [](std::uint32_t unit) { return (unit >> 10U) << ((unit & (1U << 9U)) >> 6U); };
  std::uint32_t at = offset(trie_[0]);
  for (const char c : chunk) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) break;
    at ^= byte;
    // A damaged table may point anywhere.
    if (at >= trie_.size() || (trie_[at] & (1U << 31U | 0xFFU)) != byte) break;
    const bool has_value = (trie_[at] >> 8U & 1U) != 0;
    at ^= offset(trie_[at]);
    if (at >= trie_.size()) break;
    if (has_value) {
      const std::size_t begin = trie_[at] & ~(1U << 31U);
      // Inside a character: only a damaged table points there.
      if (begin >= replacements_.size() || (static_cast<unsigned char>(replacements_[begin]) & 0xC0U) == 0x80) break;
      return replacements_.c_str() + begin;
    }
  }
  return std::nullopt;
}

std::string Charsmap::apply(std::string_view text) const {
  constexpr std::size_t kMaxLookedUpBytes = 5;
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    std::string_view cluster = text.substr(0, cluster_length(text));
    text.remove_prefix(cluster.size());
    const auto whole = cluster.size() <= kMaxLookedUpBytes ? find(cluster) : std::nullopt;
    if (whole) {
      out += *whole;
      continue;
    }
    while (!cluster.empty()) {
      const std::string_view character = cluster.substr(0, decode_code_point(cluster).length);
      out += find(character).value_or(character);
      cluster.remove_prefix(character.size());
    }
  }
  return out;
}

std::string normalize(std::string_view text, const std::vector<NormalizerStep>& steps, const Charsmap& charsmap) {
  std::string out(text);
  for (const NormalizerStep step : steps) {
    switch (step) {
      case NormalizerStep::quotes:
        out = replace_quotes(std::move(out));
        break;
      case NormalizerStep::unaccent:
        out = each_code_point(out, unaccent);
        break;
      case NormalizerStep::lowercase:
        out = each_code_point(out, lowercase);
        break;
      case NormalizerStep::charsmap:
        out = charsmap.apply(out);
        break;
      case NormalizerStep::strip_right:
        out.resize(trim_end(out).size());
        break;
      case NormalizerStep::merge_spaces:
        out = replace_spaces(out, " ");
        break;
      case NormalizerStep::mark_long_spaces:
        out = replace_spaces(out, "\u2581");
        break;
    }
  }
  return out;
}

}  // namespace reviewrate
