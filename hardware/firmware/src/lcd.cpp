#include "lcd.h"

#include <string.h>

namespace primrack {

void LcdPins::begin(uint8_t rs, uint8_t e, uint8_t d4, uint8_t d5, uint8_t d6, uint8_t d7) {
  const uint8_t pins[6] = {d4, d5, d6, d7, rs, e};
  for (uint8_t i = 0; i < 6; ++i) {
    pins_[i] = pins[i];
    hal::pin_output(pins[i], false);
  }
}

bool LcdPins::nibble(bool data, uint8_t low4) {
  for (uint8_t i = 0; i < 4; ++i) hal::pin_write(pins_[i], (low4 >> i & 1) != 0);
  hal::pin_write(pins_[4], data);
  hal::pin_write(pins_[5], true);  // a pin_write takes longer than the 0.45 us that E must be high
  hal::pin_write(pins_[5], false);
  return true;
}

bool LcdPins::byte(bool data, uint8_t value) {
  nibble(data, value >> 4);
  return nibble(data, value & 15);
}

static const uint8_t RS = 1, E = 4, LIGHT = 8;

bool LcdI2c::nibble(bool data, uint8_t low4) {
  const uint8_t v = static_cast<uint8_t>(low4 << 4 | LIGHT | (data ? RS : 0));
  const uint8_t out[2] = {static_cast<uint8_t>(v | E), v};
  return hal::i2c_write(address_, out, 2);
}

bool LcdI2c::byte(bool data, uint8_t value) {
  const uint8_t base = static_cast<uint8_t>(LIGHT | (data ? RS : 0));
  const uint8_t high = static_cast<uint8_t>((value & 0xF0) | base), low = static_cast<uint8_t>(value << 4 | base);
  const uint8_t out[4] = {static_cast<uint8_t>(high | E), high, static_cast<uint8_t>(low | E), low};
  return hal::i2c_write(address_, out, 4);
}

bool LcdText::show(uint8_t row, const char* text16) {
  if (row >= ROWS) return false;
  for (uint8_t i = 0; i < COLUMNS; ++i) {
    const uint8_t at = static_cast<uint8_t>(row * COLUMNS + i);
    if (text_[at] == text16[i]) continue;
    text_[at] = text16[i];
    dirty_ |= static_cast<uint32_t>(1) << at;
  }
  return true;
}

void LcdText::clear() {
  char blank[COLUMNS];
  memset(blank, ' ', sizeof blank);
  show(0, blank);
  show(1, blank);
}

}  // namespace primrack
