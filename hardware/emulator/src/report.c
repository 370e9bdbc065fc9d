// SPDX-License-Identifier: GPL-3.0-or-later
#include "report.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "board.h"
#include "control.h"
#include "line.h"

#define LINE_MAX_LENGTH 4096
static int answers_to = -1;
static char answer_tag[40];

static void stamp_and_send(int output, const char *head, const char *tag, const char *format, va_list args) {
    char text[LINE_MAX_LENGTH];
    int n = snprintf(text, sizeof text, "%llu %llu %s%s%s", (unsigned long long)board_us(),
                     (unsigned long long)board_host_ns(), head, tag, *tag ? " " : "");
    int m = vsnprintf(text + n, sizeof text - n - 1, format, args);
    n += m < (int)sizeof text - n - 1 ? m : (int)sizeof text - n - 2;
    while (n > 0 && text[n - 1] == ' ') n--;
    text[n++] = '\n';
    control_send(output, text, n);
}

void event(const char *format, ...) {
    va_list args;
    va_start(args, format);
    stamp_and_send(-1, "", "", format, args);
    va_end(args);
}

void answer_ok(const char *format, ...) {
    va_list args;
    va_start(args, format);
    stamp_and_send(answers_to, "ok ", answer_tag, format, args);
    va_end(args);
}

void answer_error(const char *format, ...) {
    va_list args;
    va_start(args, format);
    stamp_and_send(answers_to, "error: ", answer_tag, format, args);
    va_end(args);
    command_failed = true;
}

void fatal(const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args); // first, while %m is still what the caller means
    va_end(args);
    fprintf(stderr, "error: %s\n", text);
    line_close();
    exit(1);
}

void report_answers_to(int output, const char *tag) {
    answers_to = output;
    snprintf(answer_tag, sizeof answer_tag, "%s", tag);
}
