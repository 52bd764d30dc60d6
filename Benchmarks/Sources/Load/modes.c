// SPDX-License-Identifier: MIT
#include "load.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

static const struct options *options;
static struct connection *connections;
static int poller;
static uint8_t *body;
static size_t body_size;

static long to_send, answered, pushed;
static uint32_t *latencies;

// ---- shared

static void prepare(const struct options *given) {
    options = given;
    body_size = options->body ? strlen(options->body) : (size_t)options->body_bytes;
    body = malloc(body_size + 1);
    if (options->body) memcpy(body, options->body, body_size);
    else memset(body, 'x', body_size);
}

static void open_connections(int count) {
    connections = calloc((size_t)count, sizeof *connections);
    poller = epoll_create1(0);
    for (int index = 0; index < count; index++) {
        struct connection *connection = &connections[index];
        int port = options->ports[index % options->port_count];
        connection_open(connection, port, options->transport, options->room, index);
        struct epoll_event interest = {EPOLLIN, {.ptr = connection}};
        epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &interest);
    }
}

/// Waits once and reads everything that is ready; `read_all` may then send.
static void turn(arrival_fn arrived, void (*after)(struct connection *)) {
    struct epoll_event events[512];
    int count = epoll_wait(poller, events, 512, 20000);
    if (count == 0) fail("no answer for 20 s: %ld answers, %ld pushes", answered, pushed);
    for (int index = 0; index < count; index++) {
        connection_read(events[index].data.ptr, arrived);
        if (after) after(events[index].data.ptr);
    }
}

static int ascending(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static void print_latencies(long count) {
    qsort(latencies, (size_t)count, sizeof *latencies, ascending);
    printf(" p50_us=%.1f p99_us=%.1f", latencies[count / 2] / 1000.0, latencies[count * 99 / 100] / 1000.0);
}

// ---- echo

static void echo_arrived(struct connection *connection, struct arrival arrival) {
    if (arrival.type != DATA || !arrival.response) return;
    if (arrival.count < body_size) fail("an answer of %zu bytes: %.*s", arrival.count, (int)arrival.count, arrival.body);
    uint64_t taken = now_ns() - connection->sent_at;
    latencies[answered++] = taken > UINT32_MAX ? UINT32_MAX : (uint32_t)taken;
    connection->due++;
}

static void echo_again(struct connection *connection) {
    int count = connection->due < to_send ? connection->due : (int)to_send;
    connection->due = 0;
    if (count == 0) return;
    to_send -= count;
    connection_request(connection, options->route, body, body_size, count);
}

static void echo(long count) {
    to_send = count;
    answered = 0;
    for (int index = 0; index < options->connections; index++) {
        connections[index].due = options->depth;
        echo_again(&connections[index]);
    }
    while (answered < count) turn(echo_arrived, echo_again);
}

void run_echo(const struct options *given) {
    struct meter meter;
    prepare(given);
    latencies = calloc((size_t)options->count, sizeof *latencies);
    open_connections(options->connections);
    echo(options->count / 10 + 1);
    meter_learn_idle(&meter, options);
    meter_start(&meter, options);
    echo(options->count);
    meter_print(&meter, options);
    printf(" operations=%ld", options->count);
    print_latencies(options->count);
    putchar('\n');
}

// ---- push

static char last_answer[256];

static void push_arrived(struct connection *connection, struct arrival arrival) {
    (void)connection;
    if (arrival.type != DATA) return;
    if (!arrival.response) {
        pushed++;
    } else {
        answered++;
        snprintf(last_answer, sizeof last_answer, "%.*s", (int)arrival.count, arrival.body);
        if (memmem(arrival.body, arrival.count, "200", 3) == NULL) fail("%.*s", (int)arrival.count, arrival.body);
    }
}

/// Starts or ends the server's own measurement, and prints the answer in the end.
static void watch(int on) {
    if (!options->stats) return;
    const char *query = on ? "{\"watch\":true}" : "{\"watch\":false}";
    answered = 0;
    connection_request(&connections[0], options->stats, query, strlen(query), 1);
    while (answered < 1) turn(push_arrived, NULL);
    if (!on) printf(" stats=%s", last_answer);
}

static void push(long count) {
    for (long index = 0; index < count; index++) {
        uint64_t start = now_ns();
        pushed = answered = 0;
        connection_request(&connections[0], options->route, body, body_size, 1);
        while (pushed < options->connections || answered < 1) turn(push_arrived, NULL);
        latencies[index] = (uint32_t)(now_ns() - start);
        long rest = options->every_milliseconds - (long)((now_ns() - start) / 1000000);
        if (rest > 0) pause_ms((int)rest);
    }
}

void run_push(const struct options *given) {
    struct meter meter;
    prepare(given);
    latencies = calloc((size_t)options->count, sizeof *latencies);
    open_connections(options->connections);
    pause_ms(1500);
    push(options->count / 10 + 1);
    meter_learn_idle(&meter, options);
    watch(1);
    meter_start(&meter, options);
    push(options->count);
    meter_print(&meter, options);
    watch(0);
    printf(" operations=%ld members=%d", options->count, options->connections);
    print_latencies(options->count);
    putchar('\n');
}

// ---- idle

void run_idle(const struct options *given) {
    prepare(given);
    open_connections(100);
    for (int index = 0; index < 100; index++) connection_close(&connections[index]);
    pause_ms(1000);
    long before = memory_kib(options->pids[0]);
    open_connections(options->connections);
    pause_ms(2000);
    long after = memory_kib(options->pids[0]);
    printf("connections=%d before_kib=%ld after_kib=%ld", options->connections, before, after);
    printf(" bytes_each=%.0f\n", (double)(after - before) * 1024 / options->connections);
}

// ---- ask

static int asked;

static void ask_arrived(struct connection *connection, struct arrival arrival) {
    (void)connection;
    if (arrival.type != DATA || !arrival.response) return;
    printf("%.*s\n", (int)arrival.count, arrival.body);
    asked = 1;
}

void run_ask(const struct options *given) {
    prepare(given);
    open_connections(1);
    connection_request(&connections[0], options->route, body, body_size, 1);
    while (!asked) turn(ask_arrived, NULL);
}
