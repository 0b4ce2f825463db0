/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CJANSSON_H
#define CJANSSON_H
#include <jansson.h>
#endif
