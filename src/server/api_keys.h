// Who may ask.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace reviewrate::server {

/// The keys of which a request must bring one. Without any, everybody may ask.
class ApiKeys {
 public:
  ApiKeys() = default;

  /// The keys of a file, one a line; blank lines do not count. Throws Error(usage).
  explicit ApiKeys(const std::string& path);

  bool required() const { return !digests_.empty(); }

  /// Whether the value of an Authorization header brings a key: "Bearer KEY", or "Basic" with KEY for its password, as
  /// browsers send it. Takes the same time whatever is wrong with a key.
  bool accept(std::string_view authorization) const;

 private:
  std::vector<std::string> digests_;  ///< SHA-256
};

}  // namespace reviewrate::server
