// Prometheus's text format: https://prometheus.io/docs/instrumenting/exposition_formats/
#include "prometheus.h"

#include <algorithm>
#include <chrono>

#include "reviewrate/text.h"

namespace reviewrate::server {
namespace {

void append_head(std::string& out, const std::string& name, const std::string& type, const std::string& help) {
  out += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

std::string number(double value) { return shortest(value); }
std::string number(std::size_t value) { return std::to_string(value); }

std::string braces(const std::string& labels) { return labels.empty() ? "" : "{" + labels + "}"; }

}  // namespace

void append_metric(std::string& out, const std::string& name, const std::string& type, const std::string& help,
                   double value) {
  append_head(out, name, type, help);
  out += name + " " + number(value) + "\n";
}

void Histogram::add(double value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  ++counts_[static_cast<std::size_t>(bound - bounds_.begin())];
  sum_ += value;
}

void Histogram::append(const std::string& name, const std::string& labels, std::string& out) const {
  const std::string before = labels.empty() ? "" : labels + ",";
  std::size_t count = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    count += counts_[i];
    const std::string bound = i < bounds_.size() ? number(bounds_[i]) : "+Inf";
    out += name + "_bucket{" + before + "le=\"" + bound + "\"} " + number(count) + "\n";
  }
  out += name + "_sum" + braces(labels) + " " + number(sum_) + "\n";
  out += name + "_count" + braces(labels) + " " + number(count) + "\n";
}

std::vector<float> MeteredModel::forward(const Batch& batch) const {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<float> logits = model_.forward(batch);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const std::lock_guard<std::mutex> lock(mutex_);
  seconds_.add(seconds);
  tokens_.add(static_cast<double>(batch.tokens()));
  return logits;
}

double MeteredModel::tokens_per_second(std::size_t workers) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return seconds_.sum() > 0 ? tokens_.sum() / seconds_.sum() * static_cast<double>(workers) : 0;
}

void MeteredModel::append(std::string& out) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  append_head(out, "reviewrate_batch_duration_seconds", "histogram", "Time of a batch in the model.");
  seconds_.append("reviewrate_batch_duration_seconds", "", out);
  append_head(out, "reviewrate_batch_tokens", "histogram", "Tokens of a batch: how full batches are.");
  tokens_.append("reviewrate_batch_tokens", "", out);
}

void Metrics::answered(std::string_view route, unsigned status, double seconds) {
  ++requests_[{route, status}];
  seconds_
      .try_emplace(route,
                   std::vector<double>{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30})
      .first->second.add(seconds);
}

void Metrics::append(std::string& out) const {
  append_head(out, "reviewrate_http_requests_total", "counter", "Requests that were answered, by route and status.");
  for (const auto& [key, count] : requests_) {
    out += "reviewrate_http_requests_total{route=\"" + std::string(key.first) + "\",code=\"" +
           std::to_string(key.second) + "\"} " + number(count) + "\n";
  }
  append_head(out, "reviewrate_http_request_duration_seconds", "histogram",
              "Time from a request's head to the end of its answer, by route.");
  for (const auto& [route, seconds] : seconds_) {
    seconds.append("reviewrate_http_request_duration_seconds", "route=\"" + std::string(route) + "\"", out);
  }
  append_metric(out, "reviewrate_connections", "gauge", "Open connections.", static_cast<double>(connections));
  append_metric(out, "reviewrate_held_bytes", "gauge", "Bytes of bodies that are not whole and of answers not sent.",
                static_cast<double>(held_bytes));
  append_metric(out, "reviewrate_reviews_total", "counter", "Reviews that got a prediction.",
                static_cast<double>(reviews));
  append_metric(out, "reviewrate_review_failures_total", "counter", "Reviews that got an error.",
                static_cast<double>(failures));
  append_metric(out, "reviewrate_tokens_total", "counter", "Tokens of the reviews that got a prediction.",
                static_cast<double>(tokens));
  append_metric(out, "reviewrate_lost_log_lines_total", "counter", "Log lines that nobody read in time.",
                static_cast<double>(lost_log_lines));
}

}  // namespace reviewrate::server
