// Receives 9600 baud 8N1 from the times of a pin's edges, on any pin that can interrupt. Between edges the processor is free; SoftwareSerial
// would hold it for a whole byte (1 ms) with interrupts off and so lose bytes from the host and badges both.
#pragma once
#include <stdint.h>

namespace primrack {

class EdgeUart {
 public:
  // From the pin's interrupt: the time and the level that the line has now.
  void edge(uint16_t now_us, bool level);
  // From the main loop, with interrupts held, at least every 30 ms: ends a byte that has no edge behind it.
  void idle(uint16_t now_us);
  // From the main loop, with interrupts held.
  bool read(uint8_t& byte);

 private:
  void fill(uint8_t until, bool level);
  void finish();
  static const uint8_t RING = 8;
  uint16_t start_ = 0;   // of the start bit
  uint8_t bits_ = 0;     // known of this byte, start bit included
  uint8_t shift_ = 0;
  bool receiving_ = false;
  bool bad_ = false;
  bool low_ = false;
  uint8_t ring_[RING] = {};
  uint8_t in_ = 0, out_ = 0;
};

}  // namespace primrack
