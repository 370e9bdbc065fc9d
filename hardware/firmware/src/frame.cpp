#include "frame.h"

#include "hal.h"

namespace primrack {

uint16_t crc_step(uint16_t crc, uint8_t byte) {
  byte ^= static_cast<uint8_t>(crc);
  byte ^= static_cast<uint8_t>(byte << 4);
  return static_cast<uint16_t>(((static_cast<uint16_t>(byte) << 8) | (crc >> 8)) ^ (byte >> 4) ^ (static_cast<uint16_t>(byte) << 3));
}

bool parse_number(const char* text, uint32_t max, uint32_t& value) {
  if (text[0] == '0' && text[1] != 0) return false;
  uint32_t v = 0;
  uint8_t digits = 0;
  for (; *text != 0; ++text, ++digits) {
    if (*text < '0' || *text > '9' || digits == 8) return false;
    v = v * 10 + static_cast<uint8_t>(*text - '0');
  }
  if (digits == 0 || v > max) return false;
  value = v;
  return true;
}

int8_t hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<int8_t>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<int8_t>(c - 'A' + 10);
  return -1;
}

Refusal decode_body(char* body, uint8_t len, Frame& frame) {
  if (len < 6 || body[len - 5] != '*') return Refusal::shape;
  const uint8_t end = static_cast<uint8_t>(len - 5);
  uint16_t crc = 0xFFFF;
  for (uint8_t i = 0; i < end; ++i) {
    if (body[i] == '*') return Refusal::shape;
    crc = crc_step(crc, static_cast<uint8_t>(body[i]));
  }
  for (uint8_t i = static_cast<uint8_t>(end + 1); i < len; ++i)
    if (body[i] == '*') return Refusal::shape;
  uint16_t told = 0;
  for (uint8_t i = static_cast<uint8_t>(end + 1); i < len; ++i) {
    const int8_t digit = hex_digit(body[i]);
    if (digit < 0) return Refusal::crc;
    told = static_cast<uint16_t>(told << 4 | static_cast<uint8_t>(digit));
  }
  if (told != crc) return Refusal::crc;
  body[end] = 0;

  uint8_t i = 0;
  while (i < end && body[i] != ' ') ++i;
  if (i == end) return Refusal::shape;
  body[i++] = 0;
  uint32_t seq;
  if (!parse_number(body, 65535, seq)) return Refusal::number;
  frame.seq = static_cast<uint16_t>(seq);

  frame.verb = body + i;
  const uint8_t verb_at = i;
  while (i < end && body[i] != ' ') {
    if (body[i] < 'a' || body[i] > 'z') return Refusal::shape;
    ++i;
  }
  if (i == verb_at || i - verb_at > VERB_MAX) return Refusal::shape;
  frame.args = 0;
  while (i < end) {
    body[i++] = 0;  // the space before the argument
    if (i == end || body[i] == ' ' || frame.args == ARGS_MAX) return Refusal::shape;
    frame.arg[frame.args++] = body + i;
    while (i < end && body[i] != ' ') ++i;
  }
  return Refusal::none;
}

static Refusal refusal_of(uint8_t byte, uint8_t bytes_before) {
  if (bytes_before >= FRAME_MAX) return Refusal::length;
  if (byte < 0x20 || byte > 0x7D) return Refusal::character;
  return Refusal::none;
}

Refusal decode_line(const uint8_t* line, size_t len, char* scratch, Frame& frame) {
  if (len > 0 && line[len - 1] == '\r') --len;
  if (len == 0 || line[0] != '~') return Refusal::shape;
  for (size_t i = 1; i < len; ++i) {
    const Refusal why = refusal_of(line[i], i > FRAME_MAX ? FRAME_MAX : static_cast<uint8_t>(i));
    if (why != Refusal::none) return why;
    scratch[i - 1] = static_cast<char>(line[i]);
  }
  return decode_body(scratch, static_cast<uint8_t>(len - 1), frame);
}

Decoder::Item Decoder::refuse(Refusal why, uint8_t byte) {
  reason_ = why;
  len_ = 0;
  cr_ = false;
  state_ = byte == '~' ? State::frame : byte == '\n' ? State::text : State::skip;
  return Item::refused;
}

Decoder::Item Decoder::feed(uint8_t byte, Frame& frame) {
  if (state_ != State::frame) {
    if (byte == '~') {
      state_ = State::frame;
      len_ = 0;
      cr_ = false;
    } else if (byte == '\n') {
      state_ = State::text;
    }
    return Item::nothing;
  }
  const uint8_t have = static_cast<uint8_t>(len_ + 1);  // with `~`
  if (byte == '\n') {
    const Refusal why = decode_body(buf_, len_, frame);
    if (why != Refusal::none) return refuse(why, byte);
    state_ = State::text;
    return Item::frame;
  }
  if (cr_) return refuse(refusal_of('\r', have), byte);  // a `\r` that no `\n` followed
  if (byte == '\r') {
    cr_ = true;
    return Item::nothing;
  }
  const Refusal why = refusal_of(byte, have);
  if (why != Refusal::none) return refuse(why, byte);
  buf_[len_++] = static_cast<char>(byte);
  return Item::nothing;
}

namespace put {

static uint16_t crc;

static void one(char c) {
  crc = crc_step(crc, static_cast<uint8_t>(c));
  hal::uart_write(static_cast<uint8_t>(c));
}

static void digits(uint32_t value) {
  char reversed[10];
  uint8_t n = 0;
  do {
    reversed[n++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (n > 0) one(reversed[--n]);
}

static void two_hex(uint8_t byte) {
  for (uint8_t i = 0; i < 2; ++i) {
    const uint8_t nibble = byte >> 4;
    one(static_cast<char>(nibble < 10 ? '0' + nibble : 'A' + nibble - 10));
    byte = static_cast<uint8_t>(byte << 4);
  }
}

void begin(uint16_t seq, FlashText verb) {
  hal::uart_write('~');
  crc = 0xFFFF;
  digits(seq);
  flash(verb);
}

void number(uint32_t value) {
  one(' ');
  digits(value);
}

void small(uint16_t value) { number(value); }

void text(const char* ram) {
  one(' ');
  while (*ram != 0) one(*ram++);
}

void flash(FlashText words) {
  one(' ');
  for (char c; (c = flash_char(words)) != 0; ++words) one(c);
}

void hex(const uint8_t* bytes, uint8_t len) {
  one(' ');
  while (len-- > 0) two_hex(*bytes++);
}

static char base64url_of(uint8_t v) {
  if (v < 26) return static_cast<char>('A' + v);
  if (v < 52) return static_cast<char>('a' + v - 26);
  if (v < 62) return static_cast<char>('0' + v - 52);
  return v == 62 ? '-' : '_';
}

void base64url(const uint8_t* bytes, uint8_t len) {
  one(' ');
  uint8_t rest = 0, bits = 0;  // 6 bits a character, the rest waits
  while (len-- > 0) {
    const uint8_t b = *bytes++;
    bits = static_cast<uint8_t>(bits + 2);
    one(base64url_of(static_cast<uint8_t>((rest | b >> bits) & 63)));
    rest = static_cast<uint8_t>(b << (6 - bits));
    if (bits == 6) {
      one(base64url_of(rest & 63));
      rest = bits = 0;
    }
  }
}

void end() {
  const uint16_t c = crc;
  hal::uart_write('*');
  two_hex(static_cast<uint8_t>(c >> 8));
  two_hex(static_cast<uint8_t>(c));
  hal::uart_write('\n');
}

}  // namespace put
}  // namespace primrack
