/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CWSLAY_H
#define CWSLAY_H
#include <wslay/wslay.h>
#endif
