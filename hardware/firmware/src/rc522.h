// The MFRC522 on SPI: cards of ISO 14443A with UIDs of 4, 7 and 10 bytes, several at once, SUN messages of NTAG 424 DNA (ISO 14443-4, Type 4)
// and of NDEF on Type 2 tags, and a reader that checks and mends itself.
//
//   low ─▶ waking ─▶ idle ─▶ (one question to chip or card at a time) ─▶ idle
//    ▲                 │ wrong registers, no answer from the chip, or 30 s without a card
//    └─────────────────┘
//
// poll() never waits: it starts a question or looks whether an answer is there. CRC_A is computed here, which saves the chip's own round.
#pragma once
#include <stdint.h>

#include "sun.h"

namespace primrack {

class Rc522 {
 public:
  enum class Event : uint8_t { nothing, tag, sun, healed, deaf };
  static const uint16_t ROUND_MS = 40;      // from one look for cards to the next
  static const uint16_t CHECK_MS = 500;     // from one look at the chip's registers to the next
  static const uint16_t REFRESH_MS = 30000; // without a card: reset anyway. Chips go deaf with all registers right (miguelbalboa/rfid #540)
  static const uint8_t PRESENT_MAX = 3;

  void begin(uint16_t now, uint8_t select_pin, uint8_t reset_pin);
  Event poll(uint16_t now);

  // After Event::tag, until the next poll.
  const uint8_t* uid() const { return uid_; }
  uint8_t uid_len() const { return uid_len_; }
  // After Event::sun.
  const uint8_t* sun() const { return finder_.message(); }

 private:
  enum class State : uint8_t { low, waking, idle, asking };
  enum class Step : uint8_t { wake, collide, select, rats, app, file, length, read, bye, page, halt };
  struct Present {
    uint32_t hash = 0;
    uint8_t rounds = 0;  // that it may still be missed before it counts as taken away; 0 = free
  };
  static const uint8_t FRAME = 32;  // RATS tells the card so

  uint8_t get(uint8_t reg);
  void put(uint8_t reg, uint8_t value);
  bool configured();
  void configure();
  void reset(uint16_t now);
  Event broken(uint16_t now);
  void ask(uint16_t now, Step step, uint8_t len, uint8_t last_bits, uint16_t timeout_25us);
  void ask_crc(uint16_t now, Step step, uint8_t len, uint16_t timeout_25us);
  Event answered(uint16_t now);
  Event next_level(uint16_t now);
  Event collided(uint16_t now);
  void request(uint16_t now, uint8_t command);
  void anticollide(uint16_t now);
  void block(uint16_t now, Step step, uint8_t len);
  void read_file(uint16_t now);
  bool reply_crc_ok() const;
  Event known_or_new(uint16_t now, uint8_t sak);
  Event report(bool with_sun);
  void halt(uint16_t now);
  void deselect(uint16_t now);
  void end_round(uint16_t now);
  uint32_t hash() const;

  uint8_t select_ = 0, reset_ = 0;
  State state_ = State::low;
  Step step_ = Step::wake;
  bool was_deaf_ = false;     // told the host so, or about to
  bool heal_ = false;         // this reset mends something
  uint16_t since_ = 0;        // of the state
  uint16_t round_at_ = 0, check_at_ = 0, card_at_ = 0;
  uint16_t limit_ms_ = 0;     // after this the chip itself is dead
  uint8_t buf_[FRAME] = {};        // question, then answer
  uint8_t len_ = 0;           // of the answer
  uint8_t last_bits_ = 0;     // valid bits in its last byte, 0 = all
  uint8_t error_ = 0;         // ErrorReg
  uint8_t level_ = 0, known_ = 0;  // of anticollision: cascade level, bits known
  uint8_t cl_[5] = {};             // UID part of this level with its check byte
  uint8_t uid_[10] = {};
  uint8_t uid_len_ = 0;
  uint8_t cards_ = 0;         // seen in this round
  uint8_t pcb_ = 0;           // block number of ISO 14443-4
  uint16_t at_ = 0, end_ = 0; // in the NDEF file
  uint8_t page_ = 0;          // of a Type 2 tag; with ISO 14443-4: how often more time was granted
  uint32_t failed_hash_ = 0;  // a card whose SUN message could not be read
  uint8_t failures_ = 0;
  SunFinder finder_;
  Present present_[PRESENT_MAX] = {};
};

}  // namespace primrack
