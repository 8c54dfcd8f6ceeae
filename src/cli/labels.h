// What the labels of reviews mean: decided for all values of a column together, never for one alone.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reviewrate/manifest.h"
#include "reviewrate/measures.h"

namespace reviewrate::cli {

/// `text` as a finite decimal number, without blanks around it and with a sign if it likes.
std::optional<double> parse_number(const std::string& text);

/// A label or number of stars for people: numbers as they are, words in quotes, the beginning of long ones.
std::string shown_label(const std::string& text);

/// The labels that are measured, each by its number here.
struct MeasuredLabels {
  Task task = Task::binary;
  std::vector<std::string> names;  ///< binary: the negative label, the positive one; multiclass: in the model's order
};

/// Those of a model. Throws Error(usage) if it has less than two, or two that differ in nothing but case.
MeasuredLabels measured_labels(const Manifest& manifest);

/// Names in a sentence: "a, b and c".
std::string listed(const std::vector<std::string>& names);

/// The number of the label of this name, in whatever case.
std::optional<std::size_t> number_of(const std::string& name, const MeasuredLabels& labels);

/// What one label says of its review: the number of one that is measured, or that it is none.
using Meaning = std::size_t;
inline constexpr Meaning kNegative = 0, kPositive = 1;  // of binary labels
inline constexpr Meaning kUnlabelled = std::numeric_limits<Meaning>::max();

/// How numbers are read. Words mean the same in all of them, and with --label-map numbers mean only what it says, or
/// the label that is called so. Which scheme it is follows from all numbers of a column together:
///
/// | labels  | numbers in the column                               | scheme  | what they mean                        |
/// |---------|-----------------------------------------------------|---------|---------------------------------------|
/// | two,    | 0, 1, or one of them                                | index   | the model's labels by their places    |
/// | one of  | also -1: beside a 0, or beside words for both       | index   | -1: no label                          |
/// | them    | -1 and 1, and no words for labels                   | sign    | negative, positive                    |
/// | positive| 1 and 2, and no words for labels                    | counted | negative, positive                    |
/// |---------|-----------------------------------------------------|---------|---------------------------------------|
/// | others  | all are names of labels                             | counted | the labels that are called so         |
/// |         | all are places, and no other label's name           | index   | the labels by their places            |
/// |         | also -1: beside a 0, of three labels also above 1   | index   | -1: no label                          |
/// |         | all are in labels' names, or where these have no    | counted | the labels with these numbers, or by  |
/// |         | digits from 1 to their count                        |         | their places from 1                   |
///
/// What fits no row, or of the last ones two that differ, is refused; so are 0 and 1 alone of more than two labels, as
/// other data calls two labels so.
enum class NumberScheme {
  index,    ///< 0, 1, ... are the places of the model's labels, -1 is no label
  sign,     ///< binary: -1 is negative, 1 is positive
  counted,  ///< from 1, as in the Yelp and Amazon data: 1 is negative, 2 is positive; multiclass: the number that is in
            ///< a label's name, such as 5 of "5 stars", or where no name has one its place from 1
};

inline constexpr std::array<NumberScheme, 3> kNumberSchemes = {NumberScheme::index, NumberScheme::sign,
                                                               NumberScheme::counted};

/// A distinct label.
struct LabelValue {
  std::string key;         ///< in lower case and without blanks; of a number one spelling for all
  bool is_folder = false;  ///< not of a field: the review lies in the folder pos or neg
  std::size_t reviews = 0;
};

/// The distinct labels of the reviews that were read, each by a number from 0 that stays.
class LabelColumn {
 public:
  /// Counts a label that is the value of a field. Of many different ones the last are counted as one.
  std::size_t add_field(const std::string& text) { return add(key_of(text), false); }

  /// Counts the label that a folder's name is.
  std::size_t add_folder(const std::string& name) { return add(key_of(name), true); }

  const std::vector<LabelValue>& values() const { return values_; }

  /// Reviews whose label was not kept, because there were too many others; they have the last number.
  std::size_t surplus() const { return surplus_; }

  static std::string key_of(const std::string& text);

 private:
  std::size_t add(std::string key, bool is_folder);

  std::vector<LabelValue> values_;
  std::map<std::pair<bool, std::string>, std::size_t> numbers_;
  std::size_t surplus_ = 0;
};

/// Numbers that mean the same, such as stars.
struct LabelRange {
  double low;
  double high;  ///< belongs to it, too
  Meaning meaning;

  bool holds(double number) const { return low <= number && number <= high; }
};

/// What labels can mean for a model.
class LabelRules {
 public:
  /// `map` holds VALUE=LABEL as --label-map has them; a VALUE LOW:HIGH is every number from one to the other. Throws
  /// Error(usage) for what is no such thing, names a label that the model does not have, or gives a value two meanings.
  LabelRules(const Manifest& manifest, const std::vector<std::string>& map);

  const MeasuredLabels& labels() const { return labels_; }

  /// What the field value with this key means if numbers are read so; empty: nothing.
  std::optional<Meaning> meaning(const std::string& key, NumberScheme scheme) const;

  /// The same for a label of either kind.
  std::optional<Meaning> meaning(const LabelValue& value, NumberScheme scheme) const;

  /// What a folder of this name means: only names of labels do.
  std::optional<Meaning> folder_meaning(const std::string& name) const;

  /// The scheme by which all values of the column can be read together; empty: there is none.
  std::optional<NumberScheme> judge(const LabelColumn& column) const;

  /// What the labels of the column mean, by their number.
  std::vector<Meaning> meanings(const LabelColumn& column, NumberScheme scheme) const;

  /// Why the column cannot be read and what to do, for people. `field` is its name.
  std::string refusal(const LabelColumn& column, const std::string& field) const;

  /// What the column's values were taken for, for people.
  std::string taken(const LabelColumn& column, NumberScheme scheme) const;

  /// Whether that is a guess which a person should see even if little is to be said.
  bool is_guess(const LabelColumn& column, NumberScheme scheme) const;

  /// The values of --label-map that the column does not have, for people; empty if it has them all.
  std::string unmatched(const LabelColumn& column) const;

  /// The model's name of a label; empty for no label.
  std::string name(Meaning meaning) const;

 private:
  bool is_binary() const { return labels_.task == Task::binary; }

  /// The label whose name has this key.
  std::optional<Meaning> named(const std::string& key) const;

  std::optional<Meaning> word(const std::string& key) const;
  std::optional<Meaning> number(const std::string& key, NumberScheme scheme) const;
  std::optional<Meaning> parse_target(const std::string& name) const;
  std::string stars_map(const std::vector<LabelValue>& values) const;

  /// How the numbers of a column of multiclass labels are to be read; empty: in no way, or in two. `alone`: no words
  /// beside them name labels.
  std::optional<NumberScheme> judge_numbers(const std::set<std::string>& numbers, bool alone) const;

  /// What --label-map says of the key; empty: nothing.
  std::optional<Meaning> mapped(const std::string& key) const;

  MeasuredLabels labels_;
  std::vector<std::string> keys_;  // of their names
  std::vector<double> counted_;    // multiclass: the number of each by NumberScheme::counted; empty: there are none
  bool positive_first_;            // binary: the model has the positive label in the first place
  std::map<std::string, Meaning> map_;
  std::vector<LabelRange> ranges_;
};

}  // namespace reviewrate::cli
