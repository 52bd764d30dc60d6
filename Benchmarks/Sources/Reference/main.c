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

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: reference frontend PORT [BACKEND_PORT] | backend PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    int port = atoi(arguments[2]);
    if (strcmp(arguments[1], "backend") == 0) {
        backend_start(port);
    } else {
        if (count > 3) link_connect(atoi(arguments[3]));
        frontend_start(port, count > 3);
    }
    puts("up");
    fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
