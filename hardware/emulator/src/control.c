// SPDX-License-Identifier: GPL-3.0-or-later
#include "control.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "command.h"
#include "report.h"

#define OUTPUTS 5                   // standard output and four clients
#define UNSENT_MAX (1 << 20)        // what a listener may leave unread before lines to it are dropped
#define WRITE_PIECE 4096            // what a pipe that says "writable" takes without blocking

struct output {
    int in, out; // -1: not there
    char line[4096];
    unsigned line_used;
    bool line_too_long;
    char *unsent;
    unsigned unsent_used, unsent_room;
    unsigned long dropped;
};

static struct output outputs[OUTPUTS];
static int listener = -1;
static const char *socket_path;
static bool keep;
static struct pollfd polled[OUTPUTS + 2];

// ---------------------------------------------------------------- out

static void write_some(struct output *o) {
    while (o->out >= 0 && o->unsent_used) {
        struct pollfd p = {.fd = o->out, .events = POLLOUT};
        if (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLOUT | POLLERR | POLLHUP))) return;
        ssize_t n = write(o->out, o->unsent, o->unsent_used < WRITE_PIECE ? o->unsent_used : WRITE_PIECE);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n < 0) n = o->unsent_used; // nobody reads any more
        memmove(o->unsent, o->unsent + n, o->unsent_used - n);
        o->unsent_used -= n;
    }
}

static void queue(struct output *o, const char *text, unsigned length) {
    if (o->out < 0) return;
    if (o->unsent_used + length > UNSENT_MAX) write_some(o);
    if (o->unsent_used + length > UNSENT_MAX) {
        o->dropped++;
        return;
    }
    while (o->unsent_used + length + 100 > o->unsent_room) {
        o->unsent_room = o->unsent_room ? o->unsent_room * 2 : 8192;
        o->unsent = realloc(o->unsent, o->unsent_room);
        if (!o->unsent) abort();
    }
    if (o->dropped) {
        o->unsent_used += sprintf(o->unsent + o->unsent_used, "0 0 dropped %lu lines that were not read in time\n",
                                  o->dropped);
        o->dropped = 0;
    }
    memcpy(o->unsent + o->unsent_used, text, length);
    o->unsent_used += length;
}

void control_send(int output, const char *text, unsigned length) {
    for (int i = 0; i < OUTPUTS; i++)
        if (output == -1 || output == i) queue(&outputs[i], text, length);
}

// ---------------------------------------------------------------- in

static void take_line(int index, char *line) {
    char tag[40] = "";
    while (*line == ' ' || *line == '\t') line++;
    unsigned end = strlen(line);
    while (end && (line[end - 1] == '\r' || line[end - 1] == ' ')) line[--end] = 0;
    if (*line == '@') {
        unsigned n = strcspn(line, " \t");
        snprintf(tag, sizeof tag, "%.*s", (int)n, line);
        line += n;
        line += strspn(line, " \t");
    }
    if (!*line || *line == '#') return;
    report_answers_to(index, tag);
    command_run(line);
    report_answers_to(-1, "");
}

// What is there, but no more than a buffer: the board goes on between. False: end of file.
static bool read_lines(int index) {
    struct output *o = &outputs[index];
    char bytes[4096];
    struct pollfd p = {.fd = o->in, .events = POLLIN};
    if (poll(&p, 1, 0) <= 0) return true;
    ssize_t n = read(o->in, bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n <= 0) return false;
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] != '\n') {
            if (o->line_used < sizeof o->line - 1)
                o->line[o->line_used++] = bytes[i];
            else
                o->line_too_long = true;
            continue;
        }
        o->line[o->line_used] = 0;
        report_answers_to(index, "");
        if (o->line_too_long)
            answer_error("a command line has at most %zu characters", sizeof o->line - 1);
        else
            take_line(index, o->line);
        report_answers_to(-1, "");
        o->line_used = 0;
        o->line_too_long = false;
    }
    return true;
}

static void drop_client(struct output *o) {
    close(o->in);
    free(o->unsent);
    *o = (struct output){.in = -1, .out = -1};
}

static void accept_client(void) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    for (unsigned i = 1; i < OUTPUTS; i++)
        if (outputs[i].out < 0) {
            outputs[i] = (struct output){.in = fd, .out = fd};
            return;
        }
    static const char FULL[] = "0 0 error: four clients are connected already\n";
    (void)!write(fd, FULL, sizeof FULL - 1);
    close(fd);
}

bool control_wait(int ms, int line_fd) {
    unsigned n = 0;
    for (int i = 0; i < OUTPUTS; i++) {
        write_some(&outputs[i]);
        bool clogged = outputs[i].unsent_used > 0;
        if (outputs[i].in >= 0)
            polled[n++] = (struct pollfd){.fd = outputs[i].in, .events = POLLIN | (i && clogged ? POLLOUT : 0)};
    }
    if (listener >= 0) polled[n++] = (struct pollfd){.fd = listener, .events = POLLIN};
    if (line_fd >= 0) polled[n++] = (struct pollfd){.fd = line_fd, .events = POLLIN};
    return poll(polled, n, ms) > 0;
}

bool control_read(void) {
    if (listener >= 0) accept_client();
    for (int i = 0; i < OUTPUTS; i++) {
        if (outputs[i].in < 0 || read_lines(i)) continue;
        if (i > 0) {
            drop_client(&outputs[i]);
        } else {
            outputs[0].in = -1;
            if (!keep) return false;
        }
    }
    return !command_quit;
}

// ---------------------------------------------------------------- start and end

void control_start(const char *path, bool keep_without_stdin) {
    keep = keep_without_stdin;
    for (int i = 1; i < OUTPUTS; i++) outputs[i].in = outputs[i].out = -1;
    outputs[0].in = STDIN_FILENO;
    outputs[0].out = STDOUT_FILENO;
    if (!path) return;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        fatal("the path of the control socket is longer than %zu characters", sizeof address.sun_path - 1);
    strcpy(address.sun_path, path);
    struct stat st;
    if (!lstat(path, &st) && !S_ISSOCK(st.st_mode)) fatal("%s exists and is no socket; it is left alone", path);
    unlink(path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before = umask(0077);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4))
        fatal("cannot listen on %s: %m", path);
    umask(before);
    socket_path = path;
}

void control_close(void) {
    for (int i = 0; i < OUTPUTS; i++) write_some(&outputs[i]);
    if (socket_path) unlink(socket_path);
    socket_path = NULL;
}
