/* SPDX-License-Identifier: Apache-2.0 */
/* The options of every command that is a client of an engine. */
#ifndef RSTREAMCTL_CLIENT_OPTIONS_H
#define RSTREAMCTL_CLIENT_OPTIONS_H

#include <rstream.h>

#include "command.h"
#include "session.h"

/* Applied to a rstream_config. */
extern const option_t client_options[];

/* Makes a client of what was given and, below that, of the environment. Returns 0, or the code to exit with, having said
 * why; then *error (freed by the caller) is the reason. */
int client_make(session_t *session, rstream_config *config, rstream_client **client, rstream_error **error);

#endif
