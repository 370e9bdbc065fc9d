// Buttons and analogue inputs.
#pragma once
#include <stdint.h>

#include "hal.h"

namespace primrack {

// To ground, with the pull-up: pressed = low. The first edge counts at once, then the contacts may bounce.
class Button {
 public:
  static const uint8_t BOUNCE_MS = 20;
  void begin(uint8_t pin) {
    pin_ = pin;
    hal::pin_input(pin);
  }
  // True: pressed() has changed.
  bool poll(uint16_t now) {
    if (settling_) {
      if (static_cast<uint16_t>(now - changed_) < BOUNCE_MS) return false;
      settling_ = false;
    }
    const bool down = !hal::pin_read(pin_);
    if (down == pressed_) return false;
    pressed_ = down;
    changed_ = now;
    settling_ = true;
    return true;
  }
  bool pressed() const { return pressed_; }

 private:
  uint8_t pin_ = 0;
  bool pressed_ = false;
  bool settling_ = false;
  uint16_t changed_ = 0;
};

// Tells a value when it is `step` or more away from the one told last, at most every 100 ms.
class Analog {
 public:
  static const uint8_t EVERY_MS = 100;
  void begin(uint8_t pin, uint8_t step) {
    pin_ = pin;
    step_ = step;
  }
  // True: value() is news.
  bool poll(uint16_t now) {
    if (any_ && static_cast<uint16_t>(now - read_at_) < EVERY_MS) return false;
    read_at_ = now;
    const uint16_t v = hal::analog_read(pin_);
    const uint16_t away = v > told_ ? static_cast<uint16_t>(v - told_) : static_cast<uint16_t>(told_ - v);
    if (any_ && away < step_) return false;
    any_ = true;
    told_ = v;
    return true;
  }
  uint16_t value() const { return told_; }

 private:
  uint8_t pin_ = 0, step_ = 0;
  bool any_ = false;
  uint16_t told_ = 0;
  uint16_t read_at_ = 0;
};

}  // namespace primrack
