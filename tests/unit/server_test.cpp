// The server without sockets: what requests ask for, what becomes of reviews in the queue, keys, and the page.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "catch.h"
#include "fakes.h"
#include "reviewrate/error.h"
#include "server/api.h"
#include "server/api_keys.h"
#include "server/message.h"
#include "server/page.h"
#include "server/prometheus.h"
#include "server/record_stream.h"
#include "server/review_queue.h"
#include "server/routes.h"
#include "sources.h"

using namespace reviewrate;
using namespace reviewrate::server;
using nlohmann::json;

namespace {

Manifest manifest() {
  Manifest result;
  result.name = "fake";
  result.labels = {"NEGATIVE", "POSITIVE"};
  result.positive = 1;
  return result;
}

Api api() { return Api(manifest(), kFullEffort, LongText::head, 100); }

Request request(std::string path, std::string body, std::string type = "application/json") {
  return {std::move(path), "", std::move(type), std::move(body)};
}

unsigned status_of(const Request& asked) {
  try {
    api().read(asked);
    return 200;
  } catch (const HttpError& e) {
    return e.status();
  }
}

Outcome outcome(std::string id, std::vector<double> logits) {
  Outcome result;
  result.review = text_review(std::move(id), "text");
  const double sum = std::exp(logits[0]) + std::exp(logits[1]);
  Scorer scorer;
  scorer.positive = 1;
  const std::vector<double> probabilities = {std::exp(logits[0]) / sum, std::exp(logits[1]) / sum};
  result.prediction = scorer(probabilities);
  result.prediction->tokens = 6;
  result.prediction->logits = std::move(logits);
  return result;
}

std::vector<std::string> texts(const Asked& asked) {
  std::vector<std::string> result;
  for (const Review& review : asked.reviews) result.push_back(review.text);
  return result;
}

/// Runs what is delivered on the thread that asks for it.
class Loop {
 public:
  ReviewQueue::Deliver deliver() {
    return [this](std::function<void()> function) {
      const std::lock_guard<std::mutex> lock(mutex_);
      functions_.push_back(std::move(function));
    };
  }

  void run() {
    std::vector<std::function<void()>> functions;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      functions.swap(functions_);
    }
    for (const auto& function : functions) function();
  }

 private:
  std::mutex mutex_;
  std::vector<std::function<void()>> functions_;
};

/// Throws for every batch that holds the token of 'x'.
class ThrowingModel : public Model {
 public:
  std::size_t labels() const override { return 2; }
  std::vector<float> forward(const Batch& batch) const override {
    if (std::find(batch.ids.begin(), batch.ids.end(), 'x' + 3) != batch.ids.end()) throw std::runtime_error("no x");
    return inner_.forward(batch);
  }

 private:
  MeanModel inner_;
};

/// Who waits for all answers.
const auto kAsker = std::make_shared<int>();

PipelineOptions pipeline_options() {
  PipelineOptions result;
  result.workers = 2;
  result.batch_tokens = 64;
  result.scorer.positive = 1;
  return result;
}

}  // namespace

TEST_CASE("every dialect's texts, one or many", "[server]") {
  using Texts = std::vector<std::string>;
  CHECK(texts(api().read(request("/classify", R"({"text": "a"})"))) == Texts{"a"});
  CHECK(texts(api().read(request("/classify", R"({"texts": ["a", "b"]})"))) == Texts{"a", "b"});
  CHECK(texts(api().read(request("/classify", "a=b&c", "text/plain"))) == Texts{"a=b&c"});
  CHECK(texts(api().read(request("/classify", "&text=a+%26%20b%", "application/x-www-form-urlencoded"))) ==
        Texts{"a & b%"});
  CHECK(texts(api().read(request("/classify", R"({"input": ["a"]})"))) == Texts{"a"});
  CHECK(texts(api().read(request("/v1/classify", R"({"input": "a"})"))) == Texts{"a"});
  CHECK(texts(api().read(request("/predict", R"({"inputs": [["a"], ["b"]]})"))) == Texts{"a", "b"});
  CHECK(texts(api().read(request("/", R"({"inputs": ["a", "b"]})"))) == Texts{"a", "b"});
  CHECK(texts(api().read(request("/", "text=a", "application/x-www-form-urlencoded"))) == Texts{"a"});
}

TEST_CASE("the answers of every dialect to one outcome", "[server]") {
  const std::vector<Outcome> one = {outcome("text:1", {0.5, 2})};
  const double p = one[0].prediction->score;
  const auto answer = [&](const Request& asked) { return json::parse(api().read(asked).reply(one).body); };
  const json ranking = {{{"label", "POSITIVE"}, {"score", p}}, {{"label", "NEGATIVE"}, {"score", 1 - p}}};
  CHECK(answer(request("/predict", R"({"inputs": "a"})"))[0] == ranking[0]);
  CHECK(answer(request("/predict", R"({"inputs": "a", "raw_scores": true})")) ==
        json::parse(R"([{"label": "POSITIVE", "score": 2.0}, {"label": "NEGATIVE", "score": 0.5}])"));
  CHECK(answer(request("/", R"({"inputs": "a", "parameters": {"top_k": 1}})")) == json::array({{ranking[0]}}));
  CHECK(answer(request("/", R"({"inputs": "a", "parameters": {"function_to_apply": "sigmoid"}})"))[0][0]["score"] ==
        1 / (1 + std::exp(-2.0)));
  CHECK(answer(request("/classify", R"({"text": "a"})")) == json({{"id", "text:1"},
                                                                  {"label", "POSITIVE"},
                                                                  {"score", p},
                                                                  {"p_positive", p},
                                                                  {"rating", 8},
                                                                  {"tokens", 6},
                                                                  {"truncated", false},
                                                                  {"windows", 1}}));
  CHECK(answer(request("/v1/classify", R"({"input": "a"})"))["usage"]["prompt_tokens"] == 6);
}

TEST_CASE("an outcome without a prediction is an error of the whole request", "[server]") {
  Outcome failed;
  failed.review = bad_review("text:1");
  failed.review.failure = Failure{"internal", "no memory"};
  for (const char* path : {"/predict", "/"}) {
    const Asked asked = api().read(request(path, R"({"inputs": "a"})"));
    try {
      asked.reply(std::vector<Outcome>{failed});
      FAIL("no error");
    } catch (const HttpError& e) {
      CHECK(e.status() == 500);
      CHECK(error_reply(e).body ==
            "{\"error\":\"a text could not be classified: no memory\",\"error_type\":\"Backend\"}\n");
    }
  }
}

TEST_CASE("what a request may not be", "[server]") {
  CHECK(status_of(request("/classify", R"({"text": "a"})", "")) == 415);
  CHECK(status_of(request("/predict", R"({"inputs": "a"})", "text/plain")) == 415);
  CHECK(status_of(request("/classify", R"({"text": "a"})", "application/json; charset=\"UTF-8\"; x=y")) == 200);
  CHECK(status_of(request("/classify", R"({"text": "a"})", "application/json; x; charset=utf-16")) == 415);
  CHECK(status_of(request("/classify", "{\"text\": \"\xFF\"}")) == 400);
  CHECK(status_of(request("/classify", std::string(R"({"text": ")") + std::string(101, 'a') + "\"}")) == 413);
  CHECK(status_of(request("/classify", std::string(R"({"text": ")") + std::string(100, 'a') + "\"}")) == 200);
  CHECK(status_of(request("/classify", R"({"text": "a", "b": [[[[1]]]]})")) == 400);
  CHECK(status_of(request("/classify", R"({"text": "\ud800"})")) == 400);
}

TEST_CASE("an error never quotes the body", "[server]") {
  try {
    api().read(request("/classify", R"({"text": "my secret)"));
    FAIL("no error");
  } catch (const HttpError& e) {
    CHECK_THAT(e.what(), !Catch::Contains("secret"));
  }
}

TEST_CASE("reviews come back to whom they belong, whatever the batches", "[server]") {
  Loop loop;
  ReviewQueue queue(1 << 20, loop.deliver());
  const ByteTokenizer tokenizer;
  const MeanModel model;
  const PipelineOptions options = pipeline_options();
  std::thread worker([&] { classify_queue(queue, tokenizer, model, options, [](const std::string&) {}); });
  std::size_t answered = 0;
  constexpr std::size_t kReviews = 500;
  for (std::size_t i = 0; i < kReviews; ++i) {
    queue.push(text_review(std::to_string(i), std::string(i % 90, 'a')), i % 90, kAsker, [&, i](const Outcome& result) {
      CHECK(result.review.id.text == std::to_string(i));
      REQUIRE(result.prediction);
      CHECK(result.prediction->tokens == i % 90 + 2);
      CHECK(answered++ == i);
    });
    if (i % 7 == 0) loop.run();
  }
  while (answered < kReviews) loop.run();
  CHECK(queue.tokens() == 0);
  CHECK(queue.reviews() == 0);
  queue.close();
  worker.join();
}

TEST_CASE("a review at which the model throws fails alone", "[server]") {
  Loop loop;
  ReviewQueue queue(1 << 20, loop.deliver());
  const ByteTokenizer tokenizer;
  const ThrowingModel model;
  const PipelineOptions options = pipeline_options();
  std::vector<std::string> told;
  std::size_t answered = 0;
  for (std::size_t i = 0; i < 60; ++i) {
    const bool bad = i % 20 == 7;
    queue.push(text_review(std::to_string(i), bad ? "ax" : "a"), 4, kAsker, [&, bad](const Outcome& result) {
      ++answered;
      CHECK(result.prediction.has_value() == !bad);
      if (bad) CHECK(result.review.failure == Failure{"internal", "no x"});
    });
  }
  queue.close();
  std::thread worker([&] {
    classify_queue(queue, tokenizer, model, options, [&](const std::string& line) { told.push_back(line); });
  });
  worker.join();
  loop.run();
  CHECK(answered == 60);
  CHECK(std::count(told.begin(), told.end(), "a review could not be classified: no x") == 3);
}

TEST_CASE("the queue takes requests of any size until it is full", "[server]") {
  Loop loop;
  ReviewQueue queue(10, loop.deliver());
  const auto push = [&](std::size_t tokens) { queue.push(text_review("a", "text"), tokens, kAsker, [](Outcome) {}); };
  CHECK(queue.has_room(false));
  push(9);
  CHECK(queue.tokens() == 9);
  CHECK(queue.has_room(false));  // for a large one too, which else would wait as long as there are small ones
  push(1000);
  CHECK_FALSE(queue.has_room(false));
  CHECK(queue.has_room(true));
}

TEST_CASE("nobody computes what nobody waits for", "[server]") {
  Loop loop;
  ReviewQueue queue(1 << 20, loop.deliver());
  auto leaves = std::make_shared<int>();
  std::vector<std::string> answered;
  for (const char* id : {"a1", "b1", "a2", "b2", "a3"}) {
    queue.push(text_review(id, "text"), 4, id[0] == 'a' ? leaves : kAsker,
               [&answered, id](const Outcome&) { answered.emplace_back(id); });
  }
  Review review;
  REQUIRE(queue.next(review, false) == Source::Status::review);
  CHECK(review.id.text == "a1");
  CHECK(queue.awaited() == 5);
  leaves = nullptr;
  CHECK(queue.awaited() == 2);
  for (const char* id : {"b1", "b2"}) {
    REQUIRE(queue.next(review, false) == Source::Status::review);
    CHECK(review.id.text == id);
  }
  CHECK(queue.next(review, false) == Source::Status::idle);
  CHECK(queue.reviews() == 3);
  CHECK(queue.tokens() == 12);
  for (int i = 0; i < 3; ++i) queue.answer_first({text_review("", ""), std::nullopt});
  loop.run();
  CHECK(answered == std::vector<std::string>{"a1", "b1", "b2"});  // a1 was on its way
  CHECK(queue.reviews() == 0);
  CHECK(queue.tokens() == 0);
}

TEST_CASE("what an answer holds ends on the thread of the connections, whichever is faster", "[server]") {
  // Runs and destroys what it is given before the thread that gives it goes on.
  std::thread::id connections;
  ReviewQueue queue(1 << 20, [&](std::function<void()> function) {
    std::thread thread([&] {
      connections = std::this_thread::get_id();
      function();
      function = nullptr;
    });
    thread.join();
  });
  auto leaves = std::make_shared<int>();
  std::vector<bool> ended_there;
  for (const std::shared_ptr<int>& asker : {kAsker, leaves}) {
    std::shared_ptr<int> connection(new int, [&](const int* p) {
      ended_there.push_back(std::this_thread::get_id() == connections);
      delete p;
    });
    queue.push(text_review("", "text"), 4, asker, [connection](const Outcome&) {});
  }
  leaves = nullptr;
  Review review;
  REQUIRE(queue.next(review, false) == Source::Status::review);
  queue.answer_first({text_review("", ""), std::nullopt});
  CHECK(queue.next(review, false) == Source::Status::idle);
  CHECK(ended_there == std::vector<bool>{true, true});
}

TEST_CASE("reviews that are to be explained leave others the queue and half of the model's time", "[server]") {
  Loop loop;
  ReviewQueue queue(100000, loop.deliver());
  const auto push = [&](const std::string& id, std::size_t tokens, bool explained) {
    Review review = text_review(id, "text");
    if (explained) review.explain = ExplainUnit::sentences;
    queue.push(std::move(review), tokens, kAsker, [](const Outcome&) {});
  };
  for (const char* id : {"e1", "e2", "e3"}) push(id, 30000, true);
  for (const char* id : {"p1", "p2", "p3", "p4", "p5"}) push(id, 15000, false);
  CHECK(queue.tokens() == 165000);
  CHECK(queue.has_room(true));
  push("e4", 30000, true);
  CHECK_FALSE(queue.has_room(true));
  CHECK(queue.has_room(false));
  const auto taken = [&]() -> std::string {
    Review review;
    return queue.next(review, false) == Source::Status::review ? review.id.text : "-";
  };
  const auto answer_first = [&] { queue.answer_first({text_review("", ""), std::nullopt}); };
  // While one is being explained no other is taken.
  for (const char* id : {"e1", "p1", "p2", "p3", "p4"}) CHECK(taken() == id);
  answer_first();
  for (const char* id : {"e2", "p5", "-"}) CHECK(taken() == id);
  for (int i = 0; i < 5; ++i) answer_first();
  CHECK(taken() == "e3");
  CHECK(queue.tokens() == 75000);
}

TEST_CASE("an explanation in the queue equals one without it", "[server]") {
  Loop loop;
  ReviewQueue queue(1 << 20, loop.deliver());
  const ByteTokenizer tokenizer;
  const MeanModel model;
  PipelineOptions options = pipeline_options();
  std::vector<Explanation> found;
  for (int i = 0; i < 3; ++i) {
    Review review = text_review("", "One. Two and more. Three!");
    review.explain = ExplainUnit::words;
    queue.push(std::move(review), 200, kAsker, [&](const Outcome& o) { found.push_back(*o.prediction->explanation); });
    queue.push(text_review("", "One."), 3, kAsker, [](const Outcome& o) { CHECK_FALSE(o.prediction->explanation); });
  }
  queue.close();
  classify_queue(queue, tokenizer, model, options, [](const std::string&) {});
  loop.run();
  REQUIRE(found.size() == 3);
  for (const Explanation& each : found) {
    REQUIRE(each.parts.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) CHECK(each.parts[i].contribution == found[0].parts[i].contribution);
    CHECK(std::abs(each.remainder) < 1e-6);
  }
}

TEST_CASE("what a query may ask for", "[server]") {
  CHECK(api().parameters("", false).explain == std::nullopt);
  CHECK(api().parameters("explain=words", false).explain == ExplainUnit::words);
  for (const char* wrong :
       {"explain=", "explain=letters", "explain", "explain=words&x=1", "file=a.csv", "texts=true"}) {
    CHECK_THROWS_AS(api().parameters(wrong, false), HttpError);
  }
  const Parameters of_file = api().parameters("file=a%20b.csv&texts=true&text_field=body", true);
  CHECK(of_file.file == "a b.csv");
  CHECK(of_file.text_field == "body");
  CHECK(of_file.texts);
  CHECK(api().parameters("file=", true).file == "-");
  for (const char* wrong : {"texts=1", "texts", "name=a.csv"}) {
    CHECK_THROWS_AS(api().parameters(wrong, true), HttpError);
  }
  Manifest unnamed = manifest();
  unnamed.positive.reset();
  CHECK_THROWS_AS(Api(unnamed, kFullEffort, LongText::head, 100).parameters("explain=words", false), HttpError);
}

TEST_CASE("an explanation counts as the tokens that the model sees", "[server]") {
  Manifest small = manifest();
  small.max_tokens = 10;
  Review review = text_review("", std::string(400, 'a'));
  const Api head(small, kFullEffort, LongText::head, 1000);
  const Api windows(small, kFullEffort, LongText::windows, 1000);
  CHECK(head.estimated_tokens(review) == 102);
  review.explain = ExplainUnit::sentences;
  CHECK(head.estimated_tokens(review) == 102 + 32 * 10);
  CHECK(windows.estimated_tokens(review) == 102 + 32 * 102);
}

TEST_CASE("keys, as clients send them", "[server]") {
  const Scratch scratch;
  const ApiKeys keys(scratch.write("keys", "one\r\n\ntwo words\n"));
  CHECK(keys.required());
  for (const char* right : {"Bearer one", "bearer   two words", "Basic dXNlcjpvbmU=", "Basic OnR3byB3b3Jkcw=="}) {
    CHECK(keys.accept(right));
  }
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer on", "Bearer one ", "one", "Basic one", "Basic b25l",
                            "Basic ====", "Basic dXNlcjpvbmU", "Basic \xFF\xFF\xFF\xFF"}) {
    CHECK_FALSE(keys.accept(wrong));
  }
  CHECK(ApiKeys().accept(""));
  CHECK_THROWS_AS(ApiKeys(scratch.write("empty", "\n \n")), Error);
  CHECK_THROWS_AS(ApiKeys(scratch("missing")), Error);
}

TEST_CASE("a review on the page is text, whatever it holds", "[server]") {
  Outcome result = outcome("text:1", {0, 3});
  result.review.text = "</textarea><script>alert(\"1\")</script>&amp;{{result}}";
  const std::string page = page_with_result(result, {"<b>", "\"P&N\""}, "\"P&N\"", LongText::head);
  CHECK_THAT(page, Catch::Contains(
                       "&#60;/textarea&#62;&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#38;amp;{{result}}"));
  CHECK_THAT(page, Catch::Contains("&#34;P&#38;N&#34;"));
  CHECK_THAT(page, Catch::Contains("Rating: 10 of 10, excellent. Probability: 95.3 %."));
  CHECK_THAT(page, !Catch::Contains("<b>"));
  CHECK_THAT(page, !Catch::Contains("alert(\"1\")"));
}

TEST_CASE("an explanation on the page is text, whatever it holds", "[server]") {
  Outcome result = outcome("text:1", {0, 3});
  result.review.text = "<i>Fine</i> & good. <script>";
  ExplainedPart fine{.begin_byte = 0, .end_byte = 19, .contribution = 2};
  fine.words = {{.begin_byte = 0, .end_byte = 11, .contribution = 1.996}, {.begin_byte = 12, .end_byte = 19}};
  const ExplainedPart script{.begin_byte = 20, .end_byte = 28, .contribution = -1};
  const ExplainedPart unread{.begin_byte = 20, .end_byte = 28, .seen = false};
  result.prediction->explanation = Explanation{.base = -0.5, .parts = {fine, script, unread}};
  const std::string page = page_with_result(result, {"NEG", "P&N"}, "P&N", LongText::head);
  CHECK_THAT(page, Catch::Contains(
                       "<li class=\"for s4 words\"><b>+2.00</b><span dir=\"auto\"><span class=\"word for s4\">"
                       "&#60;i&#62;Fine&#60;/i&#62; <small dir=\"ltr\">+2.00</small></span> &#38; good.</span></li>"));
  CHECK_THAT(page, Catch::Contains("<li class=\"against s2\"><b>−1.00</b><span dir=\"auto\">&#60;script&#62;</span>"));
  CHECK_THAT(page, Catch::Contains("<li class=\"unseen\"><b>not read</b>"));
  CHECK_THAT(page, Catch::Contains("An empty review has −0.50, all of this together +0.50"));
  CHECK_THAT(page, Catch::Contains("the log odds of P&#38;N"));
  CHECK_THAT(page, Catch::Contains("name=\"explain\" value=\"words\" checked"));
  CHECK_THAT(page_without_result(true), Catch::Contains("value=\"words\"> Say why"));
  CHECK_THAT(page_without_result(false), !Catch::Contains("Say why"));
}

TEST_CASE("histograms count up to each bound", "[server]") {
  Histogram histogram({1, 2.5});
  for (const double value : {0.5, 1.0, 2.0, 7.0}) histogram.add(value);
  std::string out;
  histogram.append("h", "a=\"b\"", out);
  CHECK(out ==
        "h_bucket{a=\"b\",le=\"1\"} 2\nh_bucket{a=\"b\",le=\"2.5\"} 3\nh_bucket{a=\"b\",le=\"+Inf\"} 4\n"
        "h_sum{a=\"b\"} 10.5\nh_count{a=\"b\"} 4\n");
}
