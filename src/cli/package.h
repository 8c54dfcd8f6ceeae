// From the words after --model to a tokenizer and a model.
#pragma once

#include <memory>
#include <string>

#include "arguments.h"
#include "reviewrate/manifest.h"
#include "reviewrate/model.h"
#include "reviewrate/precision.h"
#include "reviewrate/tokenizer.h"

namespace reviewrate::cli {

/// Reads the manifest that the command line asks for, or makes one up for a bare TorchScript file (its labels are told
/// by the model itself, in load_model). Throws Error(usage, model).
Manifest find_manifest(const Arguments& arguments);

/// Throws Error(model).
std::unique_ptr<Tokenizer> load_tokenizer(const Manifest& manifest);

/// What --precision asks for, with auto resolved. Throws Error(usage) where the model or this CPU is not made for it.
Precision choose_precision(const Arguments& arguments, const Manifest& manifest);

/// Loads the model, checking its file's checksum on the way, and names the labels of a bare one in `manifest`.
/// Throws Error(model).
std::unique_ptr<Model> load_model(Manifest& manifest, Precision precision);

}  // namespace reviewrate::cli
