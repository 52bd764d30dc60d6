// SPDX-License-Identifier: MIT
// What we compare our Redis client with: bare hiredis on libuv, driven as ours drives it: its parser and buffers, one
// poll handle that is only changed when it has to be, one write for all commands of a turn.
//
//   RedisReference <get|set|sadd|evalsha> <in flight> <count> <argv|formatted> <port>...
//
// argv: hiredis formats each command from its arguments, as any program does whose arguments change.
// formatted: commands are only copied, formatted before anything is measured: the least that any client can cost.
// With several ports, these are the primaries of a cluster, with equal shares of the slots in their order; with argv
// the node of each command is found by its key, as by any program whose keys change.
#include "allocations.h"
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { keys = 1000, max_nodes = 16 };

typedef struct {
    int argc;
    const char *argv[5];
    size_t lengths[5];
    char *formatted;
    int formatted_length;
    int key, node;
} command;

typedef struct {
    redisContext *context;
    uv_poll_t poll;
    int wanted, dirty;
} node;

static uv_loop_t *loop;
static uv_prepare_t flusher;
static node nodes[max_nodes];
static int node_count, preformatted;
static command commands[keys];
static long next_command, to_send, to_receive;
static unsigned short remainders[256];
static unsigned char owners[16384];

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/// CRC-16/XMODEM of the key, or of what its first { } has between them.
static int slot(const char *key, size_t length) {
    const char *open = memchr(key, '{', length);
    if (open) {
        const char *close = memchr(open + 1, '}', key + length - open - 1);
        if (close && close > open + 1) {
            key = open + 1;
            length = close - key;
        }
    }
    unsigned short crc = 0;
    for (size_t i = 0; i < length; i++) crc = crc << 8 ^ remainders[(crc >> 8 ^ (unsigned char)key[i]) & 0xff];
    return crc % 16384;
}

/// As `redis-cli --cluster create` divides the slots.
static void divide(void) {
    for (int i = 0; i < 256; i++) {
        unsigned crc = i << 8;
        for (int bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        remainders[i] = crc;
    }
    for (int slot = 0, node = 0; slot < 16384; slot++) {
        while (slot > (int)((node + 1) * 16384.0 / node_count - 0.5)) node++;
        owners[slot] = node;
    }
}

static int node_of(const command *c) { return owners[slot(c->argv[c->key], c->lengths[c->key])]; }

static void flush(node *n);

/// Replies that came: each makes room for one more command.
static void received(node *n);

static void ready(uv_poll_t *poll, int status, int events) {
    node *n = poll->data;
    if (status) fail("poll failed");
    if (events & UV_READABLE) received(n);
    if (events & UV_WRITABLE) flush(n);
}

static void watch(node *n, int wanted) {
    if (n->wanted == wanted) return;
    n->wanted = wanted;
    uv_poll_start(&n->poll, wanted, ready);
}

static void flush(node *n) {
    int done = 0;
    n->dirty = 0;
    if (redisBufferWrite(n->context, &done) != REDIS_OK) fail(n->context->errstr);
    watch(n, done ? UV_READABLE : UV_READABLE | UV_WRITABLE);
}

static void flush_turn(uv_prepare_t *handle) {
    (void)handle;
    for (int i = 0; i < node_count; i++)
        if (nodes[i].dirty) flush(&nodes[i]);
}

static void send_next(void) {
    command *c = &commands[next_command++ % keys];
    node *n = &nodes[preformatted || node_count == 1 ? c->node : node_of(c)];
    to_send--;
    if (preformatted)
        redisAppendFormattedCommand(n->context, c->formatted, c->formatted_length);
    else
        redisAppendCommandArgv(n->context, c->argc, c->argv, c->lengths);
    n->dirty = 1;
}

static void received(node *n) {
    static char input[65536];
    ssize_t count = read(n->context->fd, input, sizeof input);
    if (count <= 0) fail("connection lost");
    redisReaderFeed(n->context->reader, input, count);
    for (;;) {
        void *raw;
        if (redisGetReplyFromReader(n->context, &raw) != REDIS_OK) fail(n->context->errstr);
        if (!raw) break;
        redisReply *reply = raw;
        if (reply->type == REDIS_REPLY_ERROR) fail(reply->str);
        freeReplyObject(reply);
        if (to_send > 0) send_next();
        if (--to_receive == 0) uv_stop(loop);
    }
}

static void run(long count, long in_flight) {
    to_send = to_receive = count;
    while (in_flight-- > 0 && to_send > 0) send_next();
    uv_run(loop, UV_RUN_DEFAULT);
}

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void prepare(const char *name, const char *digest) {
    static char texts[keys][32];
    static const char *value = "0123456789abcdef0123456789abcdef";
    for (int i = 0; i < keys; i++) {
        command *c = &commands[i];
        snprintf(texts[i], sizeof texts[i], "%s:%012d", strcmp(name, "sadd") ? "key" : "set", i);
        const char *get[] = {"GET", texts[i]}, *set[] = {"SET", texts[i], value},
                   *sadd[] = {"SADD", texts[i], "member"}, *evalsha[] = {"EVALSHA", digest, "1", texts[i]};
        const char **words = evalsha;
        if (!strcmp(name, "get")) words = get;
        if (!strcmp(name, "set")) words = set;
        if (!strcmp(name, "sadd")) words = sadd;
        c->argc = words == get ? 2 : words == evalsha ? 4 : 3;
        for (int j = 0; j < c->argc; j++) {
            c->argv[j] = words[j];
            c->lengths[j] = strlen(words[j]);
        }
        c->formatted_length = redisFormatCommandArgv(&c->formatted, c->argc, c->argv, c->lengths);
        c->key = words == evalsha ? 3 : 1;
        c->node = node_of(c);
    }
}

int main(int argc, char **argv) {
    if (argc < 6) fail("usage: RedisReference get|set|sadd|evalsha in-flight count argv|formatted port...");
    long in_flight = atol(argv[2]), count = atol(argv[3]), warm = count / 10 + in_flight;
    preformatted = !strcmp(argv[4], "formatted");
    loop = uv_default_loop();
    node_count = argc - 5;
    if (node_count > max_nodes) fail("too many nodes");
    char digest[41] = "";
    for (int i = 0; i < node_count; i++) {
        node *n = &nodes[i];
        n->context = redisConnect("127.0.0.1", atoi(argv[5 + i]));
        if (!n->context || n->context->err) fail("cannot connect");
        redisReply *reply = redisCommand(n->context, "SCRIPT LOAD %s", "return redis.call('GET', KEYS[1])");
        if (reply->len == 40) memcpy(digest, reply->str, 40);
        freeReplyObject(reply);
        n->context->flags &= ~REDIS_BLOCK;
        uv_poll_init(loop, &n->poll, n->context->fd);
        n->poll.data = n;
        watch(n, UV_READABLE);
    }
    divide();
    prepare(argv[1], digest);
    uv_prepare_init(loop, &flusher);
    uv_prepare_start(&flusher, flush_turn);
    run(warm, in_flight);
    long allocated = allocations();
    double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    run(count, in_flight);
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = now(CLOCK_MONOTONIC) - wall;
    printf("operations=%ld all=%ld wall_ns=%.0f cpu_ns=%.0f allocations=%ld\n", count, count + warm, wall, cpu,
           allocations() - allocated);
}
