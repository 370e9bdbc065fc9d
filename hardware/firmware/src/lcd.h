// A 16x2 character display with an HD44780 in 4-bit mode, over six pins or over the usual I2C backpack (PCF8574).
// It is written one character a pass, so that nothing else waits for it (45 us on pins, 0.5 ms on I2C).
#pragma once
#include <stdint.h>

#include "hal.h"

namespace primrack {

// Writes nibbles over pins. RW is wired to ground.
class LcdPins {
 public:
  void begin(uint8_t rs, uint8_t e, uint8_t d4, uint8_t d5, uint8_t d6, uint8_t d7);
  bool nibble(bool data, uint8_t low4);
  bool byte(bool data, uint8_t value);

 private:
  uint8_t pins_[6] = {};
};

// Over a PCF8574: P0 RS, P1 RW, P2 E, P3 light, P4..P7 data.
class LcdI2c {
 public:
  void begin(uint8_t address) { address_ = address; }
  bool nibble(bool data, uint8_t low4);
  bool byte(bool data, uint8_t value);

 private:
  uint8_t address_ = 0;
};

// What is to be seen, and how far the display has got. Without transport.
class LcdText {
 public:
  static const uint8_t COLUMNS = 16, ROWS = 2;
  bool show(uint8_t row, const char* text16);
  void clear();

 protected:
  char text_[ROWS * COLUMNS] = {};
  uint32_t dirty_ = 0;   // a bit a character
  uint8_t cursor_ = 0;   // where the display would write; 255 = unknown
  uint8_t step_ = 0;     // of the display's start
  uint16_t since_ = 0;
};

template <typename Bus>
class Lcd : public LcdText {
 public:
  template <typename... Settings>
  void begin(Settings... settings) {
    bus_.begin(static_cast<uint8_t>(settings)...);
    clear();
  }
  // 0 clears; 1 is what show() makes of it and cannot be set.
  bool set(uint32_t v) {
    if (v != 0) return false;
    clear();
    return true;
  }
  // One short step; also sees that a display that was away (I2C) is started anew.
  void poll(uint16_t now) {
    const uint16_t passed = static_cast<uint16_t>(now - since_);
    if (step_ < START_STEPS) {
      // Data sheet, figure 24: 3 three times with pauses, then 4 bits, two lines, display on, clear, cursor moves right.
      static const uint8_t wait[START_STEPS] = {50, 5, 2, 2, 2, 2, 2, 5};
      if (passed < wait[step_]) return;
      since_ = now;
      bool fine;
      switch (step_) {
        case 0: case 1: case 2: fine = bus_.nibble(false, 0x3); break;
        case 3: fine = bus_.nibble(false, 0x2); break;
        case 4: fine = bus_.byte(false, 0x28); break;
        case 5: fine = bus_.byte(false, 0x0C); break;
        case 6: fine = bus_.byte(false, 0x01); break;
        default: fine = bus_.byte(false, 0x06); break;
      }
      step_ = fine ? static_cast<uint8_t>(step_ + 1) : ABSENT;
      if (step_ == START_STEPS) {
        dirty_ = 0xFFFFFFFF;
        cursor_ = 255;
      }
      return;
    }
    if (step_ == ABSENT) {
      if (passed >= RETRY_MS) step_ = 0;
      return;
    }
    if (dirty_ == 0) return;
    uint8_t i = cursor_ < ROWS * COLUMNS ? cursor_ : 0;
    while (!(dirty_ >> i & 1)) i = static_cast<uint8_t>((i + 1) % (ROWS * COLUMNS));
    bool fine;
    if (i != cursor_) {
      fine = bus_.byte(false, static_cast<uint8_t>(0x80 | (i >= COLUMNS ? 0x40 + i - COLUMNS : i)));
      cursor_ = i;
    } else {
      fine = bus_.byte(true, static_cast<uint8_t>(text_[i]));
      dirty_ &= ~(static_cast<uint32_t>(1) << i);
      cursor_ = static_cast<uint8_t>(i + 1);
      if (cursor_ == COLUMNS) cursor_ = 255;  // behind the first row the display's memory goes on elsewhere
    }
    if (!fine) {
      step_ = ABSENT;
      since_ = now;
    }
  }

 private:
  static const uint8_t START_STEPS = 8, ABSENT = 100;
  static const uint16_t RETRY_MS = 1000;
  Bus bus_;
};

}  // namespace primrack
