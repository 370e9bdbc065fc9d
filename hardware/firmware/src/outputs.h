// Relay, lamp tower, NeoPixels, servo lock, buzzer. Each has begin() (safe at once), set() (false: no such value), poll().
// Everything is 0 before begin(): so the sketch needs no code that runs before main().
#pragma once
#include <stdint.h>

#include "hal.h"

namespace primrack {

enum Active : uint8_t { ACTIVE_HIGH = 1, ACTIVE_LOW = 0 };  // many relay modules switch on with a low pin

class Relay {
 public:
  void begin(uint8_t pin, Active active) {
    pin_ = pin;
    active_ = active;
    hal::pin_output(pin, !active);
  }
  bool set(uint32_t v) {
    if (v > 1) return false;
    hal::pin_write(pin_, (v != 0) == (active_ == ACTIVE_HIGH));
    return true;
  }
  void poll(uint16_t) {}

 private:
  uint8_t pin_ = 0;
  Active active_ = ACTIVE_LOW;
};

// Three lamps: bits 0..2 lit, bits 3..5 blinking.
class Lamp {
 public:
  static const uint16_t HALF_MS = 500;
  void begin(uint8_t red, uint8_t yellow, uint8_t green, Active active) {
    active_ = active;
    pins_[0] = red;
    pins_[1] = yellow;
    pins_[2] = green;
    for (uint8_t i = 0; i < 3; ++i) hal::pin_output(pins_[i], !active);
  }
  bool set(uint32_t v) {
    if (v > 63) return false;
    value_ = static_cast<uint8_t>(v);
    begin_blink_ = true;
    show(true);
    return true;
  }
  void poll(uint16_t now) {
    if (value_ < 8) return;
    if (begin_blink_) {
      begin_blink_ = false;
      turned_ = now;
      bright_ = true;
    }
    if (static_cast<uint16_t>(now - turned_) < HALF_MS) return;
    turned_ = static_cast<uint16_t>(turned_ + HALF_MS);
    bright_ = !bright_;
    show(bright_);
  }

 private:
  void show(bool bright) {
    for (uint8_t i = 0; i < 3; ++i) {
      const bool on = (value_ >> i & 1) != 0 || (bright && (value_ >> (i + 3) & 1) != 0);
      hal::pin_write(pins_[i], on == (active_ == ACTIVE_HIGH));
    }
  }
  uint8_t pins_[3] = {};
  Active active_ = ACTIVE_LOW;
  uint8_t value_ = 0;
  bool bright_ = false, begin_blink_ = false;
  uint16_t turned_ = 0;
};

// A tower or strip of WS2812, all of one colour. At most 8: interrupts are off for 30 us a pixel and two bytes of the line wait in hardware.
class Pixels {
 public:
  void begin(uint8_t pin, uint8_t count) {
    pin_ = pin;
    count_ = count;
    hal::pin_output(pin, false);
    set(0);
  }
  bool set(uint32_t v) {
    if (v > 0xFFFFFF) return false;
    hal::pixels(pin_, count_, v);
    return true;
  }
  void poll(uint16_t) {}

 private:
  uint8_t pin_ = 0, count_ = 0;
};

// A servo that turns a bolt. It gets pulses for a second, then rests: most servos hum and heat when they are held.
class Lock {
 public:
  static const uint16_t TURN_MS = 1000;
  void begin(uint8_t pin, uint16_t locked_us, uint16_t open_us) {
    pin_ = pin;
    us_[0] = locked_us;
    us_[1] = open_us;
    hal::pin_output(pin, false);
    set(0);
  }
  bool set(uint32_t v) {
    if (v > 1) return false;
    hal::servo(pin_, us_[v]);
    turning_ = fresh_ = true;
    return true;
  }
  void poll(uint16_t now) {
    if (!turning_) return;
    if (fresh_) {
      fresh_ = false;
      since_ = now;
    }
    if (static_cast<uint16_t>(now - since_) < TURN_MS) return;
    turning_ = false;
    hal::servo(pin_, 0);
  }

 private:
  uint8_t pin_ = 0;
  uint16_t us_[2] = {};
  bool turning_ = false, fresh_ = false;
  uint16_t since_ = 0;
};

class Buzzer {
 public:
  void begin(uint8_t pin) {
    pin_ = pin;
    hal::pin_output(pin, false);
  }
  bool set(uint32_t v) {
    if (v != 0 && (v < 31 || v > 5000)) return false;
    hal::tone(pin_, static_cast<uint16_t>(v));
    return true;
  }
  void poll(uint16_t) {}

 private:
  uint8_t pin_ = 0;
};

}  // namespace primrack
