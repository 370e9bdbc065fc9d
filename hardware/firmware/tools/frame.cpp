// Writes a frame: frame 6 id front-door  ->  ~6 id front-door*XXXX   (to be sent to a board from a terminal)
#include <stdio.h>

#include "line.h"

int main(int argc, char** argv) {
  std::string body;
  for (int i = 1; i < argc; ++i) body += (i > 1 ? " " : "") + std::string(argv[i]);
  const std::string s = line::frame(body);
  char scratch[primrack::FRAME_MAX];
  primrack::Frame f;
  const primrack::Refusal r = primrack::decode_line(reinterpret_cast<const uint8_t*>(s.data()), s.size(), scratch, f);
  if (r != primrack::Refusal::none) {
    fprintf(stderr, "frame: no board would take this (%s): number, verb of small letters, at most 8 arguments, 62 bytes\n", line::word(r));
    return 2;
  }
  puts(s.c_str());
  return 0;
}
