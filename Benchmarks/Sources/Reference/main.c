// SPDX-License-Identifier: MIT
#include "reference.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void read_option(struct frontend *options, char *word) {
    if (strncmp(word, "tls=", 4) == 0) {
        char *comma = strchr(word, ',');
        if (comma) *comma = 0;
        tls_start(word + 4, comma ? comma + 1 : word + 4);
        options->encrypts = 1;
    } else if (strcmp(word, "deflate=each") == 0) {
        options->deflates_each = 1;
    } else {
        link_connect(atoi(word));
        options->forwards = 1;
    }
}

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: reference frontend PORT [BACKEND_PORT] [tls=CERTIFICATE,KEY] [deflate=each] |"
                        " backend PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    int port = atoi(arguments[2]);
    if (strcmp(arguments[1], "backend") == 0) {
        backend_start(port);
    } else {
        struct frontend options = {.port = port};
        for (int index = 3; index < count; index++) read_option(&options, arguments[index]);
        frontend_start(options);
    }
    puts("up");
    fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
