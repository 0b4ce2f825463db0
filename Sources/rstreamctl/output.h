/* SPDX-License-Identifier: Apache-2.0 */
/* What rstreamctl says: lines for people on standard error and standard output, lines of JSON for scripts. */
#ifndef RSTREAMCTL_OUTPUT_H
#define RSTREAMCTL_OUTPUT_H

#include <rstream.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Says on standard error what went wrong, after the tool's name. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* Writes text that came from elsewhere, without characters that a terminal obeys. */
void print_text(FILE *file, const char *text);

/* Says what an error means and what to do about it. */
void complain_about(const rstream_error *error);

/* Says what an error means, frees it, and returns `exit_code`. */
int fail_with(rstream_error *error, int exit_code);

/* The code to exit with for an error of an attempt to get somewhere. */
int exit_code_for(const rstream_error *error);

/* One line of JSON: json_begin, fields, json_end. */
typedef struct json_line {
  FILE *file;
  int fields;
} json_line;

json_line json_begin(FILE *file);
/* A NULL value is null. */
void json_string(json_line *line, const char *name, const char *value);
void json_number(json_line *line, const char *name, int64_t value);
void json_flag(json_line *line, const char *name, bool value);
/* Starts a list, whose elements are strings without a name; json_list_end() ends it. */
void json_list(json_line *line, const char *name);
void json_list_end(json_line *line);
/* Ends the line and sends it off. */
void json_end(json_line *line);

/* {"status":"offline", ...} for an error; for NULL the code and text given. */
void json_offline(FILE *file, const rstream_error *error, int code, const char *text);

#endif
