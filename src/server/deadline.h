// How long a client may take.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>

#include "connection.h"

namespace reviewrate::server {

/// A time after which what is under way with the socket is cut off.
class Deadline {
 public:
  explicit Deadline(Socket& socket) : socket_(socket), timer_(socket.get_executor()) {}

  void arm(std::chrono::steady_clock::time_point end, const std::weak_ptr<void>& owner) {
    armed_ = true;
    expired_ = false;
    timer_.expires_at(end);
    timer_.async_wait([this, owner](const boost::system::error_code& error) {
      const std::shared_ptr<void> alive = owner.lock();
      // The timer may have run out before it was set anew or disarmed, and this been called only now.
      if (error || !alive || !armed_ || timer_.expiry() > std::chrono::steady_clock::now()) return;
      expired_ = true;
      boost::system::error_code ignored;
      socket_.cancel(ignored);
    });
  }

  void disarm() {
    armed_ = false;
    timer_.cancel();
  }

  /// Whether it has run out since it was armed.
  bool expired() const { return expired_; }

 private:
  Socket& socket_;
  boost::asio::steady_timer timer_;
  bool armed_ = false;
  bool expired_ = false;
};

}  // namespace reviewrate::server
