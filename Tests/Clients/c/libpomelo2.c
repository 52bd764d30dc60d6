// SPDX-License-Identifier: MIT
//
// One connection of libpomelo2, as published, that does what it is told.
//
//   libpomelo2 HOST PORT [FILE OF THE AUTHORITY, for TLS]
#include <pomelo.h>
#include <pthread.h>
#include <stdint.h>

#include "orders.h"

enum { DEADLINE_SECONDS = 15, LONGEST_PAUSE_SECONDS = 4 };
static pc_client_t *client;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_left = PTHREAD_COND_INITIALIZER;
static int left;

// The library's thread calls this.
static void happened(pc_client_t *of, int event, void *nothing, const char *first, const char *second) {
    (void)of, (void)nothing;
    switch (event) {
    case PC_EV_USER_DEFINED_PUSH: printf("push %s %s\n", first, second); break;
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
    default: fprintf(stderr, "%s: %s\n", pc_client_ev_str(event), first);
    }
}

static void answered(const pc_request_t *request, int result, const char *body) {
    const long number = (intptr_t)pc_request_ex_data(request);
    if (result == PC_RC_OK) printf("answer %ld %s\n", number, body);
    else printf("failed %ld %s\n", number, pc_client_rc_str(result));
}

static void told(const pc_notify_t *message, int result) {
    if (result != PC_RC_OK) fprintf(stderr, "%s: %s\n", pc_notify_route(message), pc_client_rc_str(result));
}

static void ask(long number, const char *route, const char *body) {
    must(pc_request_with_timeout(client, route, body, (void *)(intptr_t)number, DEADLINE_SECONDS, answered), route);
}

static void tell(const char *route, const char *body) {
    must(pc_notify_with_timeout(client, route, body, NULL, DEADLINE_SECONDS, told), route);
}

int main(int count, char **words) {
    if (count < 3) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    pc_lib_init(complain, NULL, NULL, NULL);
    pc_client_config_t config = PC_CLIENT_CONFIG_DEFAULT;
    config.reconn_delay_max = LONGEST_PAUSE_SECONDS;
    if (count > 3) {
        config.transport_name = PC_TR_NAME_UV_TLS;
        tr_uv_tls_set_ca_file(words[3], NULL);
    }
    client = malloc(pc_client_size());
    must(pc_client_init(client, NULL, &config), "init");
    pc_client_add_ev_handler(client, happened, NULL, NULL);
    must(pc_client_connect(client, words[1], atoi(words[2]), NULL), "connect");
    obey(ask, tell);
    // One that was kicked has nothing to end.
    if (pc_client_disconnect(client) == PC_RC_OK) {
        pthread_mutex_lock(&lock);
        while (!left) pthread_cond_wait(&has_left, &lock);
        pthread_mutex_unlock(&lock);
    }
    must(pc_client_cleanup(client), "cleanup");
    free(client);
    pc_lib_cleanup();
    return 0;
}
