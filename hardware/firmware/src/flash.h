// Strings that stay in flash on an AVR, where every literal would otherwise be copied into RAM at start.
#pragma once
#include <stdint.h>

#ifdef __AVR__
#include <avr/pgmspace.h>
#define PRIMRACK_FLASH(s) PSTR(s)
#define PRIMRACK_IN_FLASH PROGMEM
#else
#define PRIMRACK_FLASH(s) (s)
#define PRIMRACK_IN_FLASH
#endif

namespace primrack {

// Points into flash; read it with flash_char only.
typedef const char* FlashText;

inline char flash_char(FlashText p) {
#ifdef __AVR__
  return static_cast<char>(pgm_read_byte(p));
#else
  return *p;
#endif
}

inline uint8_t flash_byte(const uint8_t* p) { return static_cast<uint8_t>(flash_char(reinterpret_cast<FlashText>(p))); }

// Is this string in RAM the same as that one in flash?
inline bool same(const char* ram, FlashText flash) {
  for (;; ++ram, ++flash) {
    const char c = flash_char(flash);
    if (*ram != c) return false;
    if (c == 0) return true;
  }
}

// Word n of a list in flash: words with a 0 behind each.
inline FlashText nth_word(FlashText list, uint8_t n) {
  for (; n > 0; --n)
    while (flash_char(list++) != 0) {
    }
  return list;
}

}  // namespace primrack
