// Each dialect is one function: it reads the request, and leaves behind how its answer is written.
#include "api.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>

#include "input/content.h"
#include "page.h"
#include "reviewrate/pipeline.h"
#include "reviewrate/text.h"
#include "reviewrate/utf8.h"

namespace reviewrate::server {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kForm = "application/x-www-form-urlencoded";

std::string dump(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

/// The object that `body` holds. What a request needs is nested less deeply than the bound, which keeps the parser's
/// memory small. Of a field that comes twice it is not told which one is meant.
json parse_object(const std::string& body) {
  constexpr int kMaxDepth = 4;
  std::vector<std::set<std::string>> names;  // of the objects that are open
  const auto checked = [&names](int depth, json::parse_event_t event, json& value) {
    if (depth > kMaxDepth) throw HttpError(400, "the JSON is nested deeper than any request is");
    if (event == json::parse_event_t::object_start) names.emplace_back();
    if (event == json::parse_event_t::object_end) names.pop_back();
    if (event == json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second) {
      throw HttpError(400,
                      "the field \"" + value.get<std::string>() + "\" comes twice, and which is meant is not told");
    }
    return true;
  };
  json value;
  try {
    value = json::parse(body, checked);
  } catch (const json::parse_error& e) {
    // The exception's own words quote the body, which is a review and might go to a log.
    throw HttpError(400, "the body is not valid JSON in UTF-8: see byte " + std::to_string(e.byte));
  } catch (const json::exception&) {
    throw HttpError(400, "the body holds a number that is too large");
  }
  if (!value.is_object()) throw HttpError(400, "the body must be a JSON object");
  return value;
}

/// The member `name`, null where there is none.
const json& member(const json& object, const char* name) {
  static const json kNone;
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

bool boolean(const json& object, const char* name, bool otherwise) {
  const json& value = member(object, name);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) throw HttpError(400, "\"" + std::string(name) + "\" must be true or false");
  return value.get<bool>();
}

/// The texts of a member that is one text or an array of texts.
std::vector<std::string> texts_of(const json& value, const std::string& name) {
  if (value.is_string()) return {value.get<std::string>()};
  const bool texts =
      value.is_array() && std::all_of(value.begin(), value.end(), [](const json& item) { return item.is_string(); });
  if (!texts) throw HttpError(400, "\"" + name + "\" must be a text or an array of texts");
  return value.get<std::vector<std::string>>();
}

/// Gives the review the id that came with it: a text or a number; null is none. A number that JSON's reader had to make
/// a double of, and that doubles may not hold, is refused: it would come back as another.
void set_id(Review& review, const json& id) {
  constexpr double kExact = 9007199254740992;  // 2^53
  if (id.is_null()) return;
  if (!id.is_string() && !id.is_number()) throw HttpError(400, "an id must be a text or a number");
  if (id.is_number_float() && !(std::abs(id.get<double>()) < kExact)) {
    throw HttpError(400, "a number as an id has at most 64 bits: send it as a text");
  }
  review.id = {id.is_string() ? id.get<std::string>() : id.dump(), id.is_number()};
}

/// Throws where a review has no prediction.
void check(std::span<const Outcome> outcomes) {
  for (const Outcome& outcome : outcomes) {
    if (outcome.prediction) continue;
    const Failure failure = outcome.review.failure.value_or(Failure{"internal", "not classified"});
    throw HttpError(failure.kind == "internal" ? 500 : 422, "a text could not be classified: " + failure.message);
  }
}

enum class Scores { softmax, sigmoid, none };

/// [{"label", "score"}, ...], the best first, at most `most` of them.
ordered_json ranking(const Prediction& prediction, const std::vector<std::string>& labels, Scores scores,
                     std::size_t most) {
  std::vector<double> values = scores == Scores::softmax ? prediction.probabilities : prediction.logits;
  if (scores == Scores::sigmoid) {
    for (double& value : values) value = 1 / (1 + std::exp(-value));
  }
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  order.resize(std::min(order.size(), most));
  ordered_json out = ordered_json::array();
  for (const std::size_t i : order) out.push_back({{"label", labels[i]}, {"score", values[i]}});
  return out;
}

/// A body that asks for what there is not: the server's options are for all of its answers, and nobody should take an
/// answer for one that was made with others.
[[noreturn]] void refuse_member(const std::string& name, const std::string& known) {
  throw HttpError(400, "there is no field \"" + name + "\"; the fields are: " + known +
                           (name == "explain" ? " (explain is a parameter: /classify?explain=words)"
                                              : " (options of the model are given when the server is started)"));
}

/// Throws for a body that is sent as text and is none, or one in another encoding: as the command line does.
void check_text(std::string_view body) {
  const std::optional<Mark> mark = byte_order_mark(body);
  if (mark && mark->encoding != "UTF-8") {
    throw HttpError(415, "the body begins with the byte order mark of " + mark->encoding + ": texts must be in UTF-8");
  }
  std::string kind = binary_kind(body);
  if (kind.empty()) kind = unreadable_kind(body, /*strict=*/true);
  // A text may hold a NUL: that alone, in UTF-8, is no sign of anything else.
  if (std::string copy(body); kind.starts_with("binary data") && repair(copy) == 0) return;
  // Behind a semicolon stands what to do on the command line.
  if (!kind.empty()) throw HttpError(415, "the body is no text but " + kind.substr(0, kind.find(';')));
}

void expect_type(const Request& request, const std::string& wanted) {
  if (media_type(request.type) == wanted) return;
  throw HttpError(415, request.path + " takes Content-Type: " + wanted);
}

}  // namespace

bool is_stream(std::string_view type) {
  return type == "application/x-ndjson" || type == "application/jsonl" || type == "application/x-jsonlines";
}

Api::Api(const Manifest& manifest, const std::string& effort, LongText long_text, std::size_t max_review_bytes)
    : model_(manifest.name),
      labels_(manifest.labels),
      positive_(manifest.positive ? manifest.labels[*manifest.positive] : ""),
      max_tokens_(manifest.max_tokens),
      long_text_(long_text),
      max_review_bytes_(max_review_bytes) {
  OutputOptions options;
  options.labels = labels_;
  options.explained = true;
  options.effort = effort != kFullEffort;
  records_ = make_formatter(options);
}

Asked Api::read(const Request& request) const {
  if (request.path == "/predict") return predict(request);
  if (request.path == "/v1/classify") {
    expect_type(request, "application/json");
    return vllm(request.body);
  }
  if (request.path == "/classify") return classify(request);
  return media_type(request.type) == kForm ? form(request) : inference_api(request);
}

Parameters Api::parameters(std::string_view query, bool of_file) const {
  Parameters out;
  for (const std::string& name : form_names(query)) {
    const std::string value = *form_value(query, name);
    if (name == "explain") {
      out.explain = parse_explain_unit(value);
    } else if (of_file && name == "file") {
      if (!value.empty()) out.file = value;
    } else if (of_file && name == "text_field") {
      out.text_field = value;
    } else if (of_file && name == "texts") {
      if (value != "true" && value != "false") throw HttpError(400, "\"texts\" must be true or false");
      out.texts = value == "true";
    } else {
      throw HttpError(400, "there is no parameter \"" + name + "\"; there " +
                               (of_file ? "are explain, file, text_field and texts" : "is explain"));
    }
  }
  return out;
}

ExplainUnit Api::parse_explain_unit(const std::string& value) const {
  if (value != "sentences" && value != "words") throw HttpError(400, "\"explain\" must be sentences or words");
  if (positive_.empty()) {
    throw HttpError(400, "\"explain\": the model names no positive label, whose probability would be explained");
  }
  return value == "words" ? ExplainUnit::words : ExplainUnit::sentences;
}

std::size_t Api::estimated_tokens(const Review& review) const {
  constexpr std::size_t kBytesPerToken = 4;  // of English
  const std::size_t tokens = review.text.size() / kBytesPerToken + 2;
  if (!review.explain) return tokens;
  // In the variants of a review half of its parts are missing, on average.
  const std::size_t seen = long_text_ == LongText::windows ? tokens : std::min(tokens, max_tokens_);
  return tokens + seen * PipelineOptions().explain_budget / 2;
}

Reply Api::page() const {
  return {200, "text/html; charset=utf-8", page_without_result(!positive_.empty()), page_headers()};
}

void Api::add(Asked& asked, std::string text) const {
  if (text.size() > max_review_bytes_) {
    throw HttpError(413, "a text is larger than " + std::to_string(max_review_bytes_) + " bytes");
  }
  if (asked.reviews.size() == kMaxTexts) {
    throw HttpError(413, "more than " + std::to_string(kMaxTexts) +
                             " texts: send them to /classify as application/x-ndjson, which takes any number");
  }
  Review review;
  review.id.text = "text:" + std::to_string(asked.reviews.size() + 1);
  review.text = std::move(text);
  review.repaired = repair(review.text);
  asked.reviews.push_back(std::move(review));
}

Asked Api::one_record(std::string text) const {
  Asked asked;
  add(asked, std::move(text));
  asked.reply = [records = records_](std::span<const Outcome> outcomes) {
    check(outcomes);
    Reply reply;
    records->append(outcomes.front(), reply.body);
    return reply;
  };
  return asked;
}

Asked Api::classify(const Request& request) const {
  const Parameters asked_for = parameters(request.query, /*of_file=*/false);
  Asked asked = read_classify(request);
  for (Review& review : asked.reviews) review.explain = asked_for.explain;
  return asked;
}

Asked Api::read_classify(const Request& request) const {
  const std::string type = media_type(request.type);
  if (type == "text/plain") {
    check_text(request.body);
    return one_record(request.body);
  }
  if (type == kForm) {
    std::optional<std::string> text = form_value(request.body, "text");
    if (!text) {
      throw HttpError(400, "the form has no field \"text\" (of JSON or plain text, Content-Type must say so)");
    }
    for (const std::string& name : form_names(request.body)) {
      if (name != "text") refuse_member(name, "text");
    }
    return one_record(std::move(*text));
  }
  if (type != "application/json") {
    throw HttpError(415, "/classify takes Content-Type: text/plain, application/json, application/x-ndjson, " +
                             std::string(kForm) + " or, of a file, " + std::string(kFile));
  }
  const json body = parse_object(request.body);
  const json& text = member(body, "text");
  const json& texts = member(body, "texts");
  // vLLM's own path for its requests is this one.
  if (text.is_null() && texts.is_null() && body.contains("input")) {
    if (!request.query.empty()) throw HttpError(400, "\"input\" is vLLM's, which has no parameters");
    return vllm(request.body);
  }
  for (const auto& [name, value] : body.items()) {
    if (name != "text" && name != "texts" && name != "id" && name != "ids") {
      refuse_member(name, "text, texts, id, ids");
    }
  }
  if (text.is_null() == texts.is_null()) throw HttpError(400, "the body must have \"text\" or \"texts\"");
  const json& id = member(body, "id");
  const json& ids = member(body, "ids");
  if (!(text.is_null() ? id : ids).is_null()) throw HttpError(400, "\"id\" goes with \"text\", \"ids\" with \"texts\"");
  if (!text.is_null()) {
    if (!text.is_string()) throw HttpError(400, "\"text\" must be a text; several are \"texts\"");
    Asked asked = one_record(text.get<std::string>());
    set_id(asked.reviews.front(), id);
    return asked;
  }
  if (!texts.is_array()) throw HttpError(400, "\"texts\" must be an array of texts");
  Asked asked;
  for (std::string& each : texts_of(texts, "texts")) add(asked, std::move(each));
  if (!ids.is_null()) {
    if (!ids.is_array() || ids.size() != texts.size()) {
      throw HttpError(400, "\"ids\" must be an array with an id for each of the " + counted(texts.size(), "text"));
    }
    for (std::size_t i = 0; i < ids.size(); ++i) set_id(asked.reviews[i], ids[i]);
  }
  asked.reply = [records = records_](std::span<const Outcome> outcomes) {
    check(outcomes);
    Reply reply;
    reply.body = "{\"records\": [";
    for (const Outcome& outcome : outcomes) {
      records->append(outcome, reply.body);
      reply.body.back() = ',';  // in place of the line's end
    }
    if (!outcomes.empty()) reply.body.pop_back();
    reply.body += "]}\n";
    return reply;
  };
  return asked;
}

Asked Api::predict(const Request& request) const {
  expect_type(request, "application/json");
  const json body = parse_object(request.body);
  const json& inputs = member(body, "inputs");
  const bool truncate = boolean(body, "truncate", true);
  const Scores scores = boolean(body, "raw_scores", false) ? Scores::none : Scores::softmax;
  const json& direction = member(body, "truncation_direction");
  if (!direction.is_null() && direction != "Right" && direction != "right" && direction != "Left" &&
      direction != "left") {
    throw HttpError(400, "\"truncation_direction\" must be Right or Left");
  }
  const bool keeps_end = direction == "Left" || direction == "left";
  const bool is_batch = inputs.is_array();
  Asked asked;
  if (!is_batch) {
    if (!inputs.is_string()) throw HttpError(400, "\"inputs\" must be a text, or an array of arrays of one text each");
    add(asked, inputs.get<std::string>());
  }
  for (const json& input : is_batch ? inputs : json::array()) {
    if (!input.is_array() || input.size() != 1 || !input.front().is_string()) {
      throw HttpError(400,
                      "\"inputs\" must be a text, or an array of arrays of one text each: pairs are not known here");
    }
    add(asked, input.front().get<std::string>());
  }
  asked.reply = [=, labels = labels_, max_tokens = max_tokens_](std::span<const Outcome> outcomes) {
    check(outcomes);
    ordered_json out = ordered_json::array();
    for (const Outcome& outcome : outcomes) {
      const Prediction& prediction = *outcome.prediction;
      if (prediction.truncated && (!truncate || keeps_end)) {
        throw HttpError(413, "a text has " + std::to_string(prediction.tokens) + " tokens; the model takes " +
                                 std::to_string(max_tokens) +
                                 (truncate ? ", and here not the last ones" : ", and it may not be truncated"));
      }
      out.push_back(ranking(prediction, labels, scores, labels.size()));
    }
    return Reply{200, "application/json", dump(is_batch ? out : out.front())};
  };
  return asked;
}

Asked Api::inference_api(const Request& request) const {
  expect_type(request, "application/json");
  const json body = parse_object(request.body);
  Scores scores = Scores::softmax;
  std::size_t top_k = labels_.size();
  const json& parameters = member(body, "parameters");
  if (!parameters.is_null() && !parameters.is_object()) throw HttpError(400, "\"parameters\" must be an object");
  for (const auto& [name, value] : parameters.items()) {
    if (value.is_null()) continue;
    if (name == "top_k") {
      if (!value.is_number_unsigned() || value == 0) throw HttpError(400, "\"top_k\" must be a whole number above 0");
      top_k = value.get<std::size_t>();
    } else if (name == "function_to_apply") {
      if (value != "softmax" && value != "sigmoid" && value != "none") {
        throw HttpError(400, "\"function_to_apply\" must be softmax, sigmoid or none");
      }
      scores = value == "softmax" ? Scores::softmax : value == "sigmoid" ? Scores::sigmoid : Scores::none;
    } else {
      throw HttpError(400, "there is no parameter \"" + name + "\"; there are top_k and function_to_apply");
    }
  }
  Asked asked;
  for (std::string& text : texts_of(member(body, "inputs"), "inputs")) add(asked, std::move(text));
  asked.reply = [=, labels = labels_](std::span<const Outcome> outcomes) {
    check(outcomes);
    ordered_json out = ordered_json::array();
    for (const Outcome& outcome : outcomes) out.push_back(ranking(*outcome.prediction, labels, scores, top_k));
    return Reply{200, "application/json", dump(out)};
  };
  return asked;
}

Asked Api::vllm(const std::string& text) const {
  const json body = parse_object(text);
  const json& model = member(body, "model");
  if (!model.is_null() && model != model_) {
    throw HttpError(404, "the model here is \"" + model_ + "\": name this one in \"model\", or none");
  }
  Asked asked;
  for (std::string& input : texts_of(member(body, "input"), "input")) add(asked, std::move(input));
  asked.reply = [labels = labels_, name = model_](std::span<const Outcome> outcomes) {
    check(outcomes);
    ordered_json data = ordered_json::array();
    std::size_t tokens = 0;
    for (const Outcome& outcome : outcomes) {
      const Prediction& prediction = *outcome.prediction;
      tokens += prediction.tokens;
      data.push_back({{"index", data.size()},
                      {"label", labels[prediction.label]},
                      {"probs", prediction.probabilities},
                      {"num_classes", labels.size()}});
    }
    return Reply{200, "application/json",
                 dump({{"object", "list"},
                       {"model", name},
                       {"data", data},
                       {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}, {"completion_tokens", 0}}}})};
  };
  return asked;
}

Asked Api::form(const Request& request) const {
  std::optional<std::string> text = form_value(request.body, "text");
  if (!text) throw HttpError(400, "the form has no field \"text\" (of JSON, Content-Type must say so)");
  Asked asked;
  add(asked, std::move(*text));
  const std::optional<std::string> unit = form_value(request.body, "explain");
  if (unit) asked.reviews.front().explain = parse_explain_unit(*unit);
  asked.reply = [labels = labels_, positive = positive_, long_text = long_text_](std::span<const Outcome> outcomes) {
    check(outcomes);
    return Reply{200, "text/html; charset=utf-8", page_with_result(outcomes.front(), labels, positive, long_text),
                 page_headers()};
  };
  return asked;
}

}  // namespace reviewrate::server
