// SPDX-License-Identifier: MIT
#include "load.h"
#include <zlib.h>

enum { MOST_BYTES = 1 << 18 };

static uint8_t packed[MOST_BYTES], plain[MOST_BYTES];

size_t deflate_message(const uint8_t *bytes, size_t count, const uint8_t **deflated) {
    static z_stream stream;
    if (!stream.state && deflateInit2(&stream, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) fail("no deflate");
    deflateReset(&stream);
    stream.next_in = (uint8_t *)bytes;
    stream.avail_in = (uInt)count;
    stream.next_out = packed;
    stream.avail_out = sizeof packed;
    if (deflate(&stream, Z_SYNC_FLUSH) != Z_OK || stream.avail_out == 0) fail("cannot deflate %zu bytes", count);
    *deflated = packed;
    return sizeof packed - stream.avail_out - 4;
}

size_t inflate_message(const uint8_t *bytes, size_t count, const uint8_t **inflated) {
    static z_stream stream;
    static uint8_t tail[4] = {0, 0, 0xFF, 0xFF};
    if (!stream.state && inflateInit2(&stream, -15) != Z_OK) fail("no inflate");
    inflateReset(&stream);
    stream.next_out = plain;
    stream.avail_out = sizeof plain;
    stream.next_in = (uint8_t *)bytes;
    stream.avail_in = (uInt)count;
    int status = inflate(&stream, Z_SYNC_FLUSH);
    if (status != Z_OK || stream.avail_in > 0) fail("a message that was not compressed");
    stream.next_in = tail;
    stream.avail_in = sizeof tail;
    status = inflate(&stream, Z_SYNC_FLUSH);
    if (status != Z_OK && status != Z_BUF_ERROR) fail("a message that was not compressed");
    *inflated = plain;
    return sizeof plain - stream.avail_out;
}
