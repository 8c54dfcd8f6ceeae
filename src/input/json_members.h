// Collects what is wanted of one JSON object while it is parsed.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "readers.h"
#include "text_fields.h"

namespace reviewrate {

/// The members of the object that is being parsed. Values keep the spelling that they have in the source, but for
/// blanks between them and escapes in strings; nothing is kept of what nobody asked for.
class JsonMembers {
 public:
  /// `options` must outlive it.
  explicit JsonMembers(const InputOptions& options)
      : options_(&options),
        listed_(listed_text_fields(options)),
        wanted_{options.text_field, options.id_field},
        all_(options.annotate) {
    for (const std::string& name : named_fields(options)) wanted_.push_back(name);
    for (const std::string& name : listed_) wanted_.push_back(name);
    for (const std::string& name : options.pass) all_ = all_ || name == "*";
    for (const std::string& name : wanted_) nested_names_ = nested_names_ || name.find('.') != std::string::npos;
  }

  /// Forgets the last object.
  void clear() {
    fields_.clear();
    names_.clear();
    depth_ = reach_ = 0;
    wants_ = false;
    captures_.clear();
    captured_.clear();
    path_ends_.clear();
  }

  /// Whether the strings and scalars that come now are looked at.
  bool wants_value() const { return wants_ || !captures_.empty(); }

  /// Whether key() has to be told the name of the member that comes now.
  bool wants_key() const { return depth_ == 1 || depth_ == reach_ || !captures_.empty(); }

  void key(std::string& name) {
    if (!captures_.empty()) {
      separate();
      captured_ += quoted(name) + ':';
    }
    wants_ = false;
    if (depth_ == 1) {
      if (names_.size() < kNames) names_ += (names_.empty() ? "\"" : ", \"") + name.substr(0, kNames) + '"';
      path_.swap(name);
    } else if (depth_ == reach_) {
      path_.resize(path_ends_[depth_ - 2]);
      (path_ += '.') += name;
    } else {
      return;
    }
    wants_ = wanted(path_);
    if (wants_) slot_ = fields_.add(path_);
  }

  void string(std::string& text) {
    if (!captures_.empty()) {
      separate();
      captured_ += quoted(text);
    }
    if (wants_) set({std::move(text), false});
  }

  /// A number, true, false or null.
  void scalar(const std::string& spelling) {
    if (!captures_.empty()) {
      separate();
      captured_ += spelling;
    }
    if (wants_) set({spelling, true});
  }

  void open(char bracket) {
    if (!captures_.empty()) separate();
    if (wants_) captures_.push_back({slot_, captured_.size(), depth_});
    if (!captures_.empty()) captured_ += bracket;
    wants_ = false;
    const bool reached = depth_ == reach_ && bracket == '{' && (depth_ == 0 || leads_on());
    if (reached) {
      if (depth_ > 0) {
        path_ends_.resize(depth_ - 1);
        path_ends_.push_back(path_.size());
      }
      ++reach_;
    }
    ++depth_;
  }

  void close(char bracket) {
    if (!captures_.empty()) captured_ += bracket;
    if (depth_ == reach_) --reach_;
    --depth_;
    if (captures_.empty() || captures_.back().depth != depth_) return;
    const Capture capture = captures_.back();
    captures_.pop_back();
    slot_ = capture.slot;
    set({captured_.substr(capture.start), true}, depth_);
    if (captures_.empty()) captured_.clear();
  }

  const Fields& fields() const { return fields_; }

  /// Which fields hold the text of objects such as this one, which has not that of --text-field: all that are listed
  /// there if it has one of them, for others may be absent; else what find_text_fields() finds, if that is a string.
  std::vector<std::string> find_text() const {
    const auto present = [&](const std::string& name) { return fields_.find(name) != nullptr; };
    if (std::any_of(listed_.begin(), listed_.end(), present)) return listed_;
    std::vector<std::string> names;
    fields_.for_each([&](const Field& field) { names.push_back(field.name); });
    std::vector<std::string> found = find_text_fields(names, *options_);
    if (!found.empty() && fields_.find(found.front())->json) found.clear();
    return found;
  }

  /// Of the object's own members, each in quotes; the first ones if there are many.
  const std::string& names() const { return names_; }

 private:
  struct Capture {
    std::size_t slot;
    std::size_t start;  // in captured_
    std::size_t depth;  // around it
  };

  static constexpr std::size_t kNames = 256;

  static std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

  void set(Value value) { set(std::move(value), depth_); }

  void set(Value value, std::size_t depth) {
    if (depth == 1) {
      fields_.set(slot_, std::move(value));
    } else {
      fields_.set_nested(slot_, std::move(value));
    }
  }

  bool wanted(const std::string& name) const {
    if (depth_ == 1 && (all_ || is_usual_text_field(name))) return true;
    for (const std::string& one : wanted_) {
      if (one == name) return true;
    }
    return false;
  }

  // Whether a wanted name begins with path_ and a point.
  bool leads_on() const {
    if (!nested_names_) return false;
    for (const std::string& name : wanted_) {
      if (name.size() > path_.size() && name[path_.size()] == '.' && name.starts_with(path_)) return true;
    }
    return false;
  }

  // Puts a comma before a captured value or key that needs one.
  void separate() {
    const char before = captured_.empty() ? '[' : captured_.back();
    if (before != '[' && before != '{' && before != ':') captured_ += ',';
  }

  const InputOptions* options_;
  std::vector<std::string> listed_;
  std::vector<std::string> wanted_;
  bool all_;
  bool nested_names_ = false;

  Fields fields_;
  std::string names_;
  std::size_t depth_ = 0;               // of the object or array that is open
  std::size_t reach_ = 0;               // down to here path_ may become a wanted name
  std::string path_;                    // the names on the way to the current member, with points between
  std::vector<std::size_t> path_ends_;  // of the part of path_ that leads to each depth from 2 on
  bool wants_ = false;                  // the current member
  std::size_t slot_ = 0;                // and its place
  std::vector<Capture> captures_;       // the wanted objects and arrays that are open
  std::string captured_;                // what was read of them, from the outermost one on
};

}  // namespace reviewrate
