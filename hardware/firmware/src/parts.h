// What the session asks of the parts of this very board. The gateway makes these from the board's file, a test as it likes.
#pragma once
#include <stdint.h>

#include "flash.h"

namespace primrack {
namespace parts {

// Puts output i to this value; false if the output knows no such value (then nothing has changed).
bool set(uint8_t output, uint32_t value);
// What output i takes when nobody commands it.
uint32_t safe_value(uint8_t output);
// Shows one row of 16 characters; false if output i has no such row.
bool show(uint8_t output, uint8_t row, const char* text16);
// Kind and name of a part, counted through readers, buttons, analogue inputs, outputs.
FlashText kind(uint8_t part);
FlashText name(uint8_t part);

}  // namespace parts
}  // namespace primrack
