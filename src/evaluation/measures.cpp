// The table of the measures.
#include "reviewrate/measures.h"

#include <algorithm>
#include <array>

namespace reviewrate {
namespace {

enum class Of { any, binary, multiclass };

struct MeasureInfo {
  std::string_view name;
  int direction;
  Of of = Of::any;         // the task whose labels have it
  bool of_labels = false;  // each multiclass label has it, too
};

constexpr std::array<MeasureInfo, kMeasureCount> kMeasures = {{{"accuracy", 1},
                                                               {"precision", 1, Of::binary, true},
                                                               {"recall", 1, Of::binary, true},
                                                               {"f1", 1, Of::binary, true},
                                                               {"macro_f1", 1, Of::multiclass},
                                                               {"weighted_f1", 1, Of::multiclass},
                                                               {"roc_auc", 1, Of::any, true},
                                                               {"average_precision", 1, Of::any, true},
                                                               {"log_loss", -1},
                                                               {"brier", -1},
                                                               {"ece", -1},
                                                               {"mcc", 1},
                                                               {"best_f1", 1, Of::binary},
                                                               {"best_threshold", 0, Of::binary},
                                                               {"accuracy@95", 1},
                                                               {"accuracy@90", 1},
                                                               {"accuracy@80", 1},
                                                               {"accuracy@50", 1},
                                                               {"aurc", -1},
                                                               {"rating_mae", -1},
                                                               {"rating_within_one", 1},
                                                               {"rating_spearman", 1}}};

const MeasureInfo& info(Measure measure) { return kMeasures[static_cast<std::size_t>(measure)]; }

}  // namespace

bool has_measure(Task task, Measure measure, bool of_label) {
  if (of_label) return task == Task::multiclass && info(measure).of_labels;
  return info(measure).of == Of::any || (info(measure).of == Of::binary) == (task == Task::binary);
}

std::vector<MeasureOf> measures_of(Task task, std::size_t labels) {
  std::vector<MeasureOf> out;
  const auto add = [&](std::optional<std::size_t> label) {
    for (std::size_t m = 0; m < kMeasureCount; ++m) {
      const auto measure = static_cast<Measure>(m);
      if (has_measure(task, measure, label.has_value())) out.push_back({measure, label});
    }
  };
  add(std::nullopt);
  for (std::size_t label = 0; label < labels; ++label) add(label);
  return out;
}

std::string_view measure_name(Measure measure) { return info(measure).name; }

std::optional<Measure> parse_measure(std::string_view name) {
  const auto found =
      std::find_if(kMeasures.begin(), kMeasures.end(), [&](const MeasureInfo& m) { return m.name == name; });
  if (found == kMeasures.end()) return std::nullopt;
  return static_cast<Measure>(found - kMeasures.begin());
}

int measure_direction(Measure measure) { return info(measure).direction; }

}  // namespace reviewrate
