#include "wiegand.h"

#include <string.h>

namespace primrack {

void Wiegand::pulse(bool one, uint16_t now) {
  at_ = now;
  const uint8_t n = count_;
  if (n > MOST) return;
  if (n < MOST) {
    const uint8_t bit = static_cast<uint8_t>(0x80 >> n % 8);
    if (one) raw_[n / 8] = static_cast<uint8_t>(raw_[n / 8] | bit);
  }
  count_ = static_cast<uint8_t>(n + 1);
}

bool Wiegand::check() {
  if (frame_bits_ != 26 && frame_bits_ != 34) return false;
  const uint8_t half = frame_bits_ / 2;
  uint8_t ones[2] = {0, 0};
  memset(payload_, 0, sizeof payload_);
  for (uint8_t i = 0; i < frame_bits_; ++i) {
    if (!(raw_[i / 8] & 0x80 >> i % 8)) continue;
    ++ones[i >= half];
    if (i > 0 && i < frame_bits_ - 1) payload_[(i - 1) / 8] = static_cast<uint8_t>(payload_[(i - 1) / 8] | 0x80 >> (i - 1) % 8);
  }
  return ones[0] % 2 == 0 && ones[1] % 2 == 1;
}

bool Wiegand::poll(uint16_t now) {
  if (count_ == 0 || static_cast<uint16_t>(now - at_) < QUIET_MS) return false;
  frame_bits_ = count_;
  const bool fine = check();
  count_ = 0;
  memset(raw_, 0, sizeof raw_);
  if (!fine) ++refused_;
  return fine;
}

}  // namespace primrack
