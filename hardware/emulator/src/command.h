// SPDX-License-Identifier: GPL-3.0-or-later
// The commands: one line each, one answer each.
#pragma once
#include <stdbool.h>

extern bool command_quit;
void command_run(char *line);
// Runs the commands of a file, as before the start; the first that fails ends the program.
void command_run_file(const char *path);
void command_list(void); // to the standard output, for --help
