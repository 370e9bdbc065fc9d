#include "event.h"

#include <string.h>

namespace primrack {

uint16_t saturated(uint16_t a, uint16_t b) {
  const uint16_t sum = static_cast<uint16_t>(a + b);
  return sum < a ? 65535 : sum;
}

uint8_t Queue::push(uint16_t seq, HappeningKind kind, uint8_t index, const uint8_t* data, uint8_t bytes, uint8_t len) {
  uint8_t dropped = 0;
  if (size_ == QUEUE_LEN) {
    remove(0);
    dropped = 1;
  }
  Happening& h = at(size_++);
  h.delivery.seq = seq;
  h.delivery.step = Delivery::Step::fresh;
  h.kind = kind;
  h.index = index;
  h.len = len;
  h.age = 0;
  memcpy(h.data, data, bytes < HAPPENING_DATA ? bytes : HAPPENING_DATA);
  return dropped;
}

uint8_t Queue::push_sun(uint16_t seq, uint8_t index, const uint8_t* message) {
  uint8_t dropped = 0;
  for (uint8_t i = 0; i < size_; ++i) {
    if (at(i).kind == HappeningKind::sun) {
      remove(i);
      dropped = 1;
      break;
    }
  }
  memcpy(sun_, message, SUN_LEN);
  return static_cast<uint8_t>(dropped + push(seq, HappeningKind::sun, index, message, 0, SUN_LEN));
}

bool Queue::answered(uint16_t seq) {
  for (uint8_t i = 0; i < size_; ++i) {
    // Only what has been sent can have been answered.
    if (at(i).delivery.seq == seq && at(i).delivery.step == Delivery::Step::out) {
      remove(i);
      return true;
    }
  }
  return false;
}

void Queue::remove(uint8_t i) {
  for (; i + 1 < size_; ++i) at(i) = at(static_cast<uint8_t>(i + 1));
  --size_;
}

void Queue::age(uint16_t ms) {
  for (uint8_t i = 0; i < size_; ++i) at(i).age = saturated(at(i).age, ms);
}

void Queue::recall() {
  for (uint8_t i = 0; i < size_; ++i)
    if (at(i).delivery.step == Delivery::Step::out) at(i).delivery.step = Delivery::Step::shown;
}

}  // namespace primrack
