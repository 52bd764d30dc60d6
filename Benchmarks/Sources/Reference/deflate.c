// SPDX-License-Identifier: MIT
// zlib as the framework uses it, level 1 and hash tables of 16 KiB, so that what is compared is what is around it.
#include "reference.h"
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { MOST_BYTES = 1 << 18 };

static uint8_t packed[MOST_BYTES], plain[MOST_BYTES];

static void need(int status, const char *what) {
    if (status == Z_OK) return;
    fprintf(stderr, "reference: %s: %d\n", what, status);
    exit(1);
}

size_t deflate_message(const uint8_t *bytes, size_t count, const uint8_t **deflated) {
    static z_stream stream;
    if (!stream.state) need(deflateInit2(&stream, 1, Z_DEFLATED, -15, 6, Z_DEFAULT_STRATEGY), "deflateInit2");
    deflateReset(&stream);
    stream.next_in = (uint8_t *)bytes;
    stream.avail_in = (uInt)count;
    stream.next_out = packed;
    stream.avail_out = sizeof packed;
    need(deflate(&stream, Z_SYNC_FLUSH), "deflate");
    // Without the four bytes that a flush ends with.
    size_t size = sizeof packed - stream.avail_out - 4;
    *deflated = packed;
    return size < count ? size : 0;
}

size_t inflate_message(const uint8_t *bytes, size_t count, const uint8_t **inflated) {
    static z_stream stream;
    static uint8_t tail[4] = {0, 0, 0xFF, 0xFF};
    if (!stream.state) need(inflateInit2(&stream, -15), "inflateInit2");
    inflateReset(&stream);
    stream.next_out = plain;
    stream.avail_out = sizeof plain;
    stream.next_in = (uint8_t *)bytes;
    stream.avail_in = (uInt)count;
    need(inflate(&stream, Z_SYNC_FLUSH), "inflate");
    stream.next_in = tail;
    stream.avail_in = sizeof tail;
    int status = inflate(&stream, Z_SYNC_FLUSH);
    if (status != Z_BUF_ERROR) need(status, "inflate");
    *inflated = plain;
    return sizeof plain - stream.avail_out;
}
