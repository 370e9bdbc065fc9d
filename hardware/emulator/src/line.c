// SPDX-License-Identifier: GPL-3.0-or-later
#include "line.h"
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include "agenda.h"
#include "board.h"
#include "report.h"
#include "uart.h"

#define USUAL_BAUD 115200
#define BAUD_TOLERANCE 0.045
#define READ_AHEAD 4096

struct fault_rates line_faults[2];
struct line_stats line_stats;
bool line_checks_baud = true;

static const char *link_path;
static char pty_name[128];
static int master = -1;
static bool opened, resets_on_open;

// ---------------------------------------------------------------- faults

static uint64_t random_state;

static uint64_t random_bits(void) { // xorshift64
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static bool chance(double p) { return p > 0 && (random_bits() >> 11) * 0x1p-53 < p; }

// False: the byte does not arrive.
static bool suffer(enum direction d, uint8_t *byte) {
    if (chance(line_faults[d].lose)) {
        line_stats.lost[d]++;
        return false;
    }
    if (chance(line_faults[d].flip)) {
        line_stats.flipped[d]++;
        *byte ^= 1 << (random_bits() & 7);
    }
    return true;
}

static unsigned host_baud(void) {
    static const struct {
        speed_t code;
        unsigned baud;
    } table[] = {{B1200, 1200},     {B2400, 2400},     {B4800, 4800},     {B9600, 9600},      {B19200, 19200},
                 {B38400, 38400},   {B57600, 57600},   {B115200, 115200}, {B230400, 230400},  {B460800, 460800},
                 {B500000, 500000}, {B576000, 576000}, {B921600, 921600}, {B1000000, 1000000}};
    struct termios t;
    if (master >= 0 && !tcgetattr(master, &t))
        for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
            if (table[i].code == cfgetospeed(&t)) return table[i].baud;
    return USUAL_BAUD;
}

static bool speeds_agree(unsigned host, unsigned board) {
    return !line_checks_baud || board == 0 || fabs((double)host / board - 1) <= BAUD_TOLERANCE;
}

// What a receiver makes of a byte sent at another speed: it looks at the middle of the bits that it expects.
static uint8_t misread(uint8_t byte, unsigned sent_at, unsigned read_at, bool *framing_error) {
    uint8_t seen = 0;
    for (unsigned i = 1; i <= 9; i++) {
        unsigned bit = (unsigned)((i + 0.5) * sent_at / read_at); // 0 is the start bit, 9 the stop bit, then idle
        bool level = bit == 0 ? false : bit > 8 ? true : byte >> (bit - 1) & 1;
        if (i == 9)
            *framing_error = !level;
        else if (level)
            seen |= 1 << (i - 1);
    }
    return seen;
}

// ---------------------------------------------------------------- host to board

static uint8_t waiting[READ_AHEAD * 2];
static unsigned waiting_from, waiting_to;
static unsigned long noise_left[2];
static bool feeding;
static double byte_ends; // exact, in cycles
static uint8_t arriving;
static bool arriving_is_noise;

static void feed(void *arg);

static void next_byte(void) {
    feeding = false;
    if (noise_left[IN]) {
        arriving = (uint8_t)random_bits();
        arriving_is_noise = true;
        line_stats.noise[IN]++;
        if (--noise_left[IN] == 0) event("noise in ends");
    } else if (waiting_from < waiting_to) {
        arriving = waiting[waiting_from++];
        arriving_is_noise = false;
        line_stats.from_host++;
    } else {
        return;
    }
    feeding = true;
    uart_start_bit();
    byte_ends += avr->frequency * 10.0 / host_baud();
    agenda_at((uint64_t)byte_ends, feed, NULL);
}

static void feed(void *arg) {
    (void)arg;
    uint8_t byte = arriving;
    bool framing_error = false;
    unsigned host = host_baud(), board = uart_baud();
    if (!arriving_is_noise && !speeds_agree(host, board)) {
        byte = misread(byte, host, board, &framing_error);
        line_stats.garbled[IN]++;
    }
    if (arriving_is_noise || suffer(IN, &byte)) uart_receive(byte, framing_error);
    next_byte();
}

static void start_feeding(void) {
    if (feeding) return;
    byte_ends = avr->cycle;
    next_byte();
}

// ---------------------------------------------------------------- board to host

static uint8_t outgoing[8192];
static unsigned outgoing_used;

static void put_out(uint8_t byte) {
    if (outgoing_used == sizeof outgoing) {
        line_stats.unheard++;
        return;
    }
    outgoing[outgoing_used++] = byte;
}

void line_from_board(uint8_t byte) {
    bool framing_error;
    unsigned host = host_baud(), board = uart_baud();
    if (!speeds_agree(host, board)) {
        byte = misread(byte, board, host, &framing_error);
        line_stats.garbled[OUT]++;
    }
    if (suffer(OUT, &byte)) put_out(byte);
}

static void noise_out(void *arg) {
    (void)arg;
    if (!noise_left[OUT]) return;
    put_out((uint8_t)random_bits());
    line_stats.noise[OUT]++;
    if (--noise_left[OUT] == 0)
        event("noise out ends");
    else
        agenda_at(agenda_due + avr->frequency * 10 / USUAL_BAUD, noise_out, NULL);
}

void line_noise(enum direction d, unsigned long bytes) {
    bool idle = noise_left[d] == 0;
    noise_left[d] += bytes;
    if (!bytes) return;
    if (d == IN)
        start_feeding();
    else if (idle)
        agenda_at(avr->cycle, noise_out, NULL);
}

// ---------------------------------------------------------------- plug

static bool link_is_ours(void) {
    char target[sizeof pty_name];
    ssize_t n = readlink(link_path, target, sizeof target - 1);
    if (n < 0) return false;
    target[n] = 0;
    return !strcmp(target, pty_name);
}

bool line_plug(void) {
    if (master >= 0) return false;
    int slave;
    struct termios raw;
    if (openpty(&master, &slave, pty_name, NULL, NULL)) fatal("cannot make a pty: %m");
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    cfsetspeed(&raw, B115200); // for hosts that open it like a file; others set what they want
    tcsetattr(slave, TCSANOW, &raw);
    close(slave);
    fcntl(master, F_SETFL, O_NONBLOCK);
    fcntl(master, F_SETFD, FD_CLOEXEC);
    opened = false;
    unlink(link_path); // a link that an emulator left behind when it was killed
    if (symlink(pty_name, link_path)) fatal("cannot make the link %s: %m", link_path);
    event("plugged %s", pty_name);
    return true;
}

bool line_unplug(void) {
    if (master < 0) return false;
    if (link_is_ours()) unlink(link_path);
    close(master);
    master = -1;
    opened = false;
    waiting_from = waiting_to = outgoing_used = 0;
    line_stats.unplugged++;
    event("unplugged");
    return true;
}

void line_close(void) {
    if (master < 0) return;
    if (link_is_ours()) unlink(link_path);
    close(master);
    master = -1;
}

void line_start(const char *path, bool reset_on_open, uint64_t seed) {
    link_path = path;
    resets_on_open = reset_on_open;
    random_state = seed ? seed : 1;
    struct stat st;
    if (!lstat(path, &st) && !S_ISLNK(st.st_mode)) fatal("%s exists and is no link; it is left alone", path);
    line_plug();
}

int line_poll_fd(void) { return opened && waiting_to - waiting_from < READ_AHEAD ? master : -1; }

static void notice_opening(void) {
    struct pollfd p = {.fd = master};
    bool now = poll(&p, 1, 0) == 0 || !(p.revents & POLLHUP);
    if (now == opened) return;
    opened = now;
    if (!opened) {
        outgoing_used = 0;
        event("port closed");
        return;
    }
    line_stats.opened++;
    event("port opened");
    if (resets_on_open) board_reset(EXT);
}

void line_exchange(void) {
    if (master < 0) {
        line_stats.unheard += outgoing_used;
        outgoing_used = 0;
        return;
    }
    notice_opening();
    if (outgoing_used) {
        // A real port drops what nobody fetches; a pty would keep it for whoever opens it next.
        ssize_t n = opened ? write(master, outgoing, outgoing_used) : 0;
        if (n < 0) n = 0;
        line_stats.to_host += n;
        line_stats.unheard += outgoing_used - n;
        outgoing_used = 0;
    }
    if (waiting_from == waiting_to) waiting_from = waiting_to = 0;
    if (waiting_to - waiting_from < READ_AHEAD) {
        memmove(waiting, waiting + waiting_from, waiting_to - waiting_from);
        waiting_to -= waiting_from;
        waiting_from = 0;
        ssize_t n = read(master, waiting + waiting_to, sizeof waiting - waiting_to);
        if (n > 0) waiting_to += n;
    }
    if (waiting_from < waiting_to) start_feeding();
}
