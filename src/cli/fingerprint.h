// What an input was like, so that a later run can tell whether it still is.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace reviewrate::cli {

/// The SHA-256 of a file's bytes as 64 hex digits; empty if it cannot be read.
std::string content_checksum(const std::string& path);

/// Size and modification time of a file, and a checksum of its first and last block; of a folder those of all files in
/// it that a walk reads (not the hidden ones, nor those to `skip`), with their names. `with_content` adds a checksum of
/// all bytes. Of what is no file and no folder, such as a pipe, nothing can be told. Throws Error(environment).
nlohmann::json fingerprint(const std::string& path, const std::vector<std::string>& skip, bool with_content);

/// Whether `now`, made of `path` without content, is what `before` was. Where names, sizes and blocks are the same but
/// times are not, all bytes are read, provided that `before` has their checksum. If it is the same, `now` gets the
/// checksum too.
bool is_unchanged(const nlohmann::json& before, nlohmann::json& now, const std::string& path,
                  const std::vector<std::string>& skip);

}  // namespace reviewrate::cli
