// Labels and stars as they are found in records and paths.
#include "labelled_source.h"

#include <algorithm>

#include "reviewrate/formatter.h"
#include "reviewrate/record_reader.h"
#include "reviewrate/text.h"

namespace reviewrate::cli {
namespace {

constexpr std::size_t kMostNotes = 10;

/// The fields by which records of classify are known.
const std::vector<std::string> kOfPredictions = {"score", "truncated", "windows"};

const Value* find(const Review& review, const std::string& name) {
  const auto found =
      std::find_if(review.passed.begin(), review.passed.end(), [&](const Field& f) { return f.name == name; });
  return found == review.passed.end() ? nullptr : &found->value;
}

bool is_absent(const Value& value) { return is_blank(value.text) || (value.json && value.text == "null"); }

}  // namespace

void Truths::add(const Truth& truth) {
  const std::lock_guard<std::mutex> lock(mutex_);
  waiting_.push_back(truth);
}

Truth Truths::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Truth truth = waiting_.front();
  waiting_.pop_front();
  return truth;
}

std::vector<std::string> TruthFields::pass() const {
  std::vector<std::string> names = {label};
  if (!stars.empty()) names.push_back(stars);
  names.insert(names.end(), kOfPredictions.begin(), kOfPredictions.end());
  return names;
}

LabelledSource::LabelledSource(Source& source, const TruthFields& fields, const LabelRules& rules,
                               std::optional<NumberScheme> scheme, Truths* truths)
    : source_(source),
      fields_(fields),
      rules_(rules),
      schemes_(scheme ? std::vector{*scheme} : std::vector(kNumberSchemes.begin(), kNumberSchemes.end())),
      truths_(truths),
      checksums_(schemes_.size()) {}

Source::Status LabelledSource::next(Review& review, bool may_block) {
  while (true) {
    const Status status = source_.next(review, may_block);
    if (status != Status::review) return status;
    ++read_;
    note_prediction(review);
    Found found;
    std::vector<std::optional<Meaning>> meanings(schemes_.size());
    if (!review.failure) {
      found = find_truth(review);
      if (!found.label) {
        ++blank_;
        continue;
      }
      meanings = this->meanings(found);
      if (schemes_.size() == 1 && !meanings.front()) {
        // Labels were judged before; this one has come since.
        review.failure = Failure{"label", failure_message(review.id.text, "the label " + shown_label(*found.label) +
                                                                              " was not there when labels were read")};
        release(review.text);
      }
    }
    if (review.failure) {
      ++failed_;
      add_to_checksums(review, meanings);
      return status;
    }
    const Truth truth{found.is_folder ? labels_.add_folder(*found.label) : labels_.add_field(*found.label), found.stars,
                      schemes_.size() == 1 ? meanings.front() : std::nullopt};
    count_stars(review, truth, found.stars_text);
    if (std::all_of(meanings.begin(), meanings.end(), [](auto m) { return m == kUnlabelled; })) continue;
    add_to_checksums(review, meanings);
    if (truths_ != nullptr) truths_->add(truth);
    return status;
  }
}

std::vector<std::optional<Meaning>> LabelledSource::meanings(const Found& found) const {
  const std::string key = LabelColumn::key_of(*found.label);
  std::vector<std::optional<Meaning>> out;
  for (const NumberScheme scheme : schemes_) {
    out.push_back(found.is_folder ? rules_.folder_meaning(key) : rules_.meaning(key, scheme));
  }
  return out;
}

void LabelledSource::add_to_checksums(const Review& review, const std::vector<std::optional<Meaning>>& meanings) {
  for (std::size_t i = 0; i < schemes_.size(); ++i) {
    if (meanings[i] == kUnlabelled || (!meanings[i] && !review.failure)) continue;
    // By its name: the same labels may have another order elsewhere. Of two, which is the positive one is told.
    const bool by_number = rules_.labels().task == Task::binary;
    const std::string truth = review.failure ? "x"
                              : by_number    ? std::to_string(*meanings[i])
                                             : LabelColumn::key_of(rules_.name(*meanings[i]));
    // Each with its length before it.
    for (const std::string& text : {review.id.text, truth, review.text}) {
      checksums_[i].add(std::to_string(text.size()) + ":");
      checksums_[i].add(text);
    }
  }
}

std::string LabelledSource::checksum(NumberScheme scheme) {
  const auto found = std::find(schemes_.begin(), schemes_.end(), scheme);
  return checksums_[static_cast<std::size_t>(found - schemes_.begin())].hex();
}

LabelledSource::Found LabelledSource::find_truth(const Review& review) {
  // Lines and whole files have nothing but their path. An id begins below
  // the folder that was asked for, but that may be called pos itself.
  if (!review.has_fields) {
    return truth_of_path(review.path.empty() ? review.id.text : review.path);
  }
  Found found;
  if (const Value* label = find(review, fields_.label); label != nullptr && !is_absent(*label)) {
    found.label = label->text;
  }
  if (const Value* stars = fields_.stars.empty() ? nullptr : find(review, fields_.stars); stars != nullptr) {
    met_stars_field_ = true;
    if (!is_absent(*stars)) {
      found.stars = {.given = true, .in_name = false, .number = parse_number(stars->text)};
      found.stars_text = stars->text;
    }
  }
  return found;
}

/// As in aclImdb: .../pos/ID_STARS.txt. The innermost folder that is a label counts.
LabelledSource::Found LabelledSource::truth_of_path(const std::string& path) const {
  Found found;
  std::size_t end = path.rfind('/');
  const std::string file = path.substr(end == std::string::npos ? 0 : end + 1);
  while (!found.label && end != std::string::npos) {
    const std::size_t slash = end == 0 ? std::string::npos : path.rfind('/', end - 1);
    const std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
    std::string folder = path.substr(begin, end - begin);
    if (rules_.folder_meaning(folder)) found = {std::move(folder), true, {}, ""};
    end = slash;
  }
  const std::size_t dot = file.find('.');
  const std::size_t underscore = file.rfind('_', dot);
  if (dot != std::string::npos && underscore != std::string::npos) {
    const std::string digits = file.substr(underscore + 1, dot - underscore - 1);
    if (const std::optional<double> number = parse_number(digits)) {
      found.stars = {.given = true, .in_name = true, .number = number};
      found.stars_text = digits;
    }
  }
  return found;
}

void LabelledSource::note_prediction(const Review& review) {
  const bool is_one = std::all_of(kOfPredictions.begin(), kOfPredictions.end(),
                                  [&](const std::string& name) { return find(review, name) != nullptr; });
  if (!is_one) return;
  if (review.failure) {
    ++bare_predictions_;
  } else if (fields_.label == "label" && !labelled_prediction_) {
    labelled_prediction_ = review.id.text;
  }
}

void LabelledSource::count_stars(const Review& review, const Truth& truth, const std::string& text) {
  const Stars& stars = truth.stars;
  if (!stars.given) return;
  stars_.resize(labels_.values().size());
  const StarScale scale = fields_.scale.value_or(StarScale());
  (stars.in_name ? stars_[truth.label].names : stars_[truth.label].field).add(stars, scale);
  if ((!stars.number || !scale.holds(*stars.number)) && bad_stars_.size() < kMostNotes) {
    bad_stars_.push_back(
        {truth, failure_message(review.id.text, "the stars are " + shown_label(text) + ", and must be a number from " +
                                                    shortest(scale.low) + " to " + shortest(scale.high))});
  }
}

std::size_t LabelledSource::unlabelled(const std::vector<Meaning>& meanings) const {
  std::size_t reviews = blank_;
  for (std::size_t label = 0; label < meanings.size(); ++label) {
    if (meanings[label] == kUnlabelled) reviews += labels_.values()[label].reviews;
  }
  return reviews;
}

StarFindings LabelledSource::stars(const std::vector<Meaning>& meanings) const {
  StarCounts field, names;
  for (std::size_t label = 0; label < stars_.size(); ++label) {
    if (meanings[label] == kUnlabelled) continue;
    field.add(stars_[label].field);
    names.add(stars_[label].names);
  }
  return {field, names, fields_.scale};
}

std::vector<std::string> LabelledSource::bad_stars(const std::vector<Meaning>& meanings) const {
  const StarFindings findings = stars(meanings);
  std::vector<std::string> messages;
  for (const BadStars& bad : bad_stars_) {
    const bool labelled = meanings[bad.truth.label] != kUnlabelled;
    if (labelled && findings.is_bad(bad.truth.stars)) messages.push_back(bad.message);
  }
  return messages;
}

}  // namespace reviewrate::cli
