// Decimal numbers are compared digit by digit: as doubles, ids of twenty digits would be equal to their neighbours.
#include "reviewrate/condition.h"

#include <algorithm>

#include "reviewrate/error.h"

namespace reviewrate {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes the digits at the front of `text`.
std::string_view take_digits(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  const std::string_view digits = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(digits.size());
  return digits;
}

}  // namespace

std::optional<Decimal> parse_decimal(std::string_view text) {
  Decimal number;
  if (text.starts_with('-')) {
    number.negative = true;
    text.remove_prefix(1);
  }
  const std::string_view whole = take_digits(text);
  if (whole.size() > 1 && whole.front() == '0') return std::nullopt;
  std::string_view fraction;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    fraction = take_digits(text);
    if (fraction.empty()) return std::nullopt;
  }
  if (whole.empty() && fraction.empty()) return std::nullopt;
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    const std::string_view digits = take_digits(text);
    constexpr std::size_t kMostDigits = 17;  // stays within 64 bits, and no such number was meant as one
    if (digits.empty() || digits.size() > kMostDigits) return std::nullopt;
    for (const char digit : digits) number.exponent = number.exponent * 10 + (digit - '0');
    if (negative) number.exponent = -number.exponent;
  }
  if (!text.empty()) return std::nullopt;
  number.digits.append(whole).append(fraction);
  number.exponent += static_cast<std::int64_t>(whole.size());
  const std::size_t first = std::min(number.digits.find_first_not_of('0'), number.digits.size());
  number.digits.erase(0, first);
  number.exponent -= static_cast<std::int64_t>(first);
  number.digits.erase(number.digits.find_last_not_of('0') + 1);
  if (number.digits.empty()) number = {};
  return number;
}

int compare(const Decimal& a, const Decimal& b) {
  const auto sign = [](const Decimal& number) { return number.digits.empty() ? 0 : number.negative ? -1 : 1; };
  if (sign(a) != sign(b) || sign(a) == 0) return sign(a) - sign(b);
  if (a.exponent != b.exponent) return a.exponent < b.exponent ? -sign(a) : sign(a);
  return a.digits.compare(b.digits) * sign(a);  // without zeros at the ends, digits sort as the numbers do
}

Condition::Condition(const std::string& text) : text_(text) {
  std::size_t at = text.find_first_of("=<>~!");
  while (at != std::string::npos && text[at] == '!' && text.compare(at, 2, "!=") != 0) {
    at = text.find_first_of("=<>~!", at + 1);
  }
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::usage, "--where \"" + text + "\": " + why);
  };
  if (at == 0 || at == std::string::npos) {
    refuse("must be FIELD=VALUE, or with one of != < > ~ (contains) instead of =");
  }
  field_ = text.substr(0, at);
  operator_ = text.substr(at, text[at] == '!' ? 2 : 1);
  value_ = text.substr(at + operator_.size());
  number_ = parse_decimal(value_);
  if (operator_ == "=" && (value_.starts_with('=') || value_.starts_with('>') || value_.starts_with('<'))) {
    refuse("there is no =" + value_.substr(0, 1) + "; the operators are = != < > ~");
  }
  if ((operator_ == "<" || operator_ == ">") && !number_) {
    refuse(value_.starts_with('=') ? "there is no " + operator_ + "=; the operators are = != < > ~"
                                   : operator_ + " compares numbers, and \"" + value_ + "\" is none");
  }
}

bool Condition::equals(const std::string& value) const {
  if (value == value_) return true;
  if (!number_) return false;
  const std::optional<Decimal> number = parse_decimal(value);
  return number && compare(*number, *number_) == 0;
}

bool Condition::can_judge(const std::string& value) const {
  return (operator_ != "<" && operator_ != ">") || parse_decimal(value);
}

bool Condition::holds(const std::string& value) const {
  switch (operator_.front()) {
    case '=':
      return equals(value);
    case '!':
      return !equals(value);
    case '~':
      return value.find(value_) != std::string::npos;
    default:
      break;
  }
  const std::optional<Decimal> number = parse_decimal(value);
  if (!number) return false;
  return operator_ == "<" ? compare(*number, *number_) < 0 : compare(*number, *number_) > 0;
}

}  // namespace reviewrate
