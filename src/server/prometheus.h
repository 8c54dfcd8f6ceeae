// What the server counts, as Prometheus reads it.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reviewrate/model.h"

namespace reviewrate::server {

/// Counts of values up to each of a list of bounds, with their sum.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}

  void add(double value);

  /// Appends the samples of `name` with `labels` ('route="/"', or nothing) in Prometheus's text format.
  void append(const std::string& name, const std::string& labels, std::string& out) const;

  double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<std::size_t> counts_;  ///< of each bound alone; the last is of what is above all
  double sum_ = 0;
};

/// What one has of a sum, such as the bytes that one holds of those that all hold; it ends with its owner.
class Share {
 public:
  explicit Share(std::size_t& sum) : sum_(sum) {}
  ~Share() { set(0); }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  void set(std::size_t value) {
    sum_ += value;
    sum_ -= std::exchange(value_, value);
  }

 private:
  std::size_t& sum_;
  std::size_t value_ = 0;
};

/// A model that counts its batches and takes their time.
class MeteredModel final : public Model {
 public:
  explicit MeteredModel(const Model& model) : model_(model) {}

  std::size_t labels() const override { return model_.labels(); }
  std::vector<float> forward(const Batch& batch) const override;

  /// Tokens a second while it runs in `workers` threads; 0 before the first batch.
  double tokens_per_second(std::size_t workers) const;

  void append(std::string& out) const;

 private:
  const Model& model_;
  mutable std::mutex mutex_;
  mutable Histogram seconds_{{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1}};
  mutable Histogram tokens_{{32, 64, 128, 256, 384, 512, 768, 1024, 1536}};
};

/// What is counted of requests. Of the thread of the connections.
class Metrics {
 public:
  /// A request of `route` was answered with `status`, `seconds` after its head was there.
  void answered(std::string_view route, unsigned status, double seconds);

  std::size_t connections = 0;     ///< open now
  std::size_t held_bytes = 0;      ///< held now of bodies that are not whole, and of answers that are not sent
  std::size_t reviews = 0;         ///< answered with a prediction
  std::size_t failures = 0;        ///< answered with an error
  std::size_t tokens = 0;          ///< of the reviews that were answered
  std::size_t lost_log_lines = 0;  ///< that nobody was there to read

  void append(std::string& out) const;

 private:
  std::map<std::pair<std::string_view, unsigned>, std::size_t> requests_;
  std::map<std::string_view, Histogram> seconds_;
};

/// Appends a metric of one sample.
void append_metric(std::string& out, const std::string& name, const std::string& type, const std::string& help,
                   double value);

}  // namespace reviewrate::server
