// Files that are inside the program; the build makes them from the files of their names.
#pragma once

namespace reviewrate::server {

extern const char* const kPage;     ///< page.html
extern const char* const kOpenApi;  ///< openapi.json

}  // namespace reviewrate::server
