// SPDX-License-Identifier: GPL-3.0-or-later
// Lines of commands in, lines of events out: the standard streams, and up to four clients of a UNIX socket.
#pragma once
#include <stdbool.h>

extern bool command_failed;
void control_start(const char *socket_path, bool keep_without_stdin);
void control_close(void);
// To one output (0: standard output, 1..: clients) or to all (-1).
void control_send(int output, const char *text, unsigned length);
// Waits up to `ms` for commands (or for the line), then takes what is there. False: the controlling side has gone.
bool control_wait(int ms, int line_fd);
bool control_read(void);
