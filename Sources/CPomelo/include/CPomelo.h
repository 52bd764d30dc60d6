// SPDX-License-Identifier: MIT
// C glue that Swift cannot express: a thread-local, the runtime's enqueue hooks, where a thread is.
#ifndef CPOMELO_H
#define CPOMELO_H

#include <stdbool.h>
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

/// Makes the calling thread the one that `pomelo_backtrace` looks at (one per process).
void pomelo_arm_backtrace(void);
/// Where the armed thread is, innermost first, by another thread; returns how many addresses, 0 when nobody can tell.
/// A thread that waits in the kernel is left alone: a signal would end its wait.
int pomelo_backtrace(void **addresses, int capacity);
/// Writes the name of the function at an address, as text that ends in a zero byte; false when it has none.
bool pomelo_symbol(const void *address, char *text, size_t capacity);

/// SIGPIPE would kill the process when hiredis or libuv writes to a closed socket.
void pomelo_ignore_sigpipe(void);

#endif
