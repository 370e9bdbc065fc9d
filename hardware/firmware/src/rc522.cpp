#include "rc522.h"

#include <string.h>

#include "flash.h"
#include "hal.h"

namespace primrack {

// Registers of the MFRC522 (data sheet, 9.3).
enum : uint8_t {
  COMMAND = 0x01, COM_IRQ = 0x04, ERROR = 0x06, FIFO_DATA = 0x09, FIFO_LEVEL = 0x0A, CONTROL = 0x0C, BIT_FRAMING = 0x0D, COLL = 0x0E,
  MODE = 0x11, TX_MODE = 0x12, RX_MODE = 0x13, TX_CONTROL = 0x14, TX_ASK = 0x15, MOD_WIDTH = 0x24, T_MODE = 0x2A, T_PRESCALER = 0x2B,
  T_RELOAD_H = 0x2C, T_RELOAD_L = 0x2D, VERSION = 0x37
};
enum : uint8_t { CMD_IDLE = 0x00, CMD_TRANSCEIVE = 0x0C };
enum : uint8_t { IRQ_TIMER = 0x01, IRQ_IDLE = 0x10, IRQ_RX = 0x20 };
enum : uint8_t { ERR_PROTOCOL = 0x01, ERR_PARITY = 0x02, ERR_COLL = 0x08, ERR_OVERFLOW = 0x10 };

// What the chip is set to, and what the self-check compares. The timer counts 25 us: 13.56 MHz / (2 * 169 + 1).
static const uint8_t SETTINGS[][2] PRIMRACK_IN_FLASH = {
    {TX_MODE, 0x00}, {RX_MODE, 0x00}, {MOD_WIDTH, 0x26}, {T_MODE, 0x80}, {T_PRESCALER, 169}, {TX_ASK, 0x40}, {MODE, 0x3D}};
static const uint8_t SETTINGS_LEN = sizeof SETTINGS / sizeof SETTINGS[0];

static const uint16_t T_ANSWER = 60;     // 1.5 ms: request, anticollision, select answer within 0.1 ms
static const uint16_t T_READ = 240;      // 6 ms: Type 2 READ, at most 5 ms
static const uint16_t T_BLOCK = 6000;    // 150 ms: ISO 14443-4, above any waiting time that NTAG 424 asks for
static const uint16_t WAKE_LEAST_MS = 1, WAKE_MOST_MS = 60, DEAF_RETRY_MS = 250, CHIP_GRACE_MS = 20;
static const uint8_t FIFO = 64;
static const uint8_t CASCADE_TAG = 0x88;
static const uint8_t ROUNDS_AWAY = 5;    // rounds without a card before it counts as taken away
static const uint8_t CHUNK = 24;         // of the NDEF file; with PCB, status word and CRC below 32
static const uint16_t NDEF_MAX = 480;    // longer files hold no SUN URL
static const uint8_t GRANTS_MOST = 10;
static const uint8_t SUN_LEAST = 48;     // shorter ones neither

static uint16_t crc_a(const uint8_t* data, uint8_t len) {
  uint16_t crc = 0x6363;
  while (len-- > 0) {
    uint8_t b = static_cast<uint8_t>(*data++ ^ static_cast<uint8_t>(crc));
    b ^= static_cast<uint8_t>(b << 4);
    crc = static_cast<uint16_t>((crc >> 8) ^ static_cast<uint16_t>(b << 8) ^ static_cast<uint16_t>(b << 3) ^ (b >> 4));
  }
  return crc;
}

uint8_t Rc522::get(uint8_t reg) {
  hal::pin_write(select_, false);
  hal::spi(static_cast<uint8_t>(0x80 | reg << 1));
  const uint8_t value = hal::spi(0);
  hal::pin_write(select_, true);
  return value;
}

void Rc522::put(uint8_t reg, uint8_t value) {
  hal::pin_write(select_, false);
  hal::spi(static_cast<uint8_t>(reg << 1));
  hal::spi(value);
  hal::pin_write(select_, true);
}

void Rc522::configure() {
  for (uint8_t i = 0; i < SETTINGS_LEN; ++i) put(flash_byte(&SETTINGS[i][0]), flash_byte(&SETTINGS[i][1]));
  put(COLL, 0x00);                                       // bits after a collision read as 0
  put(TX_CONTROL, static_cast<uint8_t>(get(TX_CONTROL) | 3));  // antenna on
}

// Version known, antenna on, settings as they were made?
bool Rc522::configured() {
  const uint8_t version = get(VERSION);
  if (version == 0x00 || version == 0xFF) return false;
  if ((get(TX_CONTROL) & 3) != 3) return false;
  for (uint8_t i = 0; i < SETTINGS_LEN; ++i)
    if (get(flash_byte(&SETTINGS[i][0])) != flash_byte(&SETTINGS[i][1])) return false;
  return true;
}

void Rc522::begin(uint16_t now, uint8_t select_pin, uint8_t reset_pin) {
  select_ = select_pin;
  reset_ = reset_pin;
  hal::pin_output(select_, true);
  hal::pin_output(reset_, false);
  reset(now);
}

void Rc522::reset(uint16_t now) {
  hal::pin_write(reset_, false);
  state_ = State::low;
  since_ = now;
}

// The chip does not do what it must: reset it, and tell that it was mended or is deaf.
Rc522::Event Rc522::broken(uint16_t now) {
  heal_ = true;
  reset(now);
  return Event::nothing;
}

Rc522::Event Rc522::poll(uint16_t now) {
  const uint16_t passed = static_cast<uint16_t>(now - since_);
  switch (state_) {
    case State::low:
      if (passed >= (was_deaf_ ? DEAF_RETRY_MS : 1)) {
        hal::pin_write(reset_, true);
        state_ = State::waking;
        since_ = now;
      }
      return Event::nothing;

    case State::waking: {
      if (passed < WAKE_LEAST_MS) return Event::nothing;
      if ((get(COMMAND) & 0x10) == 0) {  // the oscillator runs
        configure();
        if (configured()) {
          const bool tell = heal_ || was_deaf_;
          heal_ = was_deaf_ = false;
          state_ = State::idle;
          since_ = round_at_ = check_at_ = card_at_ = now;
          return tell ? Event::healed : Event::nothing;
        }
      }
      if (passed < WAKE_MOST_MS) return Event::nothing;
      const bool tell = !was_deaf_;
      was_deaf_ = true;
      heal_ = false;
      reset(now);
      return tell ? Event::deaf : Event::nothing;
    }

    case State::idle:
      if (static_cast<uint16_t>(now - check_at_) >= CHECK_MS) {
        check_at_ = now;
        if (!configured()) return broken(now);
      } else if (static_cast<uint16_t>(now - round_at_) >= ROUND_MS) {
        round_at_ = now;
        if (static_cast<uint16_t>(now - card_at_) >= REFRESH_MS) {
          reset(now);
          return Event::nothing;
        }
        cards_ = 0;
        request(now, 0x52);  // WUPA: also cards that lie there halted
      }
      return Event::nothing;

    case State::asking: {
      const uint8_t irq = get(COM_IRQ);
      if (irq & (IRQ_RX | IRQ_IDLE)) {
        uint8_t n = get(FIFO_LEVEL);
        if (n > FIFO) return broken(now);
        error_ = get(ERROR);
        if (n > FRAME) {
          n = 0;
          error_ |= ERR_OVERFLOW;
        }
        last_bits_ = get(CONTROL) & 7;
        len_ = n;
        if (n > 0) {
          hal::pin_write(select_, false);
          hal::spi(0x80 | FIFO_DATA << 1);
          for (uint8_t i = 0; i < n; ++i) buf_[i] = hal::spi(i + 1 < n ? 0x80 | FIFO_DATA << 1 : 0);
          hal::pin_write(select_, true);
        }
        return answered(now);
      }
      if (irq & IRQ_TIMER) {
        len_ = last_bits_ = error_ = 0;
        return answered(now);
      }
      if (passed >= limit_ms_) return broken(now);
      return Event::nothing;
    }
  }
  return Event::nothing;
}

// Sends len bytes of buf_ (the last with only last_bits bits, 0 = all) and goes to wait for the answer.
void Rc522::ask(uint16_t now, Step step, uint8_t len, uint8_t last_bits, uint16_t timeout) {
  put(COMMAND, CMD_IDLE);
  put(COM_IRQ, 0x7F);
  put(FIFO_LEVEL, 0x80);
  put(T_RELOAD_H, static_cast<uint8_t>(timeout >> 8));
  put(T_RELOAD_L, static_cast<uint8_t>(timeout));
  hal::pin_write(select_, false);
  hal::spi(FIFO_DATA << 1);
  for (uint8_t i = 0; i < len; ++i) hal::spi(buf_[i]);
  hal::pin_write(select_, true);
  // Only in anticollision does the answer go on in the middle of a byte.
  const uint8_t framing = static_cast<uint8_t>(step == Step::collide ? last_bits << 4 | last_bits : last_bits);
  put(BIT_FRAMING, framing);
  put(COMMAND, CMD_TRANSCEIVE);
  put(BIT_FRAMING, static_cast<uint8_t>(0x80 | framing));
  limit_ms_ = static_cast<uint16_t>(timeout / 40 + CHIP_GRACE_MS);
  step_ = step;
  state_ = State::asking;
  since_ = now;
}

void Rc522::ask_crc(uint16_t now, Step step, uint8_t len, uint16_t timeout) {
  const uint16_t crc = crc_a(buf_, len);
  buf_[len] = static_cast<uint8_t>(crc);
  buf_[len + 1] = static_cast<uint8_t>(crc >> 8);
  ask(now, step, static_cast<uint8_t>(len + 2), 0, timeout);
}

bool Rc522::reply_crc_ok() const {
  if (len_ < 3 || error_ != 0 || last_bits_ != 0) return false;
  const uint16_t crc = crc_a(buf_, static_cast<uint8_t>(len_ - 2));
  return buf_[len_ - 2] == static_cast<uint8_t>(crc) && buf_[len_ - 1] == static_cast<uint8_t>(crc >> 8);
}

// REQA and WUPA are short frames of 7 bits.
void Rc522::request(uint16_t now, uint8_t command) {
  buf_[0] = command;
  level_ = known_ = 0;
  uid_len_ = 0;
  memset(cl_, 0, sizeof cl_);
  ask(now, Step::wake, 1, 7, T_ANSWER);
}

// Asks for the rest of this level's UID after the bits that are known.
void Rc522::anticollide(uint16_t now) {
  const uint8_t bytes = known_ / 8, bits = known_ % 8;
  buf_[0] = static_cast<uint8_t>(0x93 + 2 * level_);
  buf_[1] = static_cast<uint8_t>((2 + bytes) << 4 | bits);
  const uint8_t sent = static_cast<uint8_t>(bytes + (bits != 0));
  memcpy(buf_ + 2, cl_, sent);
  ask(now, Step::collide, static_cast<uint8_t>(2 + sent), bits, T_ANSWER);
}

Rc522::Event Rc522::collided(uint16_t now) {
  const uint8_t bytes = known_ / 8, bits = known_ % 8;
  if (len_ == 0 || len_ > 5 - bytes || (error_ & (ERR_PROTOCOL | ERR_PARITY | ERR_OVERFLOW) && !(error_ & ERR_COLL))) {
    end_round(now);
    return Event::nothing;
  }
  const uint8_t mask = static_cast<uint8_t>(0xFF << bits);  // the answer's first byte is aligned behind what is known
  for (uint8_t i = 0; i < len_; ++i)
    cl_[bytes + i] = i == 0 ? static_cast<uint8_t>((cl_[bytes] & ~mask) | (buf_[0] & mask)) : buf_[i];
  if (error_ & ERR_COLL) {
    const uint8_t coll = get(COLL);
    uint8_t at = coll & 0x1F;
    if (at == 0) at = 32;
    if (coll & 0x20 || at <= known_) {
      end_round(now);
      return Event::nothing;
    }
    known_ = at;  // of the two, go on with the one that has a 1 there
    const uint8_t last = static_cast<uint8_t>(at - 1);
    cl_[last / 8] = static_cast<uint8_t>((cl_[last / 8] & ((1 << last % 8) - 1)) | 1 << last % 8);
    for (uint8_t i = static_cast<uint8_t>(last / 8 + 1); i < 5; ++i) cl_[i] = 0;
    anticollide(now);
    return Event::nothing;
  }
  if (bytes + len_ != 5 || (cl_[0] ^ cl_[1] ^ cl_[2] ^ cl_[3]) != cl_[4]) {
    end_round(now);
    return Event::nothing;
  }
  buf_[0] = static_cast<uint8_t>(0x93 + 2 * level_);
  buf_[1] = 0x70;
  memcpy(buf_ + 2, cl_, 5);
  ask_crc(now, Step::select, 7, T_ANSWER);
  return Event::nothing;
}

Rc522::Event Rc522::next_level(uint16_t now) {
  if (!reply_crc_ok() || len_ != 3) {
    end_round(now);
    return Event::nothing;
  }
  const uint8_t sak = buf_[0];
  if (sak & 0x04) {  // the UID goes on
    if (cl_[0] != CASCADE_TAG || level_ == 2) {
      end_round(now);
      return Event::nothing;
    }
    memcpy(uid_ + uid_len_, cl_ + 1, 3);
    uid_len_ = static_cast<uint8_t>(uid_len_ + 3);
    ++level_;
    known_ = 0;
    memset(cl_, 0, sizeof cl_);
    anticollide(now);
    return Event::nothing;
  }
  memcpy(uid_ + uid_len_, cl_, 4);
  uid_len_ = static_cast<uint8_t>(uid_len_ + 4);
  return known_or_new(now, sak);
}

uint32_t Rc522::hash() const {
  uint32_t h = 2166136261u;  // FNV-1a
  for (uint8_t i = 0; i < uid_len_; ++i) h = (h ^ uid_[i]) * 16777619u;
  return h;
}

// The whole UID is known: has this card been lying here?
Rc522::Event Rc522::known_or_new(uint16_t now, uint8_t sak) {
  ++cards_;
  card_at_ = now;
  const uint32_t h = hash();
  for (uint8_t i = 0; i < PRESENT_MAX; ++i) {
    if (present_[i].rounds != 0 && present_[i].hash == h) {
      present_[i].rounds = ROUNDS_AWAY;
      halt(now);
      return Event::nothing;
    }
  }
  const bool given_up = failures_ >= 2 && failed_hash_ == h;
  if (sak & 0x20 && !given_up) {
    page_ = 0;
    buf_[0] = 0xE0;
    buf_[1] = 0x20;  // frames of 32 bytes, card number 0
    ask_crc(now, Step::rats, 2, T_BLOCK);
    return Event::nothing;
  }
  if (sak == 0x00 && !given_up) {
    page_ = 4;
    end_ = 0;
    finder_.begin();
    buf_[0] = 0x30;
    buf_[1] = page_;
    ask_crc(now, Step::page, 2, T_READ);
    return Event::nothing;
  }
  const Event e = report(false);
  halt(now);
  return e;
}

// Tells a new card once and remembers that it lies here.
Rc522::Event Rc522::report(bool with_sun) {
  uint8_t place = 0;
  for (uint8_t i = 1; i < PRESENT_MAX; ++i)
    if (present_[i].rounds < present_[place].rounds) place = i;
  present_[place].hash = hash();
  present_[place].rounds = ROUNDS_AWAY;
  failures_ = 0;
  return with_sun ? Event::sun : Event::tag;
}

void Rc522::halt(uint16_t now) {
  buf_[0] = 0x50;
  buf_[1] = 0x00;
  ask_crc(now, Step::halt, 2, 40);  // silence for 1 ms is a yes
}

void Rc522::deselect(uint16_t now) {
  buf_[0] = 0xC2;
  ask_crc(now, Step::bye, 1, 400);
}

void Rc522::end_round(uint16_t now) {
  state_ = State::idle;
  since_ = now;
  for (uint8_t i = 0; i < PRESENT_MAX; ++i)
    if (present_[i].rounds != 0) --present_[i].rounds;
}

// One I-block with the len bytes from buf_ + 1 on.
void Rc522::block(uint16_t now, Step step, uint8_t len) {
  buf_[0] = static_cast<uint8_t>(0x02 | pcb_);
  ask_crc(now, step, static_cast<uint8_t>(len + 1), T_BLOCK);
}

static const uint8_t SELECT_APP[] PRIMRACK_IN_FLASH = {0x00, 0xA4, 0x04, 0x00, 0x07, 0xD2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x01, 0x00};
static const uint8_t SELECT_FILE[] PRIMRACK_IN_FLASH = {0x00, 0xA4, 0x00, 0x0C, 0x02, 0xE1, 0x04};

static void copy_flash(uint8_t* to, const uint8_t* flash, uint8_t len) {
  while (len-- > 0) *to++ = flash_byte(flash++);
}

void Rc522::read_file(uint16_t now) {
  const uint16_t rest = static_cast<uint16_t>(end_ - at_);
  buf_[1] = 0x00;
  buf_[2] = 0xB0;
  buf_[3] = static_cast<uint8_t>(at_ >> 8);
  buf_[4] = static_cast<uint8_t>(at_);
  buf_[5] = rest < CHUNK ? static_cast<uint8_t>(rest) : CHUNK;
  block(now, Step::read, 5);
}

Rc522::Event Rc522::answered(uint16_t now) {
  switch (step_) {
    case Step::wake:
      if (len_ == 0 && !(error_ & ERR_COLL)) {
        end_round(now);
      } else {
        anticollide(now);  // several cards may answer differently: that does not matter yet
      }
      return Event::nothing;
    case Step::collide: return collided(now);
    case Step::select: return next_level(now);

    case Step::halt:
    case Step::bye:
      if (cards_ < PRESENT_MAX) {
        request(now, 0x26);  // REQA: another card that was not heard yet?
      } else {
        end_round(now);
      }
      return Event::nothing;

    case Step::page: {  // Type 2: 16 bytes = 4 pages; the NDEF message begins in page 4
      if (!reply_crc_ok() || len_ != 18) {
        // A card that cannot be read so (or was taken away) is a UID and no more.
        const Event e = report(false);
        end_round(now);
        return e;
      }
      bool more = true;
      if (page_ == 4) {  // a message long enough? A lock control TLV may stand before it
        const uint8_t ndef = buf_[0] == 0x01 && buf_[1] < 12 ? static_cast<uint8_t>(2 + buf_[1]) : 0;
        more = buf_[ndef] == 0x03 && buf_[ndef + 1] >= SUN_LEAST;
      }
      for (uint8_t i = 0; i < 16; ++i) finder_.feed(buf_[i]);
      page_ = static_cast<uint8_t>(page_ + 4);
      if (page_ > 4 + 48) more = false;
      bool ended = false;
      if (page_ > 8)
        for (uint8_t i = 0; i < 16; ++i) ended = ended || buf_[i] == 0xFE;
      if (more && !ended) {
        buf_[0] = 0x30;
        buf_[1] = page_;
        ask_crc(now, Step::page, 2, T_READ);
        return Event::nothing;
      }
      const Event e = report(finder_.end());
      halt(now);
      return e;
    }
    default: break;
  }

  // ISO 14443-4. A card that breaks off is asked again in the next rounds, then taken for what its UID says.
  if (step_ == Step::rats) {
    if (!reply_crc_ok()) goto lost;
    pcb_ = 0;
    copy_flash(buf_ + 1, SELECT_APP, sizeof SELECT_APP);
    block(now, Step::app, sizeof SELECT_APP);
    return Event::nothing;
  }
  if (!reply_crc_ok()) goto lost;
  if ((buf_[0] & 0xF7) == 0xF2 && len_ == 4) {  // the card asks for more time: grant it, but not for ever
    if (++page_ > GRANTS_MOST) goto lost;
    buf_[1] &= 0x3F;
    ask_crc(now, step_, 2, T_BLOCK);
    return Event::nothing;
  }
  if (buf_[0] != (0x02 | pcb_) || len_ < 5) goto lost;
  pcb_ ^= 1;
  {
    const uint8_t data = static_cast<uint8_t>(len_ - 5);  // without PCB, status word, CRC
    const bool fine = buf_[len_ - 4] == 0x90 && buf_[len_ - 3] == 0x00;
    const uint8_t* in = buf_ + 1;
    if (step_ == Step::app && fine) {
      copy_flash(buf_ + 1, SELECT_FILE, sizeof SELECT_FILE);
      block(now, Step::file, sizeof SELECT_FILE);
      return Event::nothing;
    }
    if (step_ == Step::file && fine) {
      at_ = 0;
      end_ = 2;
      read_file(now);
      step_ = Step::length;
      return Event::nothing;
    }
    if (step_ == Step::length && fine && data == 2) {
      const uint16_t length = static_cast<uint16_t>(in[0] << 8 | in[1]);
      if (length >= SUN_LEAST && length <= NDEF_MAX) {
        at_ = 2;
        end_ = static_cast<uint16_t>(2 + length);
        finder_.begin();
        read_file(now);
        return Event::nothing;
      }
    }
    if (step_ == Step::read && fine && data > 0) {
      for (uint8_t i = 0; i < data; ++i) finder_.feed(in[i]);
      at_ = static_cast<uint16_t>(at_ + data);
      if (at_ < end_) {
        read_file(now);
        return Event::nothing;
      }
      const Event e = report(finder_.end());
      deselect(now);
      return e;
    }
  }
  {  // no NDEF here: a card of Type 4 that is only its UID
    const Event e = report(false);
    deselect(now);
    return e;
  }

lost: {
  const uint32_t h = hash();
  failures_ = failed_hash_ == h ? static_cast<uint8_t>(failures_ + 1) : 1;
  failed_hash_ = h;
  end_round(now);
  return Event::nothing;
}
}

}  // namespace primrack
