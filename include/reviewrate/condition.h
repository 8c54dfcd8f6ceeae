// The conditions of --where.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace reviewrate {

/// A decimal number of any size and precision: 0.DIGITS times 10 to the power of `exponent`.
struct Decimal {
  bool negative = false;
  std::string digits;  ///< without zeros at either end; empty: the number is 0
  std::int64_t exponent = 0;
};

/// The number that `text` writes: JSON's form, or with nothing before the point. Leading zeros make an identifier of
/// it, not a number.
std::optional<Decimal> parse_decimal(std::string_view text);

/// Less than 0, 0 or more than 0, as a - b is.
int compare(const Decimal& a, const Decimal& b);

/// FIELD OP VALUE. OP is the first of = != < > ~ that stands in the condition.
class Condition {
 public:
  /// Throws Error(usage) if `text` is no condition.
  explicit Condition(const std::string& text);

  const std::string& text() const { return text_; }
  const std::string& field() const { return field_; }

  /// Whether a field's `value` fulfils it. = holds for equal texts and for equal decimal values, != where = does not,
  /// < and > compare decimal values and hold for nothing else, ~ where `value` contains VALUE.
  bool holds(const std::string& value) const;

  /// False for what < and > cannot compare.
  bool can_judge(const std::string& value) const;

 private:
  bool equals(const std::string& value) const;

  std::string text_;
  std::string field_;
  std::string operator_;
  std::string value_;
  std::optional<Decimal> number_;  // of value_
};

}  // namespace reviewrate
