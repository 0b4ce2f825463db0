/* SPDX-License-Identifier: Apache-2.0 */
/* Names and texts of error codes, as static strings: librstream's from rstream/error.h, libuv's from uv.h. libuv's own
 * functions allocate for a number they do not know. */
#ifndef CCODES_H
#define CCODES_H

/* "ERR_RSTREAM_ENGINE", "ECONNREFUSED"; NULL for a number that is no code. */
const char *rstream_code_name(int code);

/* "connection refused"; NULL for a number that is no code. */
const char *rstream_code_text(int code);

#endif
