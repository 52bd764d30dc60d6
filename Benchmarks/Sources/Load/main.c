// SPDX-License-Identifier: MIT
#include "load.h"
#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

static const char usage[] =
    "usage: load echo|push|idle|ask|ports key=value…\n"
    "  ports=3050,3051  where to connect, in turn     connections=50  how many in all\n"
    "  pids=1,2         whose CPU or memory counts    count=100000    requests, pushes, or free ports\n"
    "  route=…          of the requests               depth=1         requests in flight on a connection\n"
    "  body=…           JSON text, or bytes=128       room=…          log in to this room first\n"
    "  transport=tcp    or one of those below         idle=2000       ms over which idle CPU is learnt\n"
    "  redis=6379       whose commands are counted    stats=…         route that measures the loop meanwhile\n"
    "  every=50         ms from push to push, or 0\n"
    "transports: tcp, tls, websocket, wss, deflate (a WebSocket with permessage-deflate), socketio\n";

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static int read_list(const char *text, int *list, int most) {
    int count = 0;
    while (count < most && *text) {
        list[count++] = (int)strtol(text, (char **)&text, 10);
        if (*text == ',') text++;
    }
    return count;
}

static struct transport read_transport(const char *name) {
    static const struct {
        const char *name;
        struct transport transport;
    } all[] = {
        {"tcp", {TCP, 0, 0}},       {"websocket", {WEBSOCKET, 0, 0}}, {"socketio", {SOCKETIO, 0, 0}},
        {"tls", {TCP, 1, 0}},       {"wss", {WEBSOCKET, 1, 0}},       {"deflate", {WEBSOCKET, 0, 1}},
    };
    for (size_t index = 0; index < sizeof all / sizeof *all; index++) {
        if (strcmp(name, all[index].name) == 0) return all[index].transport;
    }
    fail("unknown transport \"%s\"\n%s", name, usage);
}

static void read_pair(struct options *options, const char *pair) {
    const char *value = strchr(pair, '=');
    if (!value) fail("expected key=value, got \"%s\"\n%s", pair, usage);
    size_t length = (size_t)(value++ - pair);
#define KEY(name) (length == sizeof name - 1 && memcmp(pair, name, length) == 0)
    if (KEY("ports")) options->port_count = read_list(value, options->ports, MOST_PORTS);
    else if (KEY("pids")) options->pid_count = read_list(value, options->pids, MOST_PIDS);
    else if (KEY("connections")) options->connections = atoi(value);
    else if (KEY("depth")) options->depth = atoi(value);
    else if (KEY("transport")) options->transport = read_transport(value);
    else if (KEY("bytes")) options->body_bytes = atoi(value);
    else if (KEY("idle")) options->idle_milliseconds = atoi(value);
    else if (KEY("every")) options->every_milliseconds = atoi(value);
    else if (KEY("redis")) options->redis_port = atoi(value);
    else if (KEY("count")) options->count = atol(value);
    else if (KEY("route")) options->route = value;
    else if (KEY("body")) options->body = value;
    else if (KEY("stats")) options->stats = value;
    else if (KEY("room")) options->room = value;
    else fail("unknown key \"%s\"\n%s", pair, usage);
#undef KEY
}

/// All ports are held until all are found, so that none comes twice.
static void print_free_ports(long count) {
    for (long index = 0; index < count; index++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t size = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(fd, (struct sockaddr *)&address, size) != 0) fail("no free port");
        getsockname(fd, (struct sockaddr *)&address, &size);
        printf("%s%d", index ? "," : "ports=", ntohs(address.sin_port));
    }
    putchar('\n');
}

int main(int count, char **arguments) {
    if (count < 2) {
        fputs(usage, stderr);
        return 2;
    }
    struct options options = {.mode = arguments[1], .connections = 1, .depth = 1, .count = 1};
    options.body_bytes = 128;
    options.idle_milliseconds = 2000;
    for (int index = 2; index < count; index++) read_pair(&options, arguments[index]);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (strcmp(options.mode, "ports") == 0) {
        print_free_ports(options.count);
        return 0;
    }
    if (options.port_count == 0) fail("ports= is missing");
    if (strcmp(options.mode, "echo") == 0) run_echo(&options);
    else if (strcmp(options.mode, "push") == 0) run_push(&options);
    else if (strcmp(options.mode, "idle") == 0) run_idle(&options);
    else if (strcmp(options.mode, "ask") == 0) run_ask(&options);
    else fail("unknown mode \"%s\"\n%s", options.mode, usage);
    return 0;
}
