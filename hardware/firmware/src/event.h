// What the board has to tell: happenings in a short queue, states in one slot each. See ../../PROTOCOL.md, 3.
#pragma once
#include <stdint.h>

namespace primrack {

const uint8_t QUEUE_LEN = 8;
const uint8_t IN_FLIGHT_MAX = 4;
const uint16_t RESEND_MS = 250;
const uint8_t SUN_LEN = 24;
const uint8_t HAPPENING_DATA = 10;

// Where one event stands on its way to the host.
struct Delivery {
  enum class Step : uint8_t { none, fresh, shown, out };  // shown = sent while nobody had adopted the board
  uint16_t seq = 0;
  uint16_t sent = 0;  // when, ms
  Step step = Step::none;

  bool waits() const { return step != Step::none; }
};

enum class HappeningKind : uint8_t { tag, wiegand, sun, button };

struct Happening {
  Delivery delivery;
  HappeningKind kind = HappeningKind::tag;
  uint8_t index = 0;
  uint8_t len = 0;  // of data; of a Wiegand payload in bits
  uint16_t age = 0;  // ms, saturating
  uint8_t data[HAPPENING_DATA] = {};
};

// Adds without passing 65535.
uint16_t saturated(uint16_t a, uint16_t b);

// Oldest first; the oldest makes room.
class Queue {
 public:
  // Returns how many were dropped to make room (0 or 1).
  uint8_t push(uint16_t seq, HappeningKind kind, uint8_t index, const uint8_t* data, uint8_t bytes, uint8_t len);
  // As push, for a SUN message: there is one slot for these, and an older unanswered one is dropped.
  uint8_t push_sun(uint16_t seq, uint8_t index, const uint8_t* message);
  // The host has answered this number; true if it was one of ours.
  bool answered(uint16_t seq);
  // So many ms have passed.
  void age(uint16_t ms);
  // What was out before an adoption or its end is to be sent anew.
  void recall();

  uint8_t size() const { return size_; }
  Happening& at(uint8_t i) { return slot_[i]; }
  const uint8_t* sun() const { return sun_; }

 private:
  void remove(uint8_t i);
  Happening slot_[QUEUE_LEN];
  uint8_t size_ = 0;
  uint8_t sun_[SUN_LEN] = {};
};

}  // namespace primrack
