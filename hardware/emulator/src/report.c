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

void answer_more(const char *format, ...) {
    va_list args;
    va_start(args, format);
    stamp_and_send(answers_to, "", "", format, args);
    va_end(args);
}

_Noreturn static void end(int status, const char *format, va_list args) {
    char text[1024];
    vsnprintf(text, sizeof text, format, args); // first, while %m is still what the caller means
    fprintf(stderr, "error: %s\n", text);
    line_close();
    control_close();
    exit(status);
}

void fatal(const char *format, ...) {
    va_list args;
    va_start(args, format);
    end(1, format, args);
}

void wrong_usage(const char *format, ...) {
    va_list args;
    va_start(args, format);
    end(2, format, args);
}

void report_answers_to(int output, const char *tag) {
    answers_to = output;
    snprintf(answer_tag, sizeof answer_tag, "%s", tag);
}
