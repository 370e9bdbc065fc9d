// The firmware's decoder as a program, so that another decoder can be compared with it byte for byte.
//
//   decoder-peer lines            hex of one frame a line on stdin -> ok:SEQ:VERB[:ARGS joined by |]  or  bad:REASON
//   decoder-peer stream           raw bytes on stdin -> items, one a line, as in PROTOCOL.md, 9
//   decoder-peer pairs N SEED     N mutated frames: HEX TAB VERDICT
//   decoder-peer mutate N SEED    N mutated frames through both ways of decoding; says what became of them, and a digest of all verdicts
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <map>

#include "frame.h"
#include "line.h"

using primrack::Frame;
using primrack::Refusal;

static std::string verdict(const std::string& bytes) {
  char scratch[primrack::FRAME_MAX];
  Frame f;
  const Refusal r = primrack::decode_line(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), scratch, f);
  if (r != Refusal::none) return std::string("bad:") + line::word(r);
  std::string s = "ok:" + std::to_string(f.seq) + ":" + f.verb;
  if (f.args) s += ":" + line::args(f);
  return s;
}

static uint64_t state;
static uint32_t rnd(uint32_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return static_cast<uint32_t>((state >> 16) % below);
}

static const char* const BODIES[] = {
    "7 tag 0 04A1B2C3D4E5F6", "0 hello 1 gw-1.0.0 board 1 por 127 r3b1a1o5", "65535 sun 9 65535 75Y_94KGWKWZ8wQRBnEeiJTu2e5lM3CG",
    "2 set 0 1 500", "1 hi 1 4711 3000", "0 ping", "11 got", "5 txt 5 0 Hello,_world!", "4 wg 2 3 26 7BB26E", "102 no verb", "106 stats 0 0 12 0 911", "9 zzz 1 2 3 4 5 6 7 8"};

// A frame with up to six errors: bits, bytes, cuts, doubled pieces. One in three gets a right CRC over its wrong body, to reach what is behind it.
static std::string mutated() {
  std::string body = BODIES[rnd(sizeof BODIES / sizeof BODIES[0])];
  const bool resealed = rnd(3) == 0;
  std::string s = resealed ? body : line::frame(body);
  static const char NEAR[] = " *~\r\n\t0123456789ABCDEFabcdefz+-\x7f\x80\xff";
  for (uint32_t k = rnd(7); k > 0 && !s.empty(); --k) {
    const uint32_t at = rnd(static_cast<uint32_t>(s.size()));
    switch (rnd(7)) {
      case 0: s[at] = static_cast<char>(s[at] ^ 1 << rnd(8)); break;
      case 1: s[at] = static_cast<char>(rnd(256)); break;
      case 2: s[at] = NEAR[rnd(sizeof NEAR - 1)]; break;
      case 3: s.insert(at, 1, NEAR[rnd(sizeof NEAR - 1)]); break;
      case 4: s.erase(at, 1 + rnd(3)); break;
      case 5: s.insert(at, s.substr(at, 1 + rnd(8))); break;
      default: std::swap(s[at], s[rnd(static_cast<uint32_t>(s.size()))]); break;
    }
  }
  if (rnd(50) == 0) s += '\r';
  return resealed ? line::frame(s) : s;
}

static int mutate(unsigned long n, bool print) {
  std::map<std::string, unsigned long> became;
  unsigned long differ = 0, wrong = 0;
  uint64_t digest = 14695981039346656037ull;
  for (unsigned long i = 0; i < n; ++i) {
    const std::string s = mutated();
    const std::string v = verdict(s);
    if (print) {
      printf("%s\t%s\n", line::hex(s).c_str(), v.c_str());
      continue;
    }
    for (char c : v) digest = (digest ^ static_cast<uint8_t>(c)) * 1099511628211ull;
    ++became[v.substr(0, v[0] == 'o' ? 2 : std::string::npos)];
    // As a stream: the same, if the bytes are one line and one frame.
    if (!s.empty() && s[0] == '~' && s.find('\n') == std::string::npos && s.find('~', 1) == std::string::npos) {
      std::string items;
      line::Items reader;
      auto out = [&items](const std::string& item) { items += item; };
      for (char c : s) reader.feed(static_cast<uint8_t>(c), out);
      reader.feed('\n', out);
      differ += items != v;
    }
    // What is taken must be what a sender of these words would have written.
    if (v[0] == 'o') {
      std::string again = v.substr(3);
      const size_t colon = again.find(':');
      again[colon] = ' ';
      const size_t second = again.find(':', colon);
      if (second != std::string::npos) {
        again[second] = ' ';
        for (size_t k = second; k < again.size(); ++k)
          if (again[k] == '|') again[k] = ' ';
      }
      std::string sent = s;
      if (sent.back() == '\r') sent.pop_back();
      for (char& c : sent)
        if (c == '|') c = ' ';
      const size_t star = sent.size() - 5;
      wrong += sent.substr(1, star - 1) != again || line::frame(s.substr(1, star - 1)) != s.substr(0, star + 5);
    }
  }
  if (print) return 0;
  printf("%lu mutated frames:", n);
  for (const auto& b : became) printf(" %s %lu", b.first.c_str(), b.second);
  printf("; line and stream differ %lu, taken wrongly %lu, digest %016llx\n", differ, wrong, static_cast<unsigned long long>(digest));
  return differ + wrong == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "lines";
  if (mode == "stream") {
    line::Items reader;
    int c;
    while ((c = getchar()) != EOF) reader.feed(static_cast<uint8_t>(c), [](const std::string& item) { puts(item.c_str()); });
    return 0;
  }
  if (mode == "lines") {
    std::string digits;
    int c;
    while ((c = getchar()) != EOF) {
      if (c != '\n') {
        if (isxdigit(c)) digits += static_cast<char>(c);
        continue;
      }
      puts(verdict(line::unhex(digits)).c_str());
      digits.clear();
    }
    return 0;
  }
  if ((mode == "mutate" || mode == "pairs") && argc == 4) {
    state = strtoull(argv[3], nullptr, 10) * 0x9E3779B97F4A7C15ull | 1;
    return mutate(strtoul(argv[2], nullptr, 10), mode == "pairs");
  }
  fprintf(stderr, "usage: decoder-peer lines | stream | pairs N SEED | mutate N SEED\n");
  return 2;
}
