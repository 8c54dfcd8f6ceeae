// The measures on sets small enough to be counted by hand; tests/python/test_measures.py compares large ones with
// scikit-learn.
#include "reviewrate/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "catch.h"

using namespace reviewrate;

namespace {

std::optional<double> value(const Evaluation& e, Measure m) { return e.value({m}); }

struct Rated {
  double p;
  int label;
  int rating = 5;
  std::optional<double> stars = {};
};

Evaluation evaluation(const std::vector<Rated>& reviews, double threshold = 0.5) {
  Observations observations(Task::binary, 2);
  for (const Rated& r : reviews) {
    observations.add(static_cast<std::size_t>(r.label), r.p >= threshold ? 1 : 0, std::array{r.p}, r.rating, r.stars);
  }
  return Evaluation(observations);
}

/// The interval of a measure.
std::optional<Interval> interval(const Evaluation& e, const Intervals& intervals, Measure m) {
  const auto found = std::find(e.measured().begin(), e.measured().end(), MeasureOf{m});
  return intervals.at(static_cast<std::size_t>(found - e.measured().begin()));
}

}  // namespace

TEST_CASE("measures of five reviews, counted by hand") {
  // By falling p: 0.9 +, 0.8 -, 0.8 +, 0.4 +, 0.1 -
  const Evaluation e = evaluation({{0.4, 1}, {0.9, 1}, {0.8, 0}, {0.1, 0}, {0.8, 1}});
  const Confusion c = e.confusion();
  CHECK(c(1, 1) == 2);
  CHECK(c(0, 1) == 1);
  CHECK(c(1, 0) == 1);
  CHECK(c(0, 0) == 1);
  CHECK(value(e, Measure::accuracy) == Approx(3.0 / 5));
  CHECK(value(e, Measure::precision) == Approx(2.0 / 3));
  CHECK(value(e, Measure::recall) == Approx(2.0 / 3));
  CHECK(value(e, Measure::f1) == Approx(2.0 / 3));
  CHECK(value(e, Measure::mcc) == Approx((2 * 1 - 1 * 1) / 6.0));
  // Pairs (+, -): 0.9 beats both, 0.8 ties one and beats one, 0.4 loses one and beats one.
  CHECK(value(e, Measure::roc_auc) == Approx((2 + 1.5 + 1) / 6));
  CHECK(value(e, Measure::average_precision) == Approx((1.0 + 2.0 / 3 + 3.0 / 4) / 3));
  CHECK(value(e, Measure::brier) == Approx((0.36 + 0.01 + 0.64 + 0.01 + 0.04) / 5));
  CHECK(value(e, Measure::log_loss) ==
        Approx(-(std::log(0.4) + std::log(0.9) + std::log(0.2) + std::log(0.9) + std::log(0.8)) / 5));
  CHECK(value(e, Measure::best_f1) == Approx(6.0 / 7));
  CHECK(value(e, Measure::best_threshold) == 0.4);
  // By falling confidence: 0.9 right, 0.9 right, 0.8 wrong, 0.8 right, 0.6 wrong.
  CHECK(value(e, Measure::accuracy_at_95) == Approx(3.0 / 5));
  CHECK(value(e, Measure::accuracy_at_90) == Approx(3.0 / 5));
  CHECK(value(e, Measure::accuracy_at_80) == Approx(3.0 / 4));
  CHECK(value(e, Measure::accuracy_at_50) == Approx(2.5 / 3));
  CHECK(value(e, Measure::aurc) == Approx((0.5 / 3 + 1.0 / 4 + 2.0 / 5) / 5));
  const std::vector<CoveragePoint> curve = e.coverage_curve(10);
  REQUIRE(curve.size() == 3);
  CHECK(curve[0].coverage == Approx(0.4));
  CHECK(curve[0].accuracy == 1);
  CHECK(curve[1].coverage == Approx(0.8));
  CHECK(curve[1].accuracy == Approx(0.75));
  CHECK(curve[2].coverage == 1);
  CHECK(e.coverage_curve(2).size() == 2);
  CHECK_FALSE(value(e, Measure::rating_mae));
}

TEST_CASE("the lowest of the best thresholds") {
  // F1 with the threshold at 0.9: 2/5, 0.6: 4/8, 0.5: 6/9, 0.4: 8/10
  const Evaluation e = evaluation({{0.9, 1}, {0.8, 0}, {0.7, 0}, {0.6, 1}, {0.5, 1}, {0.4, 1}});
  CHECK(value(e, Measure::best_f1) == Approx(0.8));
  CHECK(value(e, Measure::best_threshold) == 0.4);
  const Evaluation tie = evaluation({{0.9, 1}, {0.8, 0}, {0.7, 0}, {0.6, 0}, {0.5, 1}});
  // F1 at 0.9: 2/3; at 0.5: 4/7
  CHECK(value(tie, Measure::best_threshold) == 0.9);
  const Evaluation equal = evaluation({{0.9, 1}, {0.8, 0}, {0.7, 0}, {0.6, 1}});
  // F1 at 0.9: 2/3; at 0.6: 4/6
  CHECK(value(equal, Measure::best_threshold) == 0.6);
}

TEST_CASE("the threshold decides labels, and calibration goes by one half") {
  const Evaluation e = evaluation({{0.6, 1}, {0.6, 0}}, 0.7);
  CHECK(value(e, Measure::accuracy) == 0.5);
  CHECK(e.confusion()(1, 1) == 0);
  CHECK(value(e, Measure::ece) == Approx(0.1));
  CHECK(evaluation({{0.7, 1}}, 0.7).confusion()(1, 1) == 1);
}

TEST_CASE("calibration error: gaps are added up bin by bin") {
  // Bins of width 1/15: 0.95 and 0.94 lie in the last, 0.55 in the ninth.
  const Evaluation e = evaluation({{0.95, 1}, {0.06, 1}, {0.55, 1}});
  CHECK(value(e, Measure::ece) == Approx((std::abs(0.95 + 0.94 - 1) + 0.45) / 3));
  const auto bins = e.calibration();
  CHECK(bins[14].count == 2);
  CHECK(bins[14].confidence == Approx(0.945));
  CHECK(bins[14].accuracy == 0.5);
  CHECK(bins[8].count == 1);
  CHECK(evaluation({{1.0, 1}, {0.0, 0}}).calibration()[14].count == 2);
}

TEST_CASE("what one label leaves undefined is not made up") {
  for (const int label : {0, 1}) {
    const Evaluation e = evaluation({{0.9, label}, {0.2, label}});
    for (const Measure m :
         {Measure::roc_auc, Measure::average_precision, Measure::best_f1, Measure::best_threshold, Measure::mcc}) {
      CHECK_FALSE(value(e, m));
    }
    CHECK(value(e, Measure::recall).has_value() == (label == 1));
    CHECK(value(e, Measure::f1).has_value() == (label == 1));
    CHECK(value(e, Measure::accuracy) == 0.5);
  }
  const Evaluation nothing = evaluation({});
  for (const auto& measure : nothing.measures()) CHECK_FALSE(measure);
  for (const auto& interval : nothing.intervals(10, 1)) CHECK_FALSE(interval);
  CHECK(nothing.curve(10).size() == 1);
  const Evaluation silent = evaluation({{0.1, 1}, {0.2, 0}});
  CHECK_FALSE(value(silent, Measure::precision));
  CHECK(value(silent, Measure::f1) == 0.0);
}

TEST_CASE("certain and wrong is a large loss, not an infinite one") {
  CHECK(value(evaluation({{0.0, 1}, {1.0, 0}}), Measure::log_loss) == Approx(-std::log(std::ldexp(1.0, -52))));
}

TEST_CASE("ratings against stars") {
  const Evaluation e = evaluation({{0.1, 0, 1, 2.0}, {0.5, 0, 5, 4.5}, {0.9, 1, 9, 7.0}, {0.9, 1, 9}});
  CHECK(value(e, Measure::rating_mae) == Approx((1 + 0.5 + 2) / 3));
  CHECK(value(e, Measure::rating_within_one) == Approx(2.0 / 3));
  CHECK(value(e, Measure::rating_spearman) == Approx(1));
  CHECK(e.ratings_by_stars().at(4.5)[5] == 1);
  // Ranks 1, 2.5, 2.5, 4 against 1.5, 1.5, 3, 4
  const Evaluation ties = evaluation({{0, 0, 1, 1.0}, {0, 0, 3, 1.0}, {0, 0, 3, 8.0}, {0, 0, 7, 9.0}});
  CHECK(value(ties, Measure::rating_spearman) == Approx(3.75 / 4.5));
  const Evaluation constant = evaluation({{0, 0, 5, 1.0}, {0, 0, 5, 3.0}});
  CHECK(value(constant, Measure::rating_mae) == 3.0);
  CHECK_FALSE(value(constant, Measure::rating_spearman));
}

TEST_CASE("the curve has a point for each distinct threshold, and fewer where asked") {
  const Evaluation e = evaluation({{0.9, 1}, {0.8, 0}, {0.8, 1}, {0.4, 1}, {0.1, 0}});
  const auto all = e.curve(100);
  REQUIRE(all.size() == 5);
  CHECK_FALSE(all[0].threshold);
  CHECK(all[2].threshold == 0.8);
  CHECK(all[2].true_positive == 2);
  CHECK(all[2].false_positive == 1);
  const auto few = e.curve(2);
  REQUIRE(few.size() == 2);
  CHECK_FALSE(few[0].threshold);
  CHECK(few[1].true_positive + few[1].false_positive == 5);
}

TEST_CASE("bootstrap intervals: the same numbers everywhere, and of the right width") {
  std::vector<Rated> reviews;
  std::mt19937_64 generator(7);
  for (int i = 0; i < 2000; ++i) {
    const double p = static_cast<double>(generator() >> 11U) / 9007199254740992.0;
    const bool positive = static_cast<double>(generator() >> 11U) / 9007199254740992.0 < p;
    reviews.push_back({p, positive ? 1 : 0, 1 + i % 10, static_cast<double>(1 + i % 7)});
  }
  const Evaluation e = evaluation(reviews);
  const auto intervals = e.intervals(400, 1);
  const double accuracy = *value(e, Measure::accuracy);
  const Interval found = interval(e, intervals, Measure::accuracy).value();
  // The normal approximation: 1.96 standard errors to each side.
  const double half = 1.96 * std::sqrt(accuracy * (1 - accuracy) / 2000);
  CHECK(found.low == Approx(accuracy - half).margin(half / 4));
  CHECK(found.high == Approx(accuracy + half).margin(half / 4));
  for (std::size_t m = 0; m < intervals.size(); ++m) {
    INFO(measure_name(e.measured()[m].measure));
    REQUIRE(intervals[m]);
    CHECK(intervals[m]->low <= intervals[m]->high);
    CHECK(e.intervals(400, 1)[m]->low == intervals[m]->low);
  }
  // Draws of indices 0 to 3 by remainder from the standard's generator; a computation in Python gave these.
  const Evaluation four = evaluation({{0.9, 1}, {0.8, 0}, {0.3, 0}, {0.2, 0}});
  const auto pinned = interval(four, four.intervals(3, 5489), Measure::accuracy).value();
  CHECK(pinned.low == Approx(0.75));
  CHECK(pinned.high == Approx(0.9875));
}

TEST_CASE("an interval is not given where a draw leaves its measure undefined") {
  const Evaluation e = evaluation({{0.9, 1}, {0.2, 1}, {0.1, 0}});
  CHECK_FALSE(interval(e, e.intervals(200, 1), Measure::roc_auc));
  CHECK(interval(e, e.intervals(200, 1), Measure::accuracy));
}

TEST_CASE("an interval is not given where all draws give the same") {
  const Evaluation e = evaluation({{0.9, 1}, {0.8, 1}, {0.1, 0}});
  CHECK_FALSE(interval(e, e.intervals(200, 1), Measure::accuracy));
  CHECK(interval(e, e.intervals(200, 1), Measure::brier));
}

TEST_CASE("the middle of the best threshold: half-way to the next lower p") {
  CHECK(evaluation({{0.9, 1}, {0.6, 1}, {0.2, 0}}).middle_of_best_threshold() == Approx(0.4));
  CHECK(evaluation({{0.9, 0}, {0.6, 1}, {0.2, 1}}).middle_of_best_threshold() == Approx(0.2));
  CHECK_FALSE(evaluation({{0.9, 1}}).middle_of_best_threshold());
}

TEST_CASE("exact McNemar test") {
  // scipy.stats.binomtest(b, b + c).pvalue
  CHECK(mcnemar_exact(0, 0) == 1);
  CHECK(mcnemar_exact(5, 5) == 1);
  CHECK(mcnemar_exact(0, 5) == Approx(0.0625).epsilon(1e-12));
  CHECK(mcnemar_exact(9, 1) == Approx(0.021484375).epsilon(1e-12));
  CHECK(mcnemar_exact(1, 9) == mcnemar_exact(9, 1));
  CHECK(mcnemar_exact(400, 500) == Approx(0.0009564441369189373).epsilon(1e-9));
  CHECK(mcnemar_exact(10000, 10200) == Approx(0.16146401541462277).epsilon(1e-9));
  CHECK(mcnemar_exact(0, 5000) == 0);
}

TEST_CASE("measure names and directions") {
  for (std::size_t m = 0; m < kMeasureCount; ++m) {
    const auto measure = static_cast<Measure>(m);
    CHECK(parse_measure(measure_name(measure)) == measure);
  }
  CHECK(measure_name(Measure::rating_spearman) == "rating_spearman");
  CHECK_FALSE(parse_measure("F1"));
  CHECK(measure_direction(Measure::f1) == 1);
  CHECK(measure_direction(Measure::ece) == -1);
  CHECK(measure_direction(Measure::best_threshold) == 0);
}

namespace {

/// Three labels; each review with its label, and their probabilities.
Evaluation three_labels(const std::vector<std::pair<std::size_t, std::array<double, 3>>>& reviews) {
  Observations observations(Task::multiclass, 3);
  for (const auto& [label, p] : reviews) {
    const auto called = static_cast<std::size_t>(std::max_element(p.begin(), p.end()) - p.begin());
    observations.add(label, called, p);
  }
  return Evaluation(observations);
}

}  // namespace

TEST_CASE("measures of three labels, counted by hand") {
  const Evaluation e = three_labels(
      {{0, {0.7, 0.2, 0.1}}, {0, {0.3, 0.6, 0.1}}, {1, {0.2, 0.5, 0.3}}, {2, {0.1, 0.3, 0.6}}, {2, {0.3, 0.5, 0.2}}});
  const Confusion c = e.confusion();
  CHECK(c.counts == std::vector<std::size_t>{1, 1, 0, 0, 1, 0, 0, 1, 1});
  CHECK(value(e, Measure::accuracy) == Approx(3.0 / 5));
  CHECK(e.value({Measure::precision, 0}) == 1.0);
  CHECK(e.value({Measure::precision, 1}) == Approx(1.0 / 3));
  CHECK(e.value({Measure::recall, 0}) == 0.5);
  CHECK(e.value({Measure::recall, 1}) == 1.0);
  CHECK(e.value({Measure::f1, 0}) == Approx(2.0 / 3));
  CHECK(e.value({Measure::f1, 1}) == Approx(0.5));
  CHECK(value(e, Measure::macro_f1) == Approx((2.0 / 3 + 0.5 + 2.0 / 3) / 3));
  CHECK(value(e, Measure::weighted_f1) == Approx((2 * 2.0 / 3 + 0.5 + 2 * 2.0 / 3) / 5));
  // Pairs (with the label, without it). Label 0: 0.7 beats three; 0.3 beats two and ties one. Label 1: 0.5 beats two,
  // ties one and loses one. Label 2: 0.6 beats three; 0.2 beats two and loses one.
  CHECK(e.value({Measure::roc_auc, 0}) == Approx((3 + 2.5) / 6));
  CHECK(e.value({Measure::roc_auc, 1}) == Approx(2.5 / 4));
  CHECK(e.value({Measure::roc_auc, 2}) == Approx((3 + 2) / 6.0));
  CHECK(value(e, Measure::roc_auc) == Approx((5.5 / 6 + 2.5 / 4 + 5 / 6.0) / 3));
  CHECK(e.value({Measure::average_precision, 1}) == Approx(1.0 / 3));
  CHECK(value(e, Measure::log_loss) ==
        Approx(-(std::log(0.7) + std::log(0.3) + std::log(0.5) + std::log(0.6) + std::log(0.2)) / 5));
  CHECK(value(e, Measure::brier) == Approx((0.14 + 0.86 + 0.38 + 0.26 + 0.98) / 5));
  // Right 3 of 5; reviews 2, 1, 2; given 1, 3, 1.
  CHECK(value(e, Measure::mcc) == Approx((3 * 5 - 7) / std::sqrt((25.0 - 9) * (25 - 11))));
  CHECK_FALSE(value(e, Measure::f1));  // of no label
  CHECK_FALSE(value(e, Measure::best_threshold));
  CHECK_FALSE(e.value({Measure::log_loss, 0}));
}

TEST_CASE("what a label without reviews leaves undefined") {
  const Evaluation e = three_labels({{0, {0.7, 0.2, 0.1}}, {1, {0.3, 0.6, 0.1}}, {0, {0.4, 0.5, 0.1}}});
  for (const Measure m :
       {Measure::precision, Measure::recall, Measure::f1, Measure::roc_auc, Measure::average_precision}) {
    CHECK(e.value({m, 0}));
    CHECK_FALSE(e.value({m, 2}));
  }
  CHECK_FALSE(value(e, Measure::roc_auc));
  CHECK_FALSE(value(e, Measure::average_precision));
  CHECK(value(e, Measure::macro_f1) == Approx(2.0 / 3));  // of the two others
  const Evaluation called = three_labels({{0, {0.7, 0.2, 0.1}}, {1, {0.3, 0.1, 0.6}}});
  CHECK(called.value({Measure::f1, 2}) == 0.0);
  CHECK_FALSE(called.value({Measure::recall, 2}));
  CHECK(value(called, Measure::macro_f1) == Approx(1.0 / 3));
  CHECK_FALSE(value(three_labels({{0, {0.7, 0.2, 0.1}}, {0, {0.7, 0.1, 0.2}}}), Measure::mcc));
}

TEST_CASE("two labels measured each against the rest give what they give with a positive one") {
  Observations one(Task::binary, 2), both(Task::multiclass, 2);  // of which the first one is the positive one
  std::mt19937_64 generator(3);
  for (int i = 0; i < 300; ++i) {
    const double p = static_cast<double>(generator() % 97) / 96;
    const bool positive = generator() % 3 > 0;
    const std::size_t called = p >= 0.5 ? 1 : 0;
    one.add(positive ? 1 : 0, called, std::array{p});
    both.add(positive ? 0 : 1, 1 - called, std::array{p, 1 - p});
  }
  const Evaluation a(one), b(both);
  const Intervals a_intervals = a.intervals(100, 1), b_intervals = b.intervals(100, 1);
  for (const MeasureOf m : a.measured()) {
    INFO(measure_name(m.measure));
    const bool of_label = has_measure(Task::multiclass, m.measure, true);
    if (!of_label && !has_measure(Task::multiclass, m.measure, false)) continue;
    const MeasureOf other = of_label ? MeasureOf{m.measure, 0} : m;
    if (!a.value(m)) {  // without stars
      CHECK_FALSE(b.value(other));
      continue;
    }
    const double scale = m.measure == Measure::brier ? 2 : 1;  // the sum over both labels
    CHECK(b.value(other).value() == Approx(scale * a.value(m).value()).epsilon(1e-12));
    const auto place = std::find(b.measured().begin(), b.measured().end(), other) - b.measured().begin();
    const Interval found = b_intervals.at(static_cast<std::size_t>(place)).value();
    const Interval expected = interval(a, a_intervals, m.measure).value();
    CHECK(found.low == Approx(scale * expected.low).epsilon(1e-12));
    CHECK(found.high == Approx(scale * expected.high).epsilon(1e-12));
  }
}

TEST_CASE("of reviews whose other probabilities are not known, labels and confidence are measured") {
  Observations observations(Task::multiclass, 3);
  observations.add_without_others(0, 0, 0.9);
  observations.add_without_others(1, 2, 0.6);
  const Evaluation e(observations);
  CHECK(value(e, Measure::accuracy) == 0.5);
  CHECK(value(e, Measure::accuracy_at_50) == 1.0);
  CHECK(value(e, Measure::ece) == Approx((0.1 + 0.6) / 2));
  for (const Measure m : {Measure::log_loss, Measure::brier, Measure::roc_auc, Measure::average_precision}) {
    CHECK_FALSE(value(e, m));
  }
}
