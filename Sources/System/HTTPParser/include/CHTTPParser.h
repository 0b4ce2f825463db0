/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CHTTPPARSER_H
#define CHTTPPARSER_H
#include <http_parser.h>
#endif
