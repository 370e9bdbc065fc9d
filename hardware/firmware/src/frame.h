// Frames of the line: reading and writing. See ../../PROTOCOL.md, 1.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "flash.h"

namespace primrack {

const uint8_t FRAME_MAX = 62;  // from `~` to before `\n`
const uint8_t ARGS_MAX = 8;
const uint8_t VERB_MAX = 8;

enum class Refusal : uint8_t { none, length, character, shape, crc, number };

// What a frame says. Points into the buffer that was decoded and lives as long as that.
struct Frame {
  uint16_t seq;
  uint8_t args;
  const char* verb;
  const char* arg[ARGS_MAX];
};

// One step of CRC-16/MCRF4XX; begins with 0xFFFF.
uint16_t crc_step(uint16_t crc, uint8_t byte);

// Value of 0-9A-F, -1 for anything else.
int8_t hex_digit(char c);

// Strict decimal: digits only, no leading zero, at most `max` (which is below 100000000).
bool parse_number(const char* text, uint32_t max, uint32_t& value);

// Makes bytes into frames, whatever comes between them.
class Decoder {
 public:
  enum class Item : uint8_t { nothing, frame, refused };

  // On Item::frame, `frame` is filled; it points into this decoder and lives until the next feed.
  Item feed(uint8_t byte, Frame& frame);

  // After Item::refused.
  Refusal reason() const { return reason_; }
  // Is a frame under way? (What is not in a frame is text.)
  bool inside() const { return state_ == State::frame; }
  // Is the rest of a refused line being thrown away?
  bool skipping() const { return state_ == State::skip; }

 private:
  enum class State : uint8_t { text, frame, skip };
  Item refuse(Refusal why, uint8_t byte);

  State state_ = State::text;
  bool cr_ = false;
  uint8_t len_ = 0;
  Refusal reason_ = Refusal::none;
  char buf_[FRAME_MAX] = {};  // without `~`, with a 0 behind
};

// Decodes what lies between `~` and the line's end. `body` gets zeros in the place of spaces; it needs one byte more than `len`.
Refusal decode_body(char* body, uint8_t len, Frame& frame);

// A whole line at once, from `~` to before `\n`: what `Decoder` would say. `scratch` holds FRAME_MAX bytes.
Refusal decode_line(const uint8_t* line, size_t len, char* scratch, Frame& frame);

// Writes one frame to the host, part by part; the caller has seen that there is room for a whole one. Free functions, since a board has one
// line and passing an object to each costs a tenth of the firmware.
namespace put {
void begin(uint16_t seq, FlashText verb);
void number(uint32_t value);
void small(uint16_t value);
void text(const char* ram);
void flash(FlashText words);
void hex(const uint8_t* bytes, uint8_t len);
void base64url(const uint8_t* bytes, uint8_t len);  // len divisible by 3
void end();
}  // namespace put

}  // namespace primrack
