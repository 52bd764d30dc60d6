#include <zlib.h>

// Swift does not see macros that call functions.
static inline int pomelo_inflate_init(z_streamp stream, int window_bits) {
    return inflateInit2(stream, window_bits);
}

static inline int pomelo_deflate_init(z_streamp stream, int level, int window_bits, int memory_level) {
    return deflateInit2(stream, level, Z_DEFLATED, window_bits, memory_level, Z_DEFAULT_STRATEGY);
}

// Part of zlib since 1.2.6, but not of every zlib.h in the same form: keeps the window behind the end of a stream.
static inline int pomelo_inflate_next(z_streamp stream) {
    return inflateResetKeep(stream);
}
