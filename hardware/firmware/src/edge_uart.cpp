#include "edge_uart.h"

namespace primrack {

// 104.17 us a bit; times from the start edge, so that errors do not add up.
static const uint16_t HALF_BIT = 52;
static const uint16_t STOP_FROM = 989;    // 9.5 bits: a falling edge after this begins the next byte
static const uint16_t BYTE_OVER = 1042;   // 10 bits

static uint8_t bits_in(uint16_t us) { return static_cast<uint8_t>((static_cast<uint32_t>(us) + HALF_BIT) * 629 >> 16); }

// Bits up to `until` had this level. Bit 0 is the start, 1..8 data, 9 the stop.
void EdgeUart::fill(uint8_t until, bool level) {
  for (; bits_ < until && bits_ < 10; ++bits_) {
    if (bits_ >= 1 && bits_ <= 8) shift_ = static_cast<uint8_t>(shift_ >> 1 | (level ? 0x80 : 0));
    if (bits_ == 9 && !level) bad_ = true;
  }
}

void EdgeUart::finish() {
  receiving_ = false;
  if (bad_) return;
  const uint8_t next = static_cast<uint8_t>((in_ + 1) % RING);
  if (next == out_) return;  // nobody reads: the frame's checksum will tell
  ring_[in_] = shift_;
  in_ = next;
}

void EdgeUart::edge(uint16_t now, bool level) {
  if (level == !low_) return;  // a pulse shorter than the interrupt's delay
  const bool before = !low_;
  low_ = !level;
  if (receiving_) {
    const uint16_t passed = static_cast<uint16_t>(now - start_);
    if (passed < STOP_FROM) {
      const uint8_t n = bits_in(passed);
      if (n == 0) {  // a spike, no start bit
        receiving_ = false;
        return;
      }
      fill(n, before);
      return;
    }
    fill(10, before);
    finish();
  }
  if (!level) {
    receiving_ = true;
    bad_ = false;
    start_ = now;
    bits_ = 0;
    shift_ = 0;
  }
}

void EdgeUart::idle(uint16_t now) {
  if (!receiving_ || static_cast<uint16_t>(now - start_) < BYTE_OVER) return;
  fill(10, !low_);
  finish();
}

bool EdgeUart::read(uint8_t& byte) {
  if (in_ == out_) return false;
  byte = ring_[out_];
  out_ = static_cast<uint8_t>((out_ + 1) % RING);
  return true;
}

}  // namespace primrack
