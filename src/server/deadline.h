// How long a client may take.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>

#include "connection.h"

namespace reviewrate::server {

/// A time after which what goes on with the socket is cut off.
class Deadline {
 public:
  explicit Deadline(Socket& socket) : socket_(socket), timer_(socket.get_executor()) {}

  void arm(std::chrono::seconds time, const std::shared_ptr<void>& owner) {
    expired_ = false;
    timer_.expires_after(time);
    timer_.async_wait([this, weak = std::weak_ptr<void>(owner)](const boost::system::error_code& error) {
      const std::shared_ptr<void> alive = weak.lock();
      if (error || !alive || timer_.expiry() > std::chrono::steady_clock::now()) return;
      expired_ = true;
      boost::system::error_code ignored;
      socket_.cancel(ignored);
    });
  }

  void disarm() { timer_.cancel(); }
  bool expired() const { return expired_; }

 private:
  Socket& socket_;
  boost::asio::steady_timer timer_;
  bool expired_ = false;
};

}  // namespace reviewrate::server
