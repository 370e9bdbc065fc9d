// Puts a board together from its file in boards/. Include it once, in the sketch, after the board's file.
#pragma once

#include "board.h"
#include "edge_uart.h"
#include "hal.h"
#include "inputs.h"
#include "lcd.h"
#include "outputs.h"
#include "parts.h"
#include "rc522.h"
#include "rdm6300.h"
#include "wiegand.h"

#ifndef PRIMRACK_FIRMWARE
#define PRIMRACK_FIRMWARE "gw-1.0.0"
#endif
#ifndef PRIMRACK_RECEIVE_BUFFER
#define PRIMRACK_RECEIVE_BUFFER 127
#endif

namespace primrack {
namespace gateway {

// ---------------------------------------------------------------- parts as the board's file names them

class Rc522Reader {
 public:
  void begin(uint16_t now, uint8_t select, uint8_t reset) { chip_.begin(now, select, reset); }
  void poll(Board& board, uint8_t index, uint16_t now) {
    switch (chip_.poll(now)) {
      case Rc522::Event::tag: board.tag(index, chip_.uid(), chip_.uid_len()); break;
      case Rc522::Event::sun: board.sun(index, chip_.sun()); break;
      case Rc522::Event::healed: board.health(index, ReaderHealth::healed); break;
      case Rc522::Event::deaf: board.health(index, ReaderHealth::deaf); break;
      case Rc522::Event::nothing: break;
    }
  }

 private:
  Rc522 chip_;
};

class Rdm6300Reader {
 public:
  void begin(uint16_t, uint8_t pin) { hal::watch_edges(pin, &line_); }
  void poll(Board& board, uint8_t index, uint16_t now) {
    const uint8_t held = hal::hold();
    line_.idle(hal::now_us());
    uint8_t byte = 0;
    const bool any = line_.read(byte);
    hal::release(held);
    parser_.poll(now);
    if (any && parser_.feed(now, byte)) board.tag(index, parser_.uid(), Rdm6300::UID_LEN);
  }

 private:
  EdgeUart line_;
  Rdm6300 parser_;
};

// D0 and D1 must be pins 2 and 3.
class WiegandReader {
 public:
  void begin(uint16_t, uint8_t d0, uint8_t d1) { hal::watch_wiegand(d0, d1, &receiver_); }
  void poll(Board& board, uint8_t index, uint16_t) {
    const uint8_t held = hal::hold();
    const bool any = receiver_.poll(hal::now_ms());  // not `now`: a pulse may be younger
    hal::release(held);
    if (any) board.wiegand(index, receiver_.payload(), receiver_.bits());
  }

 private:
  Wiegand receiver_;
};

// Type and word of each kind; the word goes into `is`.
typedef Rc522Reader RC522;
typedef Rdm6300Reader RDM6300;
typedef WiegandReader WIEGAND;
typedef Button BUTTON;
typedef Analog ANALOG;
typedef Relay RELAY;
typedef Lamp LAMP;
typedef Pixels PIXELS;
typedef Lock LOCK;
typedef Buzzer BUZZER;
typedef Lcd<LcdI2c> LCD_I2C;
typedef Lcd<LcdPins> LCD_PINS;
#define PRIMRACK_WORD_RC522 "rc522"
#define PRIMRACK_WORD_RDM6300 "rdm6300"
#define PRIMRACK_WORD_WIEGAND "wiegand"
#define PRIMRACK_WORD_BUTTON "button"
#define PRIMRACK_WORD_ANALOG "analog"
#define PRIMRACK_WORD_RELAY "relay"
#define PRIMRACK_WORD_LAMP "lamp"
#define PRIMRACK_WORD_PIXELS "pixels"
#define PRIMRACK_WORD_LOCK "lock"
#define PRIMRACK_WORD_BUZZER "buzzer"
#define PRIMRACK_WORD_LCD_I2C "lcd"
#define PRIMRACK_WORD_LCD_PINS "lcd"

#define PRIMRACK_OBJECT(kind, name, ...) static kind part_##name;
PRIMRACK_READERS(PRIMRACK_OBJECT)
PRIMRACK_BUTTONS(PRIMRACK_OBJECT)
PRIMRACK_ANALOGS(PRIMRACK_OBJECT)
PRIMRACK_OUTPUTS(PRIMRACK_OBJECT)
#undef PRIMRACK_OBJECT

#define PRIMRACK_INDEX(kind, name, ...) reader_##name,
enum { PRIMRACK_READERS(PRIMRACK_INDEX) READERS };
#undef PRIMRACK_INDEX
#define PRIMRACK_INDEX(kind, name, ...) button_##name,
enum { PRIMRACK_BUTTONS(PRIMRACK_INDEX) BUTTONS };
#undef PRIMRACK_INDEX
#define PRIMRACK_INDEX(kind, name, ...) analog_##name,
enum { PRIMRACK_ANALOGS(PRIMRACK_INDEX) ANALOGS };
#undef PRIMRACK_INDEX
#define PRIMRACK_INDEX(kind, name, ...) output_##name,
enum { PRIMRACK_OUTPUTS(PRIMRACK_INDEX) OUTPUTS };
#undef PRIMRACK_INDEX
static_assert(READERS <= 9 && BUTTONS <= 9 && ANALOGS <= 9 && OUTPUTS <= 9, "the hello has one digit for each count");

// What has no second interrupt, timer or bus: at most one of each on a board.
constexpr bool same_word(const char* a, const char* b) { return *a == *b && (*a == 0 || same_word(a + 1, b + 1)); }
#define PRIMRACK_COUNT(kind, name, ...) +same_word(PRIMRACK_WORD_##kind, PRIMRACK_COUNTED)
#define PRIMRACK_COUNTED "rdm6300"
static_assert(0 PRIMRACK_READERS(PRIMRACK_COUNT) <= 1, "one RDM6300 on a board");
#undef PRIMRACK_COUNTED
#define PRIMRACK_COUNTED "wiegand"
static_assert(0 PRIMRACK_READERS(PRIMRACK_COUNT) <= 1, "one Wiegand reader on a board");
#undef PRIMRACK_COUNTED
#define PRIMRACK_COUNTED "lock"
static_assert(0 PRIMRACK_OUTPUTS(PRIMRACK_COUNT) <= 1, "one servo on a board");
#undef PRIMRACK_COUNTED
#define PRIMRACK_COUNTED "buzzer"
static_assert(0 PRIMRACK_OUTPUTS(PRIMRACK_COUNT) <= 1, "one buzzer on a board");
#undef PRIMRACK_COUNTED
#undef PRIMRACK_COUNT

// No array of length 0 in C++.
static ReaderHealth reader_states[READERS + (READERS == 0)];
static AnalogState analog_states[ANALOGS + (ANALOGS == 0)];
static OutputState output_states[OUTPUTS + (OUTPUTS == 0)];
static Delivery deliveries[OUTPUTS + READERS + ANALOGS + 1];

static const char FIRMWARE[] PRIMRACK_IN_FLASH = PRIMRACK_FIRMWARE;
static const Layout LAYOUT = {FIRMWARE, PRIMRACK_RECEIVE_BUFFER, READERS, BUTTONS, ANALOGS, OUTPUTS, output_states, reader_states, analog_states, deliveries};
static Board board;

// ---------------------------------------------------------------- start and pass

inline void begin(Cause cause) {
  const uint16_t now = hal::now_ms();
#define PRIMRACK_BEGIN(kind, name, ...) part_##name.begin(__VA_ARGS__);
  PRIMRACK_OUTPUTS(PRIMRACK_BEGIN)  // safe first
  PRIMRACK_BUTTONS(PRIMRACK_BEGIN)
  PRIMRACK_ANALOGS(PRIMRACK_BEGIN)
#undef PRIMRACK_BEGIN
#define PRIMRACK_BEGIN(kind, name, ...) part_##name.begin(now, __VA_ARGS__);
  PRIMRACK_READERS(PRIMRACK_BEGIN)
#undef PRIMRACK_BEGIN
  board.begin(now, LAYOUT, cause);
}

inline void poll() {
  const uint16_t now = hal::now_ms();
  board.poll(now);
#define PRIMRACK_POLL(kind, name, ...) part_##name.poll(board, reader_##name, now);
  PRIMRACK_READERS(PRIMRACK_POLL)
#undef PRIMRACK_POLL
#define PRIMRACK_POLL(kind, name, ...) \
  if (part_##name.poll(now)) board.button(button_##name, part_##name.pressed());
  PRIMRACK_BUTTONS(PRIMRACK_POLL)
#undef PRIMRACK_POLL
#define PRIMRACK_POLL(kind, name, ...) \
  if (part_##name.poll(now)) board.analog(analog_##name, part_##name.value());
  PRIMRACK_ANALOGS(PRIMRACK_POLL)
#undef PRIMRACK_POLL
#define PRIMRACK_POLL(kind, name, ...) part_##name.poll(now);
  PRIMRACK_OUTPUTS(PRIMRACK_POLL)
#undef PRIMRACK_POLL
}

// Only a display has rows.
template <typename Part>
bool show_on(Part&, uint8_t, const char*) {
  return false;
}
template <typename Bus>
bool show_on(Lcd<Bus>& lcd, uint8_t row, const char* text) {
  return lcd.show(row, text);
}

}  // namespace gateway

// ---------------------------------------------------------------- what the session asks of the parts

namespace parts {

bool set(uint8_t output, uint32_t value) {
  switch (output) {
#define PRIMRACK_CASE(kind, name, ...) \
  case gateway::output_##name: return gateway::part_##name.set(value);
    PRIMRACK_OUTPUTS(PRIMRACK_CASE)
#undef PRIMRACK_CASE
    default: return false;
  }
}

uint32_t safe_value(uint8_t output) {
  switch (output) {
#ifdef PRIMRACK_SAFE  // X(name, value) for outputs whose safe value is not 0
#define PRIMRACK_CASE(name, value) \
  case gateway::output_##name: return value;
    PRIMRACK_SAFE(PRIMRACK_CASE)
#undef PRIMRACK_CASE
#endif
    default: return 0;
  }
}

bool show(uint8_t output, uint8_t row, const char* text16) {
  switch (output) {
#define PRIMRACK_CASE(kind, name, ...) \
  case gateway::output_##name: return gateway::show_on(gateway::part_##name, row, text16);
    PRIMRACK_OUTPUTS(PRIMRACK_CASE)
#undef PRIMRACK_CASE
    default: return false;
  }
}

#define PRIMRACK_ALL(X) PRIMRACK_READERS(X) PRIMRACK_BUTTONS(X) PRIMRACK_ANALOGS(X) PRIMRACK_OUTPUTS(X)

#define PRIMRACK_WORD(kind, name, ...) PRIMRACK_WORD_##kind "\0"
FlashText kind(uint8_t part) { return nth_word(PRIMRACK_FLASH(PRIMRACK_ALL(PRIMRACK_WORD)), part); }
#undef PRIMRACK_WORD

#define PRIMRACK_WORD(kind, name, ...) static_assert(sizeof #name <= ID_MAX + 1, "a part's name has at most 12 characters");
PRIMRACK_ALL(PRIMRACK_WORD)
#undef PRIMRACK_WORD
#define PRIMRACK_WORD(kind, name, ...) #name "\0"
FlashText name(uint8_t part) { return nth_word(PRIMRACK_FLASH(PRIMRACK_ALL(PRIMRACK_WORD)), part); }
#undef PRIMRACK_WORD

}  // namespace parts
}  // namespace primrack
