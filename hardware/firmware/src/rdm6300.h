// Frames of RDM6300 and ID-12LA readers (EM4100, 125 kHz): 02, ten hex digits, two of checksum (XOR of the five bytes), 03; the ID-12LA
// puts CR LF before 03. The RDM6300 repeats the frame while a card lies there: told once, until it was quiet for a while.
#pragma once
#include <stdint.h>

namespace primrack {

class Rdm6300 {
 public:
  static const uint8_t UID_LEN = 5;
  static const uint16_t GONE_MS = 600;

  // Call it in each pass: forgets a card that has gone.
  void poll(uint16_t now) {
    if (any_ && static_cast<uint16_t>(now - seen_) >= GONE_MS) any_ = false;
  }
  // True: a new card, see uid().
  bool feed(uint16_t now, uint8_t byte);
  const uint8_t* uid() const { return uid_; }

 private:
  bool inside_ = false;  // of a frame
  uint8_t at_ = 0;       // digits read
  bool any_ = false;
  uint16_t seen_ = 0;
  uint8_t bytes_[UID_LEN + 1] = {};
  uint8_t uid_[UID_LEN] = {};
};

}  // namespace primrack
