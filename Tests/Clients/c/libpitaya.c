// SPDX-License-Identifier: MIT
//
// One connection of libpitaya, as published, that does what it is told. It compresses what it says, by default.
//
//   libpitaya HOST PORT [FILE OF THE AUTHORITY, for TLS]
#include <pitaya.h>
#include <pthread.h>

#include "orders.h"

enum { DEADLINE_SECONDS = 15, LONGEST_PAUSE_SECONDS = 4 };
static pc_client_t *client;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_left = PTHREAD_COND_INITIALIZER;
static int left;

// The library's thread calls these.

static void happened(pc_client_t *of, int event, void *nothing, const char *first, const char *second) {
    (void)of, (void)nothing;
    switch (event) {
    case PC_EV_CONNECTED: puts("connected"); break;
    case PC_EV_KICKED_BY_SERVER: puts("kicked"); break;
    case PC_EV_UNEXPECTED_DISCONNECT: printf("lost %s\n", first); break;
    case PC_EV_DISCONNECT:
        puts("left");
        pthread_mutex_lock(&lock);
        left = 1;
        pthread_cond_signal(&has_left);
        pthread_mutex_unlock(&lock);
        break;
    default: fprintf(stderr, "%s: %s %s\n", pc_client_ev_str(event), first ? first : "", second ? second : "");
    }
}

static void pushed(pc_client_t *of, const char *route, const pc_buf_t *body) {
    (void)of;
    printf("push %s %.*s\n", route, (int)body->len, (const char *)body->base);
}

static void answered(const pc_request_t *request, const pc_buf_t *body) {
    printf("answer %ld %.*s\n", (long)(intptr_t)pc_request_ex_data(request), (int)body->len, (const char *)body->base);
}

static void failed(const pc_request_t *request, const pc_error_t *error) {
    printf("failed %ld %s\n", (long)(intptr_t)pc_request_ex_data(request), pc_client_rc_str(error->code));
}

static void untold(const pc_notify_t *message, const pc_error_t *error) {
    fprintf(stderr, "%s: %s\n", pc_notify_route(message), pc_client_rc_str(error->code));
}

static void ask(long number, const char *route, const char *body) {
    void *const data = (void *)(intptr_t)number;
    must(pc_string_request_with_timeout(client, route, body, data, DEADLINE_SECONDS, answered, failed), route);
}

static void tell(const char *route, const char *body) {
    must(pc_string_notify_with_timeout(client, route, body, NULL, DEADLINE_SECONDS, untold), route);
}

int main(int count, char **words) {
    if (count < 3) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    const pc_lib_client_info_t who = {.platform = "linux", .build_number = "1", .version = "1.0"};
    pc_lib_init(complain, NULL, NULL, NULL, who);
    pc_client_config_t config = PC_CLIENT_CONFIG_DEFAULT;
    config.reconn_delay_max = LONGEST_PAUSE_SECONDS;
    if (count > 3) {
        config.transport_name = PC_TR_NAME_UV_TLS;
        must(tr_uv_tls_set_ca_file(words[3], NULL), "file of the authority");
    }
    const pc_client_init_result_t made = pc_client_init(NULL, &config);
    must(made.rc, "init");
    client = made.client;
    pc_client_add_ev_handler(client, happened, NULL, NULL);
    pc_client_set_push_handler(client, pushed);
    must(pc_client_connect(client, words[1], atoi(words[2]), NULL), "connect");
    obey(ask, tell);
    // One that was kicked has nothing to end.
    if (pc_client_disconnect(client) == PC_RC_OK) {
        pthread_mutex_lock(&lock);
        while (!left) pthread_cond_wait(&has_left, &lock);
        pthread_mutex_unlock(&lock);
    }
    must(pc_client_cleanup(client), "cleanup");
    pc_lib_cleanup();
    return 0;
}
