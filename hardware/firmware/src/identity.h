// What the board keeps in its EEPROM: its name, and how often it has started, browned out and been bitten by the watchdog.
//
//   0..12   name, 0 behind it         13     sum over the name
//   16..79  eight records of 8 bytes: starts, brown-outs, watchdog resets, CRC; written in turn, so that wear is shared
//           and a record torn by a brown-out costs one count, not all
#pragma once
#include <stdint.h>

namespace primrack {

const uint8_t ID_MAX = 12;

enum class Cause : uint8_t { por, ext, bod, wdt, sw, unk };

class Identity {
 public:
  // Reads, counts this start, and begins to write the new record.
  void begin(Cause cause);
  // Writes at most one byte; call it in each pass.
  void poll();

  // Takes a new name; false if it is not 1..12 of A-Za-z0-9._- or an earlier one is still being written.
  enum class Naming : uint8_t { taken, invalid, busy };
  Naming rename(const char* name);

  const char* id() const { return id_; }
  uint16_t boot() const { return counts_[0]; }
  uint16_t brown_outs() const { return counts_[1]; }
  uint16_t watchdogs() const { return counts_[2]; }
  Cause cause() const { return cause_; }
  bool writing() const { return record_left_ != 0 || name_left_ != 0; }

 private:
  uint8_t record_byte(uint8_t i) const;
  uint8_t name_byte(uint8_t i) const;
  char id_[ID_MAX + 1] = {};
  uint16_t counts_[3] = {};
  Cause cause_ = Cause::por;
  uint8_t slot_ = 0;
  uint8_t record_left_ = 0;
  uint8_t name_left_ = 0;
};

}  // namespace primrack
