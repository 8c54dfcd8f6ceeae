// The sets of labels that are in use, and what each of their values means.
#include "labels.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "reviewrate/error.h"
#include "reviewrate/formatter.h"
#include "reviewrate/text.h"
#include "reviewrate/utf8.h"

namespace reviewrate::cli {
namespace {

constexpr std::size_t kMostValues = 1000;  // a column of so many different values holds no labels
constexpr std::size_t kShownValues = 12;
constexpr std::size_t kShownBytes = 60;

/// Words for no label; the first one is what aclImdb calls the folder of such reviews.
constexpr std::array<std::string_view, 3> kNoLabel = {"unsup", "unlabelled", "unlabeled"};

using Words = std::pair<std::string_view, std::string_view>;

/// For the negative label, and for the positive one.
constexpr std::array<Words, 3> kWords = {{{"negative", "positive"}, {"neg", "pos"}, {"false", "true"}}};

/// Short forms of names that multiclass labels may have.
constexpr std::array<Words, 3> kShortNames = {{{"neg", "negative"}, {"neu", "neutral"}, {"pos", "positive"}}};

/// These say something only where both are there: n may be neutral, t a title.
constexpr std::array<Words, 2> kLetters = {{{"n", "p"}, {"f", "t"}}};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

/// LOW:HIGH; empty if it is none. Throws Error(usage) if it is the other way round.
std::optional<std::pair<double, double>> parse_range(const std::string& key) {
  const std::size_t colon = key.find(':');
  if (colon == std::string::npos) return std::nullopt;
  const std::optional<double> low = parse_number(key.substr(0, colon)), high = parse_number(key.substr(colon + 1));
  if (!low || !high) return std::nullopt;
  if (*low > *high) throw Error(ErrorKind::usage, "--label-map: " + key + ": a range begins with its lowest number");
  return std::pair(*low, *high);
}

/// Numbers by value, then words, the most frequent first.
std::vector<LabelValue> ordered(const LabelColumn& column) {
  std::vector<LabelValue> values = column.values();
  std::stable_sort(values.begin(), values.end(), [](const LabelValue& a, const LabelValue& b) {
    const std::optional<double> x = parse_number(a.key), y = parse_number(b.key);
    if (x && y) return *x < *y;
    if (x || y) return x.has_value();
    return a.reviews > b.reviews;
  });
  return values;
}

/// The one whole number in a label's name, such as 5 of "5 stars"; empty: none or several.
std::optional<double> number_in(const std::string& name) {
  constexpr std::string_view kDigits = "0123456789";
  const std::size_t begin = name.find_first_of(kDigits);
  if (begin == std::string::npos) return std::nullopt;
  const std::size_t end = std::min(name.find_first_not_of(kDigits, begin), name.size());
  if (name.find_first_of(kDigits, end) != std::string::npos) return std::nullopt;
  return parse_number(name.substr(begin, end - begin));
}

/// The number of each label by NumberScheme::counted.
std::vector<double> counted_numbers(const std::vector<std::string>& names) {
  std::vector<double> numbers;
  std::size_t with_digits = 0;
  for (const std::string& name : names) {
    with_digits += name.find_first_of("0123456789") != std::string::npos ? 1 : 0;
    if (const std::optional<double> number = number_in(name)) numbers.push_back(*number);
  }
  if (with_digits == 0) {
    for (std::size_t label = 1; label <= names.size(); ++label) numbers.push_back(static_cast<double>(label));
  }
  const bool tells = std::set<double>(numbers.begin(), numbers.end()).size() == names.size();
  return tells ? numbers : std::vector<double>();
}

}  // namespace

MeasuredLabels measured_labels(const Manifest& manifest) {
  if (has_threshold(manifest)) {
    return {Task::binary, {manifest.labels[1 - *manifest.positive], manifest.labels[*manifest.positive]}};
  }
  std::map<std::string, std::string> by_key;
  for (const std::string& label : manifest.labels) {
    const auto [other, fresh] = by_key.emplace(LabelColumn::key_of(label), label);
    if (fresh) continue;
    throw Error(ErrorKind::usage, "eval: model " + manifest.name + ": its labels " + other->second + " and " + label +
                                      " cannot be told apart in data");
  }
  if (manifest.labels.size() < 2) {
    throw Error(ErrorKind::usage, "eval: model " + manifest.name + ": must have two labels or more");
  }
  return {Task::multiclass, manifest.labels};
}

std::optional<std::size_t> number_of(const std::string& name, const MeasuredLabels& labels) {
  const std::string key = LabelColumn::key_of(name);
  const auto found = std::find_if(labels.names.begin(), labels.names.end(),
                                  [&](const std::string& other) { return LabelColumn::key_of(other) == key; });
  if (found == labels.names.end()) return std::nullopt;
  return static_cast<std::size_t>(found - labels.names.begin());
}

std::string listed(const std::vector<std::string>& names) {
  std::string list;
  for (std::size_t i = 0; i < names.size(); ++i) {
    list += (i == 0 ? "" : i + 1 < names.size() ? ", " : " and ") + names[i];
  }
  return list;
}

std::optional<double> parse_number(const std::string& text) {
  std::string_view digits = trimmed(text);
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string shown_label(const std::string& text) {
  if (parse_number(text)) return std::string(trimmed(text));
  return json_string(shortened(text, kShownBytes));
}

std::string LabelColumn::key_of(const std::string& text) {
  if (const std::optional<double> number = parse_number(text)) return shortest(*number == 0 ? 0 : *number);
  return ascii_lower(std::string(trimmed(text)));
}

std::size_t LabelColumn::add(std::string key, bool is_folder) {
  const auto found = numbers_.find({is_folder, key});
  if (found != numbers_.end()) {
    ++values_[found->second].reviews;
    return found->second;
  }
  if (values_.size() == kMostValues) {
    ++surplus_;
    return values_.size() - 1;
  }
  numbers_.emplace(std::pair(is_folder, key), values_.size());
  values_.push_back({std::move(key), is_folder, 1});
  return values_.size() - 1;
}

LabelRules::LabelRules(const Manifest& manifest, const std::vector<std::string>& map)
    : labels_(measured_labels(manifest)), positive_first_(manifest.positive == std::size_t{0}) {
  for (const std::string& name : labels_.names) keys_.push_back(LabelColumn::key_of(name));
  if (!is_binary()) counted_ = counted_numbers(labels_.names);
  for (const std::string& item : map) {
    const std::size_t equals = item.rfind('=');
    const std::string key = LabelColumn::key_of(item.substr(0, equals == std::string::npos ? 0 : equals));
    if (key.empty()) {
      throw Error(ErrorKind::usage, "--label-map: " + json_string(item) + " must be VALUE=LABEL");
    }
    const std::string target = item.substr(equals + 1);
    const std::optional<Meaning> meaning = parse_target(target);
    if (!meaning) {
      throw Error(ErrorKind::usage, "--label-map: " + json_string(item) + ": the labels of the model are " +
                                        listed(labels_.names) + "; nothing behind the = is for no label");
    }
    if (const std::optional<std::pair<double, double>> bounds = parse_range(key)) {
      const LabelRange range{bounds->first, bounds->second, *meaning};
      if (std::any_of(ranges_.begin(), ranges_.end(), [&](const LabelRange& other) {
            return other.meaning != *meaning && other.low <= range.high && range.low <= other.high;
          })) {
        throw Error(ErrorKind::usage, "--label-map: numbers of " + key + " are given two meanings");
      }
      ranges_.push_back(range);
      continue;
    }
    const auto [known, fresh] = map_.emplace(key, *meaning);
    if (!fresh && known->second != *meaning) {
      throw Error(ErrorKind::usage, "--label-map: " + shown_label(key) + " is given two meanings");
    }
  }
}

/// A value that is named by itself goes before the ranges.
std::optional<Meaning> LabelRules::mapped(const std::string& key) const {
  if (const auto named = map_.find(key); named != map_.end()) return named->second;
  const std::optional<double> number = parse_number(key);
  const auto range = std::find_if(ranges_.begin(), ranges_.end(),
                                  [&](const LabelRange& each) { return number && each.holds(*number); });
  return range == ranges_.end() ? std::nullopt : std::optional(range->meaning);
}

std::optional<Meaning> LabelRules::named(const std::string& key) const {
  const auto found = std::find(keys_.begin(), keys_.end(), key);
  return found == keys_.end() ? std::nullopt : std::optional(static_cast<Meaning>(found - keys_.begin()));
}

std::optional<Meaning> LabelRules::parse_target(const std::string& name) const {
  const std::string key = LabelColumn::key_of(name);
  if (key.empty()) return kUnlabelled;
  if (const std::optional<Meaning> label = named(key)) return label;
  // Other numbers are values of the data, and would not say which of the labels they are here.
  return parse_number(key) ? std::nullopt : word(key);
}

std::optional<Meaning> LabelRules::word(const std::string& key) const {
  // Numbers may be called so, and counted all the same.
  if (const std::optional<Meaning> label = named(key); label && (is_binary() || !parse_number(key))) return label;
  for (const Words& words : kWords) {
    if (!is_binary()) break;
    if (key == words.first) return kNegative;
    if (key == words.second) return kPositive;
  }
  for (const auto& [brief, whole] : kShortNames) {
    if (!is_binary() && key == brief) return named(std::string(whole));
  }
  const bool none = std::find(kNoLabel.begin(), kNoLabel.end(), key) != kNoLabel.end();
  return none ? std::optional(kUnlabelled) : std::nullopt;
}

std::optional<Meaning> LabelRules::meaning(const std::string& key, NumberScheme scheme) const {
  if (const std::optional<Meaning> said = mapped(key)) return said;
  if (const std::optional<Meaning> named = word(key)) return named;
  for (const Words& letters : kLetters) {
    if (!is_binary()) break;
    if (key == letters.first) return kNegative;
    if (key == letters.second) return kPositive;
  }
  if (!map_.empty() || !ranges_.empty())
    return is_binary() ? std::nullopt : named(key);  // then it has to say all numbers: what is left proves nothing
  return number(key, scheme);
}

std::optional<Meaning> LabelRules::number(const std::string& key, NumberScheme scheme) const {
  const bool minus = key == "-1", zero = key == "0", one = key == "1", two = key == "2";
  const std::optional<double> value = parse_number(key);
  switch (scheme) {
    case NumberScheme::index:
      if (minus) return kUnlabelled;
      if (is_binary() && (zero || one)) return one != positive_first_ ? kPositive : kNegative;
      if (is_binary() || !value) break;
      for (Meaning label = 0; label < keys_.size(); ++label) {
        if (*value == static_cast<double>(label)) return label;
      }
      break;
    case NumberScheme::sign:
      if (is_binary() && (minus || one)) return one ? kPositive : kNegative;
      break;
    case NumberScheme::counted:
      if (is_binary() && (one || two)) return two ? kPositive : kNegative;
      if (is_binary() || !value) break;
      if (const std::optional<Meaning> label = named(key)) return label;
      for (Meaning label = 0; label < counted_.size(); ++label) {
        if (*value == counted_[label]) return label;
      }
      break;
  }
  return std::nullopt;
}

std::optional<Meaning> LabelRules::folder_meaning(const std::string& name) const {
  const std::string key = LabelColumn::key_of(name);
  return key == "false" || key == "true" ? std::nullopt : word(key);
}

std::optional<Meaning> LabelRules::meaning(const LabelValue& value, NumberScheme scheme) const {
  return value.is_folder ? folder_meaning(value.key) : meaning(value.key, scheme);
}

std::optional<NumberScheme> LabelRules::judge(const LabelColumn& column) const {
  if (column.surplus() > 0) return std::nullopt;
  std::set<std::string> numbers, words;
  std::set<Meaning> said;
  for (const LabelValue& value : column.values()) {
    if (value.is_folder || mapped(value.key)) continue;
    const std::optional<Meaning> named = word(value.key);
    if (named) said.insert(*named);
    // A model's label may be called 1.
    (parse_number(value.key) && !named ? numbers : words).insert(value.key);
  }
  for (const Words& letters : kLetters) {
    if (!is_binary()) break;
    const bool negative = words.contains(std::string(letters.first));
    if (negative != words.contains(std::string(letters.second))) return std::nullopt;
    if (negative) said = {kNegative, kPositive};
  }
  std::optional<NumberScheme> scheme = NumberScheme::index;
  if (is_binary()) {
    const bool lone_words =
        std::all_of(words.begin(), words.end(), [&](const std::string& key) { return word(key) == kUnlabelled; });
    if (lone_words && numbers == std::set<std::string>{"-1", "1"}) scheme = NumberScheme::sign;
    if (lone_words && numbers == std::set<std::string>{"1", "2"}) scheme = NumberScheme::counted;
    // Without a 0, and without words for both labels, -1 may well be the negative one.
    const bool minus_is_none =
        numbers.contains("0") || (!numbers.contains("1") && said.contains(kNegative) && said.contains(kPositive));
    if (scheme == NumberScheme::index && numbers.contains("-1") && !minus_is_none) return std::nullopt;
  } else if (map_.empty() && ranges_.empty()) {
    said.erase(kUnlabelled);
    scheme = judge_numbers(numbers, /*alone=*/said.empty());
    if (!scheme) return std::nullopt;
  }
  const bool all_read = std::all_of(column.values().begin(), column.values().end(),
                                    [&](const LabelValue& value) { return meaning(value, *scheme).has_value(); });
  return all_read ? scheme : std::nullopt;
}

std::optional<NumberScheme> LabelRules::judge_numbers(const std::set<std::string>& numbers, bool alone) const {
  const auto all = [&](auto holds) { return std::all_of(numbers.begin(), numbers.end(), holds); };
  if (all([&](const std::string& key) { return named(key).has_value(); })) {
    return numbers.empty() ? NumberScheme::index : NumberScheme::counted;
  }
  // Beside 0 -1 is no label; but -1, 0 and 1 may well be three labels, where there are three.
  const bool above_one = std::any_of(numbers.begin(), numbers.end(),
                                     [](const std::string& key) { return parse_number(key).value_or(0) > 1; });
  const bool minus_is_none = numbers.contains("0") && (above_one || keys_.size() != 3);
  if (numbers.contains("-1") && !minus_is_none) return std::nullopt;
  // 0 and 1 alone are what two labels are called elsewhere.
  const std::set<std::string> two_labels = {"-1", "0", "1"};
  if (alone && keys_.size() > 2 && all([&](const std::string& key) { return two_labels.contains(key); }))
    return std::nullopt;
  const bool indexes = all([&](const std::string& key) {
    const std::optional<Meaning> place = number(key, NumberScheme::index);
    return place && named(key).value_or(*place) == *place;
  });
  const bool counts = all([&](const std::string& key) { return number(key, NumberScheme::counted).has_value(); });
  const bool same = all(
      [&](const std::string& key) { return number(key, NumberScheme::index) == number(key, NumberScheme::counted); });
  if (indexes == counts && !(indexes && same)) return std::nullopt;
  return indexes ? NumberScheme::index : NumberScheme::counted;
}

std::vector<Meaning> LabelRules::meanings(const LabelColumn& column, NumberScheme scheme) const {
  std::vector<Meaning> out;
  for (const LabelValue& value : column.values()) {
    out.push_back(meaning(value, scheme).value_or(kUnlabelled));
  }
  return out;
}

std::string LabelRules::refusal(const LabelColumn& column, const std::string& field) const {
  const bool asked = !map_.empty() || !ranges_.empty();
  std::vector<LabelValue> values;
  for (const LabelValue& value : ordered(column)) {
    // A map has to name all numbers; without one it is their set that says nothing.
    if (!value.is_folder && !(asked && meaning(value, NumberScheme::index))) values.push_back(value);
  }
  if (values.empty()) values = ordered(column);
  std::string list;
  for (std::size_t i = 0; i < std::min(values.size(), kShownValues); ++i) {
    list += (i == 0 ? "" : ", ") + shown_label(values[i].key) + " (" + counted(values[i].reviews, "review") + ")";
  }
  if (values.size() > kShownValues) {
    list += column.surplus() > 0 ? " and many more" : " and " + std::to_string(values.size() - kShownValues) + " more";
  }
  const std::vector<std::string>& names = labels_.names;
  const std::string what = is_binary() ? "which are " + names[0] + " and which " + names[1]
                                       : "which of the model's labels " + listed(names) + " each of them is";
  const std::string example = stars_map(values);
  return "the labels (field " + json_string(field) + ") " + (asked ? "that --label-map does not name are " : "are ") +
         list + ": " + what +
         " cannot be told, so nothing was measured: say what each of them means, as in --label-map " +
         (!asked && !example.empty() ? example + " where they are stars (nothing behind the =: no label)"
                                     : "A=" + names[0] + ",B=" + names[1] + ",C= (C: no label)");
}

/// What --label-map could say of stars for binary labels: where the values are whole numbers from 1 to 5 or to 10.
/// Empty: they are not.
std::string LabelRules::stars_map(const std::vector<LabelValue>& values) const {
  const std::vector<std::string>& names = labels_.names;
  double highest = 0;
  for (const LabelValue& value : values) {
    const std::optional<double> number = parse_number(value.key);
    if (!is_binary() || !number || *number != std::floor(*number) || *number < 1 || *number > 10) return "";
    highest = std::max(highest, *number);
  }
  return highest > 5 ? "1:4=" + names[0] + ",5:6=,7:10=" + names[1] : "1:2=" + names[0] + ",3=,4:5=" + names[1];
}

std::string LabelRules::taken(const LabelColumn& column, NumberScheme scheme) const {
  std::string list;
  for (const LabelValue& value : ordered(column)) {
    const std::optional<Meaning> what = meaning(value, scheme);
    if (!what) continue;
    list += (list.empty() ? "" : ", ") + std::string(value.is_folder ? "folder " : "") + shown_label(value.key) +
            " is " + (*what == kUnlabelled ? "no label" : name(*what)) + " (" + counted(value.reviews, "review") + ")";
  }
  return list;
}

bool LabelRules::is_guess(const LabelColumn& column, NumberScheme scheme) const {
  if (!map_.empty() || !ranges_.empty()) return false;
  if (!is_binary()) {
    return std::any_of(column.values().begin(), column.values().end(), [&](const LabelValue& value) {
      const bool is_place = scheme == NumberScheme::index && value.key != "-1";
      return !value.is_folder && parse_number(value.key) && !is_place && !named(value.key);
    });
  }
  if (scheme != NumberScheme::index) return true;
  // A 1 without a 0 is the negative one where there are also 2s.
  const auto has = [&](const char* key) {
    return std::any_of(column.values().begin(), column.values().end(),
                       [&](const LabelValue& value) { return !value.is_folder && value.key == key; });
  };
  if (has("1") && !has("0") && !word("1")) return true;
  return std::any_of(column.values().begin(), column.values().end(), [&](const LabelValue& value) {
    const bool index = value.key == "0" || value.key == "1";
    return !value.is_folder && (value.key == "-1" || (index && positive_first_ && !word(value.key)));
  });
}

std::string LabelRules::unmatched(const LabelColumn& column) const {
  std::string list;
  for (const auto& entry : map_) {
    const auto& key = entry.first;
    const bool found = std::any_of(column.values().begin(), column.values().end(),
                                   [&](const LabelValue& value) { return !value.is_folder && value.key == key; });
    if (!found) list += (list.empty() ? "" : ", ") + shown_label(key);
  }
  for (const LabelRange& range : ranges_) {
    if (range.meaning == kUnlabelled) continue;  // what lies between the others need not be there
    const bool found = std::any_of(column.values().begin(), column.values().end(), [&](const LabelValue& value) {
      const std::optional<double> number = value.is_folder ? std::nullopt : parse_number(value.key);
      return number && range.holds(*number);
    });
    if (!found) list += (list.empty() ? "" : ", ") + shortest(range.low) + ":" + shortest(range.high);
  }
  return list;
}

std::string LabelRules::name(Meaning meaning) const { return meaning == kUnlabelled ? "" : labels_.names[meaning]; }

}  // namespace reviewrate::cli
