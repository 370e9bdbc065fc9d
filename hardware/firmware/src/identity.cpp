#include "identity.h"

#include <string.h>

#include "frame.h"
#include "hal.h"

namespace primrack {

static const uint8_t NAME_BYTES = ID_MAX + 2;
static const uint8_t RECORDS_AT = 16;
static const uint8_t RECORD = 8;
static const uint8_t RECORDS = 8;

static uint16_t crc_of(const uint8_t* bytes, uint8_t len) {
  uint16_t crc = 0xFFFF;
  while (len-- > 0) crc = crc_step(crc, *bytes++);
  return crc;
}

static bool id_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

static bool id_valid(const char* id) {
  uint8_t n = 0;
  while (id[n] != 0) {
    if (n == ID_MAX || !id_char(id[n])) return false;
    ++n;
  }
  return n > 0;
}

void Identity::begin(Cause cause) {
  cause_ = cause;
  bool found = false;
  slot_ = RECORDS - 1;
  for (uint8_t slot = 0; slot < RECORDS; ++slot) {
    uint8_t b[RECORD];
    for (uint8_t i = 0; i < RECORD; ++i) b[i] = hal::eeprom_read(static_cast<uint16_t>(RECORDS_AT + slot * RECORD + i));
    if (crc_of(b, 6) != static_cast<uint16_t>(b[6] | b[7] << 8)) continue;
    const uint16_t boot = static_cast<uint16_t>(b[0] | b[1] << 8);
    if (found && static_cast<int16_t>(boot - counts_[0]) <= 0) continue;
    found = true;
    slot_ = slot;
    for (uint8_t i = 0; i < 3; ++i) counts_[i] = static_cast<uint16_t>(b[2 * i] | b[2 * i + 1] << 8);
  }
  slot_ = static_cast<uint8_t>((slot_ + 1) % RECORDS);
  ++counts_[0];
  if (cause == Cause::bod && counts_[1] != 65535) ++counts_[1];
  if (cause == Cause::wdt && counts_[2] != 65535) ++counts_[2];
  record_left_ = RECORD;

  for (uint8_t i = 0; i < ID_MAX; ++i) id_[i] = static_cast<char>(hal::eeprom_read(i));
  id_[ID_MAX] = 0;
  if (!id_valid(id_) || hal::eeprom_read(NAME_BYTES - 1) != name_byte(NAME_BYTES - 1)) strcpy(id_, "board");
}

uint8_t Identity::record_byte(uint8_t i) const {
  uint8_t b[6];
  for (uint8_t k = 0; k < 6; ++k) b[k] = static_cast<uint8_t>(counts_[k / 2] >> (k % 2 ? 8 : 0));
  if (i < 6) return b[i];
  const uint16_t crc = crc_of(b, 6);
  return static_cast<uint8_t>(i == 6 ? crc : crc >> 8);
}

uint8_t Identity::name_byte(uint8_t i) const {
  if (i <= ID_MAX) return static_cast<uint8_t>(id_[i]);
  return static_cast<uint8_t>(crc_of(reinterpret_cast<const uint8_t*>(id_), static_cast<uint8_t>(strlen(id_))));
}

void Identity::poll() {
  if (!writing() || !hal::eeprom_ready()) return;
  if (record_left_ != 0) {
    const uint8_t i = static_cast<uint8_t>(RECORD - record_left_--);
    hal::eeprom_write(static_cast<uint16_t>(RECORDS_AT + slot_ * RECORD + i), record_byte(i));
  } else {
    const uint8_t i = static_cast<uint8_t>(NAME_BYTES - name_left_--);
    hal::eeprom_write(i, name_byte(i));
  }
}

Identity::Naming Identity::rename(const char* name) {
  if (!id_valid(name)) return Naming::invalid;
  if (name_left_ != 0) return strcmp(name, id_) == 0 ? Naming::taken : Naming::busy;
  if (strcmp(name, id_) != 0) {
    memset(id_, 0, sizeof id_);
    strcpy(id_, name);
    name_left_ = NAME_BYTES;
  }
  return Naming::taken;
}

}  // namespace primrack
