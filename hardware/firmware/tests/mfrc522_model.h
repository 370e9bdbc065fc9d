// An MFRC522 with cards in its field, for tests on the PC: written from the data sheet and ISO 14443-3/-4, not from the driver.
#pragma once
#include <stdint.h>

#include <string>
#include <vector>

namespace model {

typedef std::vector<uint8_t> Bytes;

inline uint16_t crc_a(const Bytes& d, size_t n) {
  uint32_t c = 0x6363;
  for (size_t i = 0; i < n; ++i) {
    c ^= d[i];
    for (int k = 0; k < 8; ++k) c = c & 1 ? (c >> 1) ^ 0x8408 : c >> 1;
  }
  return static_cast<uint16_t>(c);
}
inline Bytes with_crc(Bytes d) {
  const uint16_t c = crc_a(d, d.size());
  d.push_back(static_cast<uint8_t>(c));
  d.push_back(static_cast<uint8_t>(c >> 8));
  return d;
}
inline bool crc_fine(const Bytes& d) { return d.size() > 2 && crc_a(d, d.size()) == 0; }

class Card {
 public:
  enum class Kind { classic, type2, type4, type4_without_ndef };
  enum class State { idle, ready, active, protocol, halt };
  Bytes uid;
  Kind kind = Kind::classic;
  Bytes memory;           // type 2: from page 0; type 4: the NDEF message
  State state = State::idle;
  bool halted_before = false;
  unsigned answers_left = 1000000;  // then it is taken out of the field
  bool asks_for_time = false, always_asks = false;
  unsigned counter = 0;   // of NDEF reads begun

  Card(Bytes u, Kind k = Kind::classic, Bytes m = Bytes()) : uid(u), kind(k), memory(m) {}

  size_t levels() const { return uid.size() == 4 ? 1 : uid.size() == 7 ? 2 : 3; }
  Bytes part(size_t n) const {  // UID part of a level with its check byte
    Bytes p;
    if (n + 1 == levels()) {
      p.assign(uid.begin() + static_cast<long>(3 * n), uid.begin() + static_cast<long>(3 * n) + 4);
    } else {
      p.push_back(0x88);
      p.insert(p.end(), uid.begin() + static_cast<long>(3 * n), uid.begin() + static_cast<long>(3 * n) + 3);
    }
    p.push_back(static_cast<uint8_t>(p[0] ^ p[1] ^ p[2] ^ p[3]));
    return p;
  }
  bool request(uint8_t command) {
    if (answers_left == 0) return false;
    if (command == 0x52 ? state == State::idle || state == State::halt : command == 0x26 && state == State::idle) {
      halted_before = state == State::halt;
      state = State::ready;
      level = 0;
      return true;
    }
    fall_back();
    return false;
  }
  void fall_back() { state = halted_before || state == State::halt ? State::halt : State::idle; }
  // Frames that go to one card. Empty: silence.
  Bytes hear(const Bytes& f) {
    if (state == State::idle || state == State::halt) return Bytes();
    if (answers_left == 0) return Bytes();
    --answers_left;
    if (state == State::ready) {
      if (f.size() == 9 && f[0] == 0x93 + 2 * level && f[1] == 0x70 && crc_fine(f)) {
        const Bytes p = part(level);
        if (!std::equal(p.begin(), p.end(), f.begin() + 2)) {
          fall_back();
          return Bytes();
        }
        if (++level < levels()) return with_crc(Bytes{0x04});
        state = State::active;
        return with_crc(Bytes{static_cast<uint8_t>(kind == Kind::classic ? 0x08 : kind == Kind::type2 ? 0x00 : 0x20)});
      }
      fall_back();
      return Bytes();
    }
    if (!crc_fine(f)) return Bytes();
    if (state == State::active) {
      if (f[0] == 0x50 && f[1] == 0x00) {
        state = State::halt;
        return Bytes();
      }
      if (f[0] == 0x30 && kind == Kind::type2) {
        Bytes r;
        for (size_t i = 0; i < 16; ++i) {
          const size_t at = f[1] * 4u + i;
          r.push_back(at < memory.size() ? memory[at] : 0);
        }
        return with_crc(r);
      }
      if (f[0] == 0xE0 && kind != Kind::classic && kind != Kind::type2) {
        frame_max = f[1] >> 4 == 2 ? 32 : f[1] >> 4 == 5 ? 64 : 16;
        state = State::protocol;
        block_number = 1;
        return with_crc(Bytes{0x06, 0x77, 0x77, 0x71, 0x02, 0x80});
      }
      fall_back();
      return Bytes();
    }
    // ISO 14443-4
    if (f[0] == 0xC2) {
      state = State::halt;
      return with_crc(Bytes{0xC2});
    }
    if (f[0] == 0xF2) {
      if (always_asks) return with_crc(Bytes{0xF2, 0x01});
      asks_for_time = false;
      return with_crc(pending);
    }
    if ((f[0] & 0xFE) != 0x02) return Bytes();
    const Bytes apdu(f.begin() + 1, f.end() - 2);
    Bytes r{f[0]};
    const Bytes answer = command(apdu);
    r.insert(r.end(), answer.begin(), answer.end());
    if (r.size() + 2 > frame_max) return Bytes();  // the reader asked for more than it said it can take
    if (asks_for_time) {
      pending = r;
      return with_crc(Bytes{0xF2, 0x01});
    }
    return with_crc(r);
  }

 private:
  Bytes command(const Bytes& a) {
    const Bytes app{0x00, 0xA4, 0x04, 0x00, 0x07, 0xD2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x01, 0x00};
    const Bytes file{0x00, 0xA4, 0x00, 0x0C, 0x02, 0xE1, 0x04};
    if (a == app && kind == Kind::type4) return Bytes{0x90, 0x00};
    if (a == file && kind == Kind::type4) return Bytes{0x90, 0x00};
    if (a.size() == 5 && a[0] == 0x00 && a[1] == 0xB0 && kind == Kind::type4) {
      Bytes whole{static_cast<uint8_t>(memory.size() >> 8), static_cast<uint8_t>(memory.size())};
      whole.insert(whole.end(), memory.begin(), memory.end());
      const size_t from = static_cast<size_t>(a[2] << 8 | a[3]);
      if (from == 0) ++counter;
      Bytes r;
      for (size_t i = from; i < from + a[4] && i < whole.size(); ++i) r.push_back(whole[i]);
      r.push_back(0x90);
      r.push_back(0x00);
      return r;
    }
    return Bytes{0x6A, 0x82};
  }
  size_t level = 0;
  size_t frame_max = 32;
  uint8_t block_number = 0;
  Bytes pending;
  friend class Chip;
};

class Chip {
 public:
  std::vector<Card*> field;
  bool dead = false;       // answers nothing
  bool no_answers = false; // registers fine, but hears no card (deaf antenna)
  unsigned resets = 0;

  Chip() { power_on(); }
  void power_on() {
    for (uint8_t& v : r) v = 0;
    r[0x01] = 0x20;
    r[0x11] = 0x3F;
    r[0x14] = 0x80;
    r[0x24] = 0x26;
    r[0x37] = 0x92;
    fifo.clear();
    ++resets;
  }
  void select(bool low) {
    selected = low;
    first = true;
  }
  void reset_pin(bool level) {
    if (reset_high && !level) power_on();
    reset_high = level;
  }
  uint8_t spi(uint8_t out) {
    if (!selected || dead || !reset_high) return 0xFF;
    if (first) {
      first = false;
      reading = (out & 0x80) != 0;
      address = out >> 1 & 0x3F;
      return 0;
    }
    if (!reading) {
      write(address, out);
      return 0;
    }
    const uint8_t v = read(address);
    if (out & 0x80) address = out >> 1 & 0x3F;
    return v;
  }
  uint8_t& reg(uint8_t a) { return r[a]; }

 private:
  uint8_t read(uint8_t a) {
    if (a == 0x09) {
      if (fifo.empty()) return 0;
      const uint8_t v = fifo[0];
      fifo.erase(fifo.begin());
      return v;
    }
    if (a == 0x0A) return static_cast<uint8_t>(fifo.size());
    if (a == 0x01) return r[1] & 0x2F;
    return r[a];
  }
  void write(uint8_t a, uint8_t v) {
    if (a == 0x09) {
      if (fifo.size() < 64) fifo.push_back(v);
    } else if (a == 0x0A) {
      if (v & 0x80) fifo.clear();
    } else if (a == 0x04) {
      if (v & 0x80) r[4] |= v & 0x7F;
      else r[4] &= static_cast<uint8_t>(~v);
    } else if (a == 0x01) {
      if ((v & 15) == 15) power_on();
      r[1] = v & 0x2F;
    } else if (a == 0x37 || a == 0x06) {
    } else if (a == 0x0D) {
      r[a] = v & 0x7F;
      if (v & 0x80 && (r[1] & 15) == 0x0C) transceive();
    } else {
      r[a] = v;
    }
  }
  void transceive() {
    const Bytes sent = fifo;
    const uint8_t last_bits = r[0x0D] & 7, align = r[0x0D] >> 4 & 7;
    fifo.clear();
    r[0x06] = 0;
    r[0x0C] = 0;
    r[0x04] |= 0x40;
    const bool on = (r[0x14] & 3) == 3 && !no_answers;
    Bytes answer;
    if (on) answer = radio(sent, last_bits, align);
    if (!answer.empty()) {
      fifo = answer;
      r[0x04] |= 0x20;
    } else if (r[0x2A] & 0x80) {
      r[0x04] |= 0x01;  // the test's clock is coarser than this timer
    }
  }
  Bytes radio(const Bytes& sent, uint8_t last_bits, uint8_t align) {
    if (sent.size() == 1 && last_bits == 7) {
      bool any = false;
      for (Card* c : field) any = c->request(sent[0]) || any;
      return any ? Bytes{0x44, 0x00} : Bytes();
    }
    if (sent.size() >= 2 && sent[0] >= 0x93 && sent[0] <= 0x97 && sent[1] < 0x70) return anticollision(sent, last_bits, align);
    Bytes answer;
    for (Card* c : field) {
      const Bytes a = c->hear(sent);
      if (!a.empty()) answer = a;
    }
    return answer;
  }
  Bytes anticollision(const Bytes& sent, uint8_t last_bits, uint8_t align) {
    const size_t known = (static_cast<size_t>(sent[1] >> 4) - 2) * 8 + (sent[1] & 7);
    if ((sent[1] & 7) != last_bits || align != last_bits) return Bytes();
    std::vector<Bytes> parts;
    for (Card* c : field) {
      if (c->state != Card::State::ready || 0x93 + 2 * c->level != sent[0] || c->answers_left == 0) continue;
      const Bytes p = c->part(c->level);
      bool match = true;
      for (size_t b = 0; b < known; ++b) match = match && (p[b / 8] >> b % 8 & 1) == (sent[2 + b / 8] >> b % 8 & 1);
      if (match) parts.push_back(p);
    }
    if (parts.empty()) return Bytes();
    Bytes out;
    for (size_t b = known / 8 * 8; b < 40; ++b) {
      if (b % 8 == 0) out.push_back(0);
      if (b < known) continue;
      const uint8_t bit = parts[0][b / 8] >> b % 8 & 1;
      for (const Bytes& p : parts) {
        if ((p[b / 8] >> b % 8 & 1) != bit) {
          r[0x06] |= 0x08;
          r[0x0E] = static_cast<uint8_t>((r[0x0E] & 0x80) | ((b + 1) & 0x1F));
          while (out.size() < 5 - known / 8) out.push_back(0);
          return out;
        }
      }
      out.back() = static_cast<uint8_t>(out.back() | bit << b % 8);
    }
    return out;
  }
  uint8_t r[64];
  Bytes fifo;
  bool selected = false, first = true, reading = false, reset_high = true;
  uint8_t address = 0;
};

// An NDEF message with one URI record.
inline Bytes ndef_uri(const std::string& url) {
  Bytes m{0xD1, 0x01, static_cast<uint8_t>(url.size() + 1), 0x55, 0x04};
  m.insert(m.end(), url.begin(), url.end());
  return m;
}

}  // namespace model
