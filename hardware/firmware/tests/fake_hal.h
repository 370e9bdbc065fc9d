// A machine on the PC: the clock and the line stand still until a test moves them.
#pragma once
#include <stdint.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fake {

struct I2cWrite {
  uint8_t address;
  std::vector<uint8_t> bytes;
};

struct Machine {
  uint16_t ms = 0, us = 0;
  std::string rx, tx;
  size_t tx_size = 95;        // what fits before it has left
  bool tx_blocked = false;    // nothing leaves
  std::map<int, bool> pin;    // as written or driven
  std::map<int, bool> output;
  std::vector<std::string> log;  // "pin 5 1", "servo 6 1000", "tone 7 440", "pixels 14 8 FF0000"
  std::map<int, uint16_t> analog;
  std::vector<uint8_t> eeprom = std::vector<uint8_t>(1024, 0xFF);
  unsigned eeprom_writes = 0;
  bool eeprom_busy = false;
  std::function<uint8_t(uint8_t)> spi;               // the chip that is selected, or nothing
  std::function<void(uint8_t, bool)> pin_changed;    // to models
  std::function<bool(uint8_t, const uint8_t*, uint8_t)> i2c;
  void* wiegand = nullptr;
  void* edges = nullptr;
};

// The machine of this test; reset() makes a new one.
Machine& machine();
void reset();

}  // namespace fake
