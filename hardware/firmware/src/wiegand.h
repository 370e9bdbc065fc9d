// Wiegand-26 and -34: a low pulse on D0 is a 0, on D1 a 1; the frame ends when it is quiet. The first bit makes the first half even, the last
// the second half odd; other lengths and bad parity are refused.
#pragma once
#include <stdint.h>

namespace primrack {

class Wiegand {
 public:
  static const uint8_t QUIET_MS = 15;  // bits come 1 to 3 ms apart

  // From the pin's interrupt.
  void pulse(bool one, uint16_t now_ms);
  // From the main loop, with interrupts held. True: a frame is there, see payload() and bits().
  bool poll(uint16_t now_ms);

  const uint8_t* payload() const { return payload_; }
  uint8_t bits() const { return frame_bits_; }  // 26 or 34
  uint16_t refused() const { return refused_; }

 private:
  static const uint8_t MOST = 34;
  bool check();
  volatile uint8_t count_ = 0;  // above MOST: too many
  volatile uint16_t at_ = 0;
  uint8_t raw_[5] = {};
  uint8_t payload_[4] = {};
  uint8_t frame_bits_ = 0;
  uint16_t refused_ = 0;
};

}  // namespace primrack
