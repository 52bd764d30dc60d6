// SPDX-License-Identifier: MIT
#include "load.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
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

long memory_kib(int pid) {
    char path[64], line[256];
    long value = -1;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    if (!file) fail("no process %d", pid);
    while (fgets(line, sizeof line, file)) sscanf(line, "RssAnon: %ld", &value);
    fclose(file);
    return value;
}

void pause_ms(int milliseconds) {
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

void meter_start(struct meter *meter, const struct options *options) {
    for (int index = 0; index < options->pid_count; index++) meter->cpu[index] = cpu_ns(options->pids[index]);
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
}

void meter_print(const struct meter *meter, const struct options *options) {
    double wall = (double)(now_ns() - meter->wall);
    printf("wall_us=%.0f", wall / 1000);
    for (int index = 0; index < options->pid_count; index++) {
        double spent = (double)(cpu_ns(options->pids[index]) - meter->cpu[index]) - meter->idle_share[index] * wall;
        printf("%s%d:%.0f", index ? "," : " cpu_ns=", options->pids[index], spent > 0 ? spent : 0);
    }
}
