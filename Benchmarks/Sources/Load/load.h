// SPDX-License-Identifier: MIT
// The load generator: pomelo clients on epoll, one thread.
//
//   load echo  key=value…   requests on every connection, `depth` in flight each
//   load push  key=value…   one request at a time, each pushed to every connection
//   load idle  key=value…   opens connections and compares the server's memory
//   load ask   key=value…   one request; prints the answer
//   load ports count=N      prints free ports
//
// One line comes out, of key=value pairs; main.c lists the keys.
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MOST_PORTS = 8, MOST_PIDS = 8 };

/// What is spoken: pomelo's packages over TCP and WebSocket, or socket.io over WebSocket; within TLS, and a WebSocket
/// with permessage-deflate.
enum { TCP, WEBSOCKET, SOCKETIO };
struct transport {
    uint8_t kind, encrypts, deflates;
};

struct options {
    const char *mode, *route, *body, *room, *stats;
    int ports[MOST_PORTS], port_count;
    int pids[MOST_PIDS], pid_count;
    struct transport transport;
    int connections, depth, body_bytes, idle_milliseconds, every_milliseconds, redis_port;
    long count;
};

enum { NOT_WHOLE = 0, HANDSHAKE = 1, ACKNOWLEDGE, HEARTBEAT, DATA, KICK };

struct connection {
    int fd, port;
    struct transport transport;
    /// Whether it is open, and no call waits for it any more.
    uint8_t polled;
    /// With TLS only.
    struct ssl_st *ssl;
    uint32_t last_id, held;
    uint8_t *rest;
    uint64_t sent_at;
    /// Requests to send together at the end of a read.
    int due;
};

/// What arrived: a package, and for data whether it is a response, with its body.
struct arrival {
    int type, response;
    const uint8_t *body;
    size_t count;
};

typedef void (*arrival_fn)(struct connection *connection, struct arrival arrival);

/// Connects, shakes hands and, with a room, logs in; ends the program when that fails.
void connection_open(struct connection *connection, int port, struct transport transport, const char *room, int user);
/// Closes by RST, so that no port is left waiting.
void connection_close(struct connection *connection);
/// Sends `count` requests in one system call.
void connection_request(struct connection *connection, const char *route, const void *body, size_t size, int count);
/// Reads once and calls `arrived` for every whole package; ends the program when the server closed.
void connection_read(struct connection *connection, arrival_fn arrived);

/// TLS over the connection's socket, with anybody's certificate (tls.c); both move as many bytes as `send` and `recv`
/// would, and a connection that is not polled waits.
void tls_open(struct connection *connection);
ssize_t tls_send(struct connection *connection, const void *bytes, size_t count);
ssize_t tls_receive(struct connection *connection, void *to, size_t room);
void tls_forget(struct connection *connection);

/// Messages that stand by themselves, without the four bytes that a flush ends with (deflate.c); what comes of one
/// lasts until the next.
size_t deflate_message(const uint8_t *bytes, size_t count, const uint8_t **deflated);
size_t inflate_message(const uint8_t *bytes, size_t count, const uint8_t **inflated);

/// socket.io on a WebSocket, Engine.IO 4 (socketio.c): `42["message","…"]` around a client's text, which is five
/// characters for the id and the route's length, the route and the body, and around a server's JSON.
/// Writes a request and returns its length, six times what it says at most; the body is ASCII.
size_t socketio_request(uint8_t *to, uint32_t id, const char *route, const uint8_t *body, size_t size);
/// Reads a packet; an answer's body lasts until the next one.
struct arrival socketio_arrival(const uint8_t *text, size_t count);

void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t now_ns(void);
/// CPU time of a process, all threads, in nanoseconds.
uint64_t cpu_ns(int pid);
/// Anonymous resident memory of a process in KiB.
long memory_kib(int pid);
void pause_ms(int milliseconds);

/// CPU time of the processes, with what they use when idle taken off; and the commands that Redis ran.
struct meter {
    uint64_t cpu[MOST_PIDS], wall;
    double idle_share[MOST_PIDS];
    long commands;
    double idle_commands;
};
void meter_learn_idle(struct meter *meter, const struct options *options);
void meter_start(struct meter *meter, const struct options *options);
/// Prints `wall_us=` and `cpu_ns=<pid>:<ns>,…` since the start, and with Redis `redis_commands=` and how many an idle
/// system sends in that time, `redis_idle=`.
void meter_print(const struct meter *meter, const struct options *options);

void run_echo(const struct options *options);
void run_push(const struct options *options);
void run_idle(const struct options *options);
void run_ask(const struct options *options);

#endif
