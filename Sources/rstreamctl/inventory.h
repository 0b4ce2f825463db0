/* SPDX-License-Identifier: Apache-2.0 */
/* Filters as options, for the commands that list or watch. */
#ifndef RSTREAMCTL_INVENTORY_H
#define RSTREAMCTL_INVENTORY_H

#include <rstream.h>

#include "command.h"

/* Sets the filter that option->setting names. `filters` is a rstream_filters. Returns 0 or the code to exit with. */
int filter_set(rstream_filters *filters, const char *name, const char *value);

/* Asks for a label: "key=value", or "key" for any value. Returns 0 or the code to exit with. */
int filter_label(rstream_filters *filters, const char *text);

#endif
