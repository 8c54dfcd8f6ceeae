// The explanations of a run as one HTML page.
#pragma once

#include <cstddef>
#include <string>

#include "reviewrate/manifest.h"
#include "reviewrate/pipeline.h"

namespace reviewrate::cli {

/// Takes outcomes with their explanations, hands them on to `next`, and makes a page of them that needs nothing from
/// elsewhere and no script. It holds so many reviews as a browser can show, and says how many it leaves out.
class ExplanationPage : public Sink {
 public:
  ExplanationPage(const Manifest& manifest, Sink& next) : manifest_(manifest), next_(next) {}

  void write(const Outcome& outcome) override;
  void flush() override { next_.flush(); }

  /// The page of all that was written.
  std::string html() const;

 private:
  void add(const Outcome& outcome);

  const Manifest& manifest_;
  Sink& next_;
  std::string reviews_;  ///< in HTML
  std::size_t shown_ = 0;
  std::size_t all_ = 0;
};

}  // namespace reviewrate::cli
