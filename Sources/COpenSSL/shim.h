#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// Swift does not see macros that are calls.

static inline int pomelo_ssl_set_versions(SSL_CTX *context, int lowest) {
    return SSL_CTX_set_min_proto_version(context, lowest);
}

// What is kept of an idle connection is as little as may be; nobody needs what is switched off.
static inline void pomelo_ssl_set_modes(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
}

static inline void pomelo_ssl_set_session_cache(SSL_CTX *context, int mode) {
    SSL_CTX_set_session_cache_mode(context, mode);
}

static inline int pomelo_ssl_set_server_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, (void *)name);
}

static inline void pomelo_bio_want_read(BIO *bio) {
    BIO_set_retry_read(bio);
}

static inline void pomelo_bio_clear_retry(BIO *bio) {
    BIO_clear_retry_flags(bio);
}
