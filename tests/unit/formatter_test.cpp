// The four formats, with names and texts that need care.
#include "reviewrate/formatter.h"

#include <nlohmann/json.hpp>
#include <set>

#include "catch.h"

using namespace reviewrate;

namespace {

Outcome outcome() {
  Outcome o;
  o.review.id.text = "a\"b";
  o.review.text = "Good\tfilm,\nreally";
  o.prediction = Prediction{1, 0.75, 0.75, 8, 7, false, 1};
  return o;
}

std::string format(const Outcome& o, OutputFormat kind, std::vector<std::string> pass = {}) {
  OutputOptions options;
  options.format = kind;
  options.labels = {"NEGATIVE", "POSITIVE"};
  options.pass = std::move(pass);
  const auto formatter = make_formatter(options);
  std::string out = formatter->header();
  formatter->append(o, out);
  return out;
}

Outcome failed() {
  Outcome o;
  o.review.id.text = "x:1";
  o.review.failure = Failure{"json", "x:1: is not \"JSON\", at all"};
  return o;
}

}  // namespace

TEST_CASE("jsonl: the record's fields, in order") {
  CHECK(format(outcome(), OutputFormat::jsonl) ==
        "{\"id\": \"a\\\"b\", \"label\": \"POSITIVE\", \"score\": 0.75, \"p_positive\": 0.75, \"rating\": 8, "
        "\"tokens\": 7, \"truncated\": false, \"windows\": 1}\n");
  CHECK(format(failed(), OutputFormat::jsonl) ==
        "{\"id\": \"x:1\", \"error\": {\"kind\": \"json\", \"message\": \"x:1: is not \\\"JSON\\\", at all\"}}\n");
}

TEST_CASE("jsonl: ids and passed columns keep their type; a taken name gets a prefix") {
  Outcome o = outcome();
  o.review.id = {"12", true};
  o.review.repaired = 3;
  o.review.passed = {{"label", {"neg", false}}, {"tags", {"[1,null]", true}}};
  const auto record = nlohmann::json::parse(format(o, OutputFormat::jsonl));
  CHECK(record["id"] == 12);
  CHECK(record["repaired"] == 3);
  CHECK(record["label"] == "POSITIVE");
  CHECK(record["input_label"] == "neg");
  CHECK(record["tags"] == nlohmann::json::parse("[1,null]"));
}

TEST_CASE("no name stands twice in a record or a header, whatever is passed") {
  Outcome o = outcome();
  for (const char* name : {"input_label", "label", "a", "a", "", "", "error", "input_error", "input_input_error"}) {
    o.review.passed.push_back({name, {name, false}});
  }
  std::vector<std::string> names;
  const auto note_key = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    if (event == nlohmann::json::parse_event_t::key && depth == 1) names.push_back(value.get<std::string>());
    return true;
  };
  const auto record = nlohmann::json::parse(format(o, OutputFormat::jsonl), note_key);
  CHECK(names.size() == 17);
  CHECK(std::set<std::string>(names.begin(), names.end()).size() == names.size());
  CHECK(record["input_label"] == "input_label");  // a name that is free stays
  CHECK(record["input_input_label"] == "label");
  CHECK(record["a"] == "a");
  CHECK(record["input_a"] == "a");
  CHECK(record["input_error"] == "input_error");
  CHECK(record["input_input_input_error"] == "error");

  const std::string csv = format(outcome(), OutputFormat::csv, {"label", "input_label", "x"});
  CHECK(csv.substr(0, csv.find('\n')) ==
        "id,label,score,p_positive,rating,tokens,truncated,windows,repaired,error_kind,error_message,"
        "input_input_label,input_label,x");
}

TEST_CASE("text for people holds nothing that a terminal obeys") {
  const std::string hostile =
      "a\x1b[31mb\x7f\xc2\x9b"
      "c\xe2\x80\xae"
      "d\xe2\x80\x8b"
      "e\xe2\x80\xa8"
      "f\nxg\xef\xbb\xbfh\xf3\xa0\x80\xa0";
  Outcome o = outcome();
  o.review.id.text = o.review.text = hostile;
  OutputOptions options;
  options.format = OutputFormat::text;
  options.labels = {hostile, hostile};
  std::string out;
  make_formatter(options)->append(o, out);
  o.prediction.reset();
  o.review.failure = Failure{hostile, hostile};
  make_formatter(options)->append(o, out);
  CHECK(out ==
        " 8/10  a [31mb  cde f xgh  0.7500  a [31mb…de f xgh  a [31mb  cde f xgh\n"
        "ERROR a [31mb  cde f xgh: a [31mb  cde f xgh\n");
  CHECK(json_string(hostile) == "\"a\\u001b[31mb\\u007f\\u009bc\\u202ed\\u200be\\u2028f\\nxg\\ufeffh\\udb40\\udc20\"");
  CHECK(nlohmann::json::parse(json_string(hostile)) == hostile);
}

TEST_CASE("numbers read back exactly") {
  for (const double p : {0.0, 5e-324, 1e-7, 0.1, 1.0 / 3, 0.99999999999999989, 1.0}) {
    Outcome o = outcome();
    o.prediction->score = p;
    o.prediction->positive = p;
    const auto record = nlohmann::json::parse(format(o, OutputFormat::jsonl));
    CHECK(record["score"].is_number_float());
    CHECK(record["score"].get<double>() == p);
  }
}

TEST_CASE("csv and tsv: RFC 4180") {
  Outcome o = outcome();
  o.review.id.text = "a\"b";
  o.review.passed = {{"note", {"one, two\nthree", false}}};
  CHECK(format(o, OutputFormat::csv, {"note", "none"}) ==
        "id,label,score,p_positive,rating,tokens,truncated,windows,repaired,error_kind,error_message,note,none\n"
        "\"a\"\"b\",POSITIVE,0.75,0.75,8,7,false,1,0,,,\"one, two\nthree\",\n");
  CHECK(format(failed(), OutputFormat::tsv) ==
        "id\tlabel\tscore\tp_positive\trating\ttokens\ttruncated\twindows\trepaired\terror_kind\terror_message\n"
        "x:1\t\t\t\t\t\t\t\t0\tjson\t\"x:1: is not \"\"JSON\"\", at all\"\n");
}

TEST_CASE("text: one line for people, cut to the terminal, without control characters") {
  Outcome o = outcome();
  o.review.id.text = "f:1";
  CHECK(format(o, OutputFormat::text) == " 8/10  POSITIVE  0.7500  f:1               Good film, really\n");
  o.review.text = std::string(200, 'x') + "\x1b[2J";
  CHECK(format(o, OutputFormat::text).size() == 80 + 1 + 2);  // the ellipsis takes three bytes
  o.review.text = "\x1b[2J \xC2\x9B";
  CHECK(format(o, OutputFormat::text) == " 8/10  POSITIVE  0.7500  f:1                [2J\n");
  CHECK(format(failed(), OutputFormat::text) == "ERROR json: x:1: is not \"JSON\", at all\n");
}
