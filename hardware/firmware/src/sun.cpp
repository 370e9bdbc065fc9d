#include "sun.h"

namespace primrack {

static const uint8_t NO_VALUE = 255;
static const uint8_t PICC_DIGITS = 32;
static const uint8_t CMAC_DIGITS = 16;

void SunFinder::begin() {
  digits_ = NO_VALUE;
  picc_ = cmac_ = false;
}

static int8_t any_hex(uint8_t c) {
  if (c >= '0' && c <= '9') return static_cast<int8_t>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<int8_t>(c - 'A' + 10);
  if (c >= 'a' && c <= 'f') return static_cast<int8_t>(c - 'a' + 10);
  return -1;
}

void SunFinder::value_ended() {
  if (!picc_) {
    picc_ = digits_ == PICC_DIGITS;
  } else if (digits_ == CMAC_DIGITS) {
    cmac_ = true;
  }
  digits_ = NO_VALUE;
}

void SunFinder::feed(uint8_t byte) {
  const int8_t digit = any_hex(byte);
  if (digit < 0) {
    if (digits_ != NO_VALUE && (byte == '&' || byte == '#' || byte == '?' || byte < 0x21 || byte == 0xFE)) {
      value_ended();
    } else {
      digits_ = NO_VALUE;  // a value with something else in it
    }
    if (byte == '=') digits_ = 0;
    return;
  }
  if (digits_ == NO_VALUE) return;
  const uint8_t most = picc_ ? CMAC_DIGITS : PICC_DIGITS;
  if (digits_ == most) {
    digits_ = NO_VALUE;
    return;
  }
  // A second value of up to 16 digits may overwrite an earlier CMAC: only the last whole one may stand.
  uint8_t& cell = out_[(picc_ ? PICC_DIGITS / 2 : 0) + digits_ / 2];
  if (picc_ && digits_ == 0) cmac_ = false;
  cell = digits_ % 2 == 0 ? static_cast<uint8_t>(digit << 4) : static_cast<uint8_t>(cell | digit);
  ++digits_;
}

bool SunFinder::end() {
  if (digits_ != NO_VALUE) value_ended();
  return picc_ && cmac_;
}

}  // namespace primrack
