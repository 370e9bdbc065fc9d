#include "rdm6300.h"

#include <string.h>

namespace primrack {

bool Rdm6300::feed(uint16_t now, uint8_t byte) {
  if (byte == 0x02) {
    inside_ = true;
    at_ = 0;
    return false;
  }
  if (!inside_) return false;
  const uint8_t at = at_;
  inside_ = false;  // unless this byte belongs there
  if (byte == 0x03) {
    if (at != 2 * (UID_LEN + 1)) return false;
    uint8_t sum = 0;
    for (uint8_t i = 0; i <= UID_LEN; ++i) sum ^= bytes_[i];
    if (sum != 0) return false;
    const bool lies_here = any_ && memcmp(uid_, bytes_, UID_LEN) == 0;
    any_ = true;
    seen_ = now;
    memcpy(uid_, bytes_, UID_LEN);
    return !lies_here;
  }
  if (at == 2 * (UID_LEN + 1)) {
    inside_ = byte == '\r' || byte == '\n';
    return false;
  }
  uint8_t digit;
  if (byte >= '0' && byte <= '9') {
    digit = static_cast<uint8_t>(byte - '0');
  } else if (byte >= 'A' && byte <= 'F') {
    digit = static_cast<uint8_t>(byte - 'A' + 10);
  } else {
    return false;
  }
  uint8_t& cell = bytes_[at / 2];
  cell = at % 2 == 0 ? static_cast<uint8_t>(digit << 4) : static_cast<uint8_t>(cell | digit);
  at_ = static_cast<uint8_t>(at + 1);
  inside_ = true;
  return false;
}

}  // namespace primrack
