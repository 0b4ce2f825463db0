/* SPDX-License-Identifier: Apache-2.0 */
/* What every test program uses: a check that ends the program and says where it failed. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                            \
  do {                                                                              \
    if (!(condition)) {                                                             \
      fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                      \
    }                                                                               \
  } while (0)

/* A number that has to be another one; both are shown. */
#define CHECK_INT(actual, expected)                                                                               \
  do {                                                                                                            \
    long long check_actual = (long long)(actual), check_expected = (long long)(expected);                         \
    if (check_actual != check_expected) {                                                                         \
      fprintf(stderr, "%s:%d: %s is %lld, not %s (%lld)\n", __FILE__, __LINE__, #actual, check_actual, #expected, \
              check_expected);                                                                                    \
      exit(1);                                                                                                    \
    }                                                                                                             \
  } while (0)

/* A string that has to be another one; NULL equals nothing. */
#define CHECK_STR(actual, expected)                                                     \
  do {                                                                                  \
    const char *check_actual = (actual), *check_expected = (expected);                  \
    if (!check_actual || strcmp(check_actual, check_expected) != 0) {                   \
      fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #actual, \
              check_actual ? check_actual : "(NULL)", check_expected);                  \
      exit(1);                                                                          \
    }                                                                                   \
  } while (0)

#endif
