// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "CPomelo.h"

#include <execinfo.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

// MARK: backtrace of a stalled thread

enum { MAX_FRAMES = 48 };
static pthread_t armed_thread;
static atomic_int armed, frame_count;
static void *frames[MAX_FRAMES];

static void sample(int signal_number) {
    (void)signal_number;
    atomic_store(&frame_count, backtrace(frames, MAX_FRAMES));
}

void pomelo_arm_backtrace(void) {
    void *warm_up[1];
    backtrace(warm_up, 1); // loads libgcc now: the first call allocates and must not happen in a signal handler
    struct sigaction action = {.sa_handler = sample, .sa_flags = SA_RESTART};
    sigaction(SIGURG, &action, NULL); // ignored by default and unused by libuv
    sigset_t sampled; // a thread inherits its creator's mask, and Dispatch's workers block every signal
    sigemptyset(&sampled);
    sigaddset(&sampled, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &sampled, NULL);
    armed_thread = pthread_self();
    atomic_store(&armed, 1);
}

size_t pomelo_sample_backtrace(char *text, size_t capacity) {
    if (!atomic_load(&armed) || capacity == 0) return 0;
    atomic_store(&frame_count, 0);
    if (pthread_kill(armed_thread, SIGURG) != 0) return 0;
    for (int tries = 0; tries < 100 && atomic_load(&frame_count) == 0; tries++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    int count = atomic_load(&frame_count);
    if (count == 0) return 0;
    char **names = backtrace_symbols(frames, count);
    if (!names) return 0;
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        if (used + length + 2 > capacity) break;
        memcpy(text + used, names[i], length);
        used += length;
        text[used++] = '\n';
    }
    text[used] = 0;
    free(names);
    return used;
}

void pomelo_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

// MARK: hiredis

enum { MAX_ELEMENTS = 1 << 24 };

#if HIREDIS_MAJOR < 1
static redisReplyObjectFunctions bounded, *original;

static void *create_array(const redisReadTask *task, int elements) {
    return elements > MAX_ELEMENTS ? NULL : original->createArray(task, elements);
}

void pomelo_bound_arrays(void *reader) {
    redisReader *r = reader;
    original = r->fn;
    bounded = *original;
    bounded.createArray = create_array;
    r->fn = &bounded;
}
#else
void pomelo_bound_arrays(void *reader) { ((redisReader *)reader)->maxelements = MAX_ELEMENTS; }
#endif
