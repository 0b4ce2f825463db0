/* SPDX-License-Identifier: Apache-2.0 */
/**
 * doctor.h - finds out what keeps a client from its engine.
 *
 * One check after the other, each with what came of it, the time it took and what to do:
 *
 * | name          | what is checked |
 * |---------------|-----------------|
 * | configuration | whether the settings can work together: engine, identity, transport |
 * | project       | whether the control plane tells the engine of a managed project; skipped where the engine is known |
 * | dns           | the addresses of the engine, or of the proxy in front of it, and who has told them |
 * | tcp           | the connection to one of them |
 * | proxy         | whether the proxy opens a connection to the engine; skipped where there is none |
 * | tls           | the handshake, the certificate and how long it is valid, the protocol rstrm/1 |
 * | engine        | a control channel, opened and closed again: protocol version, token or client certificate |
 * | clock         | the time of this machine against the engine's |
 *
 * Checks that need an earlier one which has failed are skipped.
 */
#ifndef RSTREAM_DOCTOR_H
#define RSTREAM_DOCTOR_H

#include "types.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a check came to; the worse, the higher, but for the last. */
typedef enum rstream_doctor_status {
  RSTREAM_DOCTOR_PASS = 0, /**< as it should be */
  RSTREAM_DOCTOR_WARN = 1, /**< works, and may not for long or not safely */
  RSTREAM_DOCTOR_FAIL = 2, /**< does not work */
  RSTREAM_DOCTOR_SKIP = 3  /**< not checked: not needed, or not possible after an earlier failure */
} rstream_doctor_status;

/**
 * One check has ended. All strings are borrowed for the call.
 * @param name          the check, as in the table above
 * @param status        what it came to
 * @param microseconds  how long it took; 0 when it was skipped
 * @param detail        what was found, as one line of English; never a token, secret or key
 * @param advice        what to do about it, as one line of English; NULL where there is nothing to do
 * @param data          the `data` given to rstream_doctor()
 */
typedef void (*rstream_doctor_check_cb)(const char *name, rstream_doctor_status status, uint64_t microseconds,
                                        const char *detail, const char *advice, void *data);

/**
 * All checks have ended. Called once, also when the loop is closed in between.
 * @param worst  RSTREAM_DOCTOR_PASS, RSTREAM_DOCTOR_WARN or RSTREAM_DOCTOR_FAIL: the worst of all checks
 * @param data   the `data` given to rstream_doctor()
 */
typedef void (*rstream_doctor_cb)(rstream_doctor_status worst, void *data);

/**
 * Checks the way to an engine, with a client of its own that is gone afterwards. Takes no longer than the timeouts of
 * the config allow. Callbacks come on the loop's thread, never from inside this call.
 * @param loop      what to run on
 * @param config    copied; what is wrong with it is a finding and no error
 * @param on_check  called for every check, in the order of the table
 * @param on_end    called after the last of them
 * @param data      given to both
 * @param error     may be NULL; receives what rstream_error_free() frees
 * @return 0; UV_EINVAL for a NULL argument, RSTREAM_ELOOP_CLOSED, RSTREAM_EWRONGTHREAD
 */
RSTREAM_API int rstream_doctor(rstream_loop *loop, const rstream_config *config, rstream_doctor_check_cb on_check,
                               rstream_doctor_cb on_end, void *data, rstream_error **error);

#ifdef __cplusplus
}
#endif

#endif /* RSTREAM_DOCTOR_H */
