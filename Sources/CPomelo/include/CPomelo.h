// SPDX-License-Identifier: MIT
// C glue that Swift cannot express: a thread-local, the runtime's enqueue hooks, a signal-safe backtrace,
// one bound that hiredis before 1.0 has no option for.
#ifndef CPOMELO_H
#define CPOMELO_H

#include <stddef.h>
#include <stdint.h>

/// The event loop that owns the calling thread, or NULL.
void *pomelo_current_loop(void);
void pomelo_set_current_loop(void *loop);

typedef void (*pomelo_enqueue_fn)(void *job);
typedef void (*pomelo_enqueue_delay_fn)(uint64_t nanoseconds, void *job);
typedef void (*pomelo_enqueue_deadline_fn)(int64_t seconds, int64_t nanoseconds, int clock, void *job);

/// Sends every job of the global executor to these functions; 0 when the runtime has no such hooks.
int pomelo_install_executor_hooks(pomelo_enqueue_fn now, pomelo_enqueue_delay_fn after,
                                  pomelo_enqueue_deadline_fn at);

/// Makes this thread answer `pomelo_sample_backtrace` (one thread per process).
void pomelo_arm_backtrace(void);
/// Writes the armed thread's stack, one frame a line, into `text`; returns the length, 0 when it did not answer.
size_t pomelo_sample_backtrace(char *text, size_t capacity);

/// SIGPIPE would kill the process when hiredis or libuv writes to a closed socket.
void pomelo_ignore_sigpipe(void);

/// Makes a `redisReader` refuse arrays of more than 2^24 elements: their announcement alone would take memory.
void pomelo_bound_arrays(void *reader);

#endif
