// SPDX-License-Identifier: MIT
#include "CPomelo.h"

#include <signal.h>

static _Thread_local void *current_loop;

void *pomelo_current_loop(void) { return current_loop; }
void pomelo_set_current_loop(void *loop) { current_loop = loop; }

// The Swift runtime exports these variables for embedders (stdlib/public/Concurrency, "hooks"); weak, so that a
// runtime without them still links and the caller falls back.
#define SWIFT_CC __attribute__((swiftcall))
typedef SWIFT_CC void (*enqueue_original)(void *job);
extern SWIFT_CC void (*swift_task_enqueueGlobal_hook)(void *, enqueue_original) __attribute__((weak));
extern SWIFT_CC void (*swift_task_enqueueGlobalWithDelay_hook)(unsigned long long, void *, void *)
    __attribute__((weak));
extern SWIFT_CC void (*swift_task_enqueueGlobalWithDeadline_hook)(long long, long long, long long, long long, int,
                                                                  void *, void *) __attribute__((weak));

static pomelo_enqueue_fn enqueue_now;
static pomelo_enqueue_delay_fn enqueue_after;
static pomelo_enqueue_deadline_fn enqueue_at;

static SWIFT_CC void now_hook(void *job, enqueue_original original) {
    (void)original;
    enqueue_now(job);
}
static SWIFT_CC void after_hook(unsigned long long delay, void *job, void *original) {
    (void)original;
    enqueue_after(delay, job);
}
static SWIFT_CC void at_hook(long long sec, long long nsec, long long tol_sec, long long tol_nsec, int clock, void *job,
                             void *original) {
    (void)tol_sec;
    (void)tol_nsec;
    (void)original;
    enqueue_at(sec, nsec, clock, job);
}

int pomelo_install_executor_hooks(pomelo_enqueue_fn now, pomelo_enqueue_delay_fn after,
                                  pomelo_enqueue_deadline_fn at) {
    if (!&swift_task_enqueueGlobal_hook || !&swift_task_enqueueGlobalWithDelay_hook ||
        !&swift_task_enqueueGlobalWithDeadline_hook)
        return 0;
    enqueue_now = now;
    enqueue_after = after;
    enqueue_at = at;
    swift_task_enqueueGlobal_hook = now_hook;
    swift_task_enqueueGlobalWithDelay_hook = after_hook;
    swift_task_enqueueGlobalWithDeadline_hook = at_hook;
    return 1;
}

void pomelo_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }
