// SPDX-License-Identifier: MIT
//
// What a program here is told to do, a line each on its standard input: `ask NUMBER ROUTE BODY`, `tell ROUTE BODY`. The
// end of the input is the end of the connection. It says in lines what happens: `connected`, `answer NUMBER BODY`,
// `failed NUMBER WHY`, `push ROUTE BODY`, `kicked`, `lost WHY`, `left`.
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Calls one of the two with each order, until there are no more.
static void obey(void (*ask)(long number, const char *route, const char *body),
                 void (*tell)(const char *route, const char *body)) {
    char *line = NULL;
    size_t room = 0;
    for (ssize_t length; (length = getline(&line, &room, stdin)) > 0;) {
        if (line[length - 1] == '\n') line[length - 1] = 0;
        char *rest = line;
        const char *verb = strsep(&rest, " ");
        const char *number = strcmp(verb, "ask") == 0 ? strsep(&rest, " ") : NULL;
        const char *route = strsep(&rest, " ");
        if (rest == NULL) {
            fprintf(stderr, "no order: %s\n", verb);
            exit(2);
        }
        if (number != NULL) ask(atol(number), route, rest);
        else tell(route, rest);
    }
    free(line);
}

/// What the library complains of; its levels begin with 0, and from 2 on they are of interest.
static void complain(int level, const char *format, ...) {
    if (level < 2) return;
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
}

/// Ends the program with what went wrong.
static void must(int result, const char *what) {
    if (result == 0) return;
    fprintf(stderr, "%s: %d\n", what, result);
    exit(1);
}
