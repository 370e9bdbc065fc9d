// Finds the NTAG 424 DNA SUN message in the bytes of an NDEF record, whatever the names of its parameters are: the first
// value of exactly 32 hex digits is the encrypted PICCData, the last value of exactly 16 after it the CMAC. (NXP's own templates write
// picc_data= and cmac=, others e= and c=.) A URL with encrypted file data in 32 digits is fine, since the first is taken.
#pragma once
#include <stdint.h>

#include "event.h"

namespace primrack {

class SunFinder {
 public:
  void begin();
  void feed(uint8_t byte);
  // Ends the last value; true if both were there. Then message() holds 24 bytes.
  bool end();
  const uint8_t* message() const { return out_; }

 private:
  void value_ended();
  uint8_t out_[SUN_LEN] = {};
  uint8_t digits_ = 0;  // of the value under way; 255 = this is no value, or one with other characters
  bool picc_ = false, cmac_ = false;
};

}  // namespace primrack
