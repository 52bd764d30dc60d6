// SPDX-License-Identifier: MIT
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/// The process's CPU clock counts nanoseconds where /proc/<pid>/stat counts ticks of 10 ms.
uint64_t cpu_ns(int pid) {
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) fail("no process %d", pid);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/// From smaps, which is exact; the counts in /proc/<pid>/status are not, on several CPUs.
long memory_kib(int pid) {
    char path[64], line[256];
    long value = -1;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *file = fopen(path, "r");
    if (!file) fail("no process %d", pid);
    while (fgets(line, sizeof line, file)) sscanf(line, "Anonymous: %ld", &value);
    fclose(file);
    return value;
}

void pause_ms(int milliseconds) {
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

/// `total_commands_processed` of the Redis at the port, or 0 without one.
static long redis_commands(int port) {
    static int fd = -1;
    static const char query[] = "INFO stats\r\n";
    char reply[8192];
    size_t count = 0;
    if (port == 0) return 0;
    if (fd < 0) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        address.sin_port = htons((uint16_t)port);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("no Redis at port %d", port);
    }
    if (send(fd, query, sizeof query - 1, 0) < 0) fail("Redis has gone");
    while (count < 2 || memcmp(reply + count - 2, "\r\n", 2) != 0 || memmem(reply, count, "io_threaded_writes", 18) == NULL) {
        ssize_t got = recv(fd, reply + count, sizeof reply - 1 - count, 0);
        if (got <= 0) fail("Redis has gone");
        count += (size_t)got;
    }
    reply[count] = 0;
    const char *line = strstr(reply, "total_commands_processed:");
    return line ? atol(strchr(line, ':') + 1) : 0;
}

void meter_start(struct meter *meter, const struct options *options) {
    for (int index = 0; index < options->pid_count; index++) meter->cpu[index] = cpu_ns(options->pids[index]);
    meter->commands = redis_commands(options->redis_port);
    meter->wall = now_ns();
}

void meter_learn_idle(struct meter *meter, const struct options *options) {
    memset(meter, 0, sizeof *meter);
    if (options->idle_milliseconds == 0) return;
    meter_start(meter, options);
    pause_ms(options->idle_milliseconds);
    double wall = (double)(now_ns() - meter->wall);
    for (int index = 0; index < options->pid_count; index++) {
        meter->idle_share[index] = (double)(cpu_ns(options->pids[index]) - meter->cpu[index]) / wall;
    }
    // One is our own question.
    meter->idle_commands = (double)(redis_commands(options->redis_port) - meter->commands - 1) / wall;
}

void meter_print(const struct meter *meter, const struct options *options) {
    double wall = (double)(now_ns() - meter->wall);
    printf("wall_us=%.0f", wall / 1000);
    for (int index = 0; index < options->pid_count; index++) {
        double spent = (double)(cpu_ns(options->pids[index]) - meter->cpu[index]) - meter->idle_share[index] * wall;
        printf("%s%d:%.0f", index ? "," : " cpu_ns=", options->pids[index], spent > 0 ? spent : 0);
    }
    if (options->redis_port) {
        printf(" redis_commands=%ld", redis_commands(options->redis_port) - meter->commands - 1);
        printf(" redis_idle=%.0f", meter->idle_commands * wall);
    }
}
