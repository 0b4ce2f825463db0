/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <stdarg.h>
#include <string.h>
#include <uv.h>

#include "command.h"

void complain(const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  fputs("rstreamctl: ", stderr);
  print_text(stderr, text);
  fputc('\n', stderr);
}

/* Length of the UTF-8 sequence at `text`, 0 when there is none. */
static size_t sequence_length(const unsigned char *text) {
  unsigned char first = text[0];
  size_t length = first < 0x80 ? 1 : first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : 4;
  if (first >= 0x80 && (first < 0xC2 || first > 0xF4)) return 0;
  for (size_t i = 1; i < length; i++) {
    if ((text[i] & 0xC0) != 0x80) return 0;
  }
  /* Forms that are too long, surrogates, and what lies beyond Unicode. */
  if (first == 0xE0 && text[1] < 0xA0) return 0;
  if (first == 0xED && text[1] > 0x9F) return 0;
  if (first == 0xF0 && text[1] < 0x90) return 0;
  if (first == 0xF4 && text[1] > 0x8F) return 0;
  return length;
}

void print_text(FILE *file, const char *text) {
  const unsigned char *next = (const unsigned char *)text;
  while (*next) {
    size_t length = sequence_length(next);
    /* C0, DEL and, as two bytes, C1. */
    bool is_control = *next < 0x20 || *next == 0x7F || (length == 2 && next[0] == 0xC2 && next[1] < 0xA0);
    if (length == 0 || is_control) {
      fputc('?', file);
      next += length ? length : 1;
    } else {
      fwrite(next, 1, length, file);
      next += length;
    }
  }
}

/* What to do about an error; NULL when its message says it all. */
static const char *advice(const rstream_error *error) {
  switch (rstream_error_code(error)) {
    case RSTREAM_EENGINE:
      switch (rstream_error_engine_code(error)) {
        case RSTREAM_ENGINE_UNAUTHORIZED:
          return "Give a valid token with --token or RSTREAM_AUTHENTICATION_TOKEN.";
        case RSTREAM_ENGINE_TUNNEL_NOT_FOUND:
          return "Is the tunnel online, and is its name or id spelled right?";
        case RSTREAM_ENGINE_RESOURCE_CONFLICT:
          return "Another tunnel has that host name or port: choose another one or end the other tunnel.";
        default:
          return NULL;
      }
    case RSTREAM_EENGINE_API_HTTP:
      switch (rstream_error_engine_code(error)) {
        case 401:
          return "Give a valid token with --token or RSTREAM_AUTHENTICATION_TOKEN.";
        case 403:
          return "The token needs the permission tunnels.resources.read-only.";
        default:
          return NULL;
      }
    case RSTREAM_EENGINE_REQUIRED:
      return "Give --engine HOST[:PORT] or set RSTREAM_ENGINE; 'rstreamctl engine --dev' starts an engine here.";
    case RSTREAM_ETLS:
      return "An engine with certificates of its own, as in development, needs --ca-file FILE or RSTREAM_CA_FILE.";
    case UV_ECONNREFUSED:
      return "Is the engine running, and is its port right? 'rstreamctl engine --dev' starts one here.";
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
      return "Is the engine's host name spelled right?";
    case UV_EADDRINUSE:
      return "Another program listens there: end it or choose another port.";
    case UV_EACCES:
      return "Ports below 1024 need privileges: choose another one with --listen.";
    default:
      return NULL;
  }
}

void complain_about(const rstream_error *error) {
  complain("%s", rstream_error_message(error));
  const char *what_to_do = advice(error);
  if (what_to_do) fprintf(stderr, "%s\n", what_to_do);
}

int fail_with(rstream_error *error, int exit_code) {
  complain_about(error);
  rstream_error_free(error);
  return exit_code;
}

int exit_code_for(const rstream_error *error) {
  int code = rstream_error_code(error);
  switch (code) {
    case RSTREAM_EENGINE:
    case RSTREAM_EENGINE_API_HTTP:
      return EXIT_REFUSED;
    case RSTREAM_ETLS:
    case RSTREAM_EOPERATION_TIMEOUT:
    case RSTREAM_ECONTROL_LIVENESS:
    case RSTREAM_EPROXY:
    case RSTREAM_EENGINE_DISCOVERY:
      return EXIT_UNREACHABLE;
    case RSTREAM_EINVALID_LOCAL_ENDPOINT:
      return EXIT_USAGE;
    default:
      if (code <= RSTREAM_EAUTH_CONFLICT && code >= RSTREAM_EUNSUPPORTED_TRANSPORT) return EXIT_REFUSED;
      if (code <= RSTREAM_ECONTEXT_NOT_FOUND && code >= RSTREAM_EAPI_INVALID_RESPONSE) return EXIT_REFUSED;
      /* What is not ours is libuv's: the network. */
      return code > -10000 ? EXIT_UNREACHABLE : EXIT_OTHER;
  }
}

static void json_quoted(FILE *file, const char *text) {
  const unsigned char *next = (const unsigned char *)text;
  fputc('"', file);
  while (*next) {
    size_t length = sequence_length(next);
    if (length == 0) {
      fputs("\\ufffd", file);
      length = 1;
    } else if (*next == '"' || *next == '\\') {
      fprintf(file, "\\%c", *next);
    } else if (*next < 0x20 || *next == 0x7F) {
      fprintf(file, "\\u%04x", *next);
    } else {
      fwrite(next, 1, length, file);
    }
    next += length;
  }
  fputc('"', file);
}

json_line json_begin(FILE *file) {
  fputc('{', file);
  return (json_line){file, 0};
}

static void json_name(json_line *line, const char *name) {
  if (line->fields++ > 0) fputc(',', line->file);
  if (name) {
    json_quoted(line->file, name);
    fputc(':', line->file);
  }
}

void json_string(json_line *line, const char *name, const char *value) {
  json_name(line, name);
  if (value) {
    json_quoted(line->file, value);
  } else {
    fputs("null", line->file);
  }
}

void json_number(json_line *line, const char *name, int64_t value) {
  json_name(line, name);
  fprintf(line->file, "%lld", (long long)value);
}

void json_flag(json_line *line, const char *name, bool value) {
  json_name(line, name);
  fputs(value ? "true" : "false", line->file);
}

void json_list(json_line *line, const char *name) {
  json_name(line, name);
  fputc('[', line->file);
  line->fields = 0;
}

void json_list_end(json_line *line) {
  fputc(']', line->file);
  line->fields = 1;
}

void json_end(json_line *line) {
  fputs("}\n", line->file);
  fflush(line->file);
}

void json_offline(FILE *file, const rstream_error *error, int code, const char *text) {
  json_line line = json_begin(file);
  json_string(&line, "status", "offline");
  json_string(&line, "code", error ? rstream_error_name(error) : rstream_err_name(code));
  json_string(&line, "error", error ? rstream_error_message(error) : text);
  json_number(&line, "engine_code", rstream_error_engine_code(error));
  json_end(&line);
}
