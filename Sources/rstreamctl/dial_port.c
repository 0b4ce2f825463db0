/* SPDX-License-Identifier: Apache-2.0 */
/* What a local port of the dial command says: lines for people, or JSON. */
#include <stdio.h>

#include "address.h"
#include "command.h"
#include "dial.h"
#include "output.h"

void dial_say_listening(const dial_values *values, const struct sockaddr *address, const char *kind) {
  char text[64] = "";
  if (address) address_text(address, text, sizeof text);
  if (values->json) {
    json_line line = json_begin(stdout);
    json_string(&line, "event", "listening");
    json_string(&line, "address", text);
    json_end(&line);
  } else {
    printf("%s%s -> rstrm://", text, kind);
    print_text(stdout, values->target);
    fputs("\nCtrl-C ends it.\n", stdout);
    fflush(stdout);
  }
}

void dial_cannot_listen(dial_values *values, int status) {
  complain("cannot listen on %s: %s", values->listen_address, rstream_strerror(status));
  if (values->json) json_offline(stdout, NULL, status, rstream_strerror(status));
  session_end(&values->session, status == UV_EINVAL ? EXIT_USAGE : EXIT_OTHER);
}

void dial_say_opened(const dial_values *values, const char *peer) {
  if (!values->json) return;
  json_line line = json_begin(stdout);
  json_string(&line, "event", "opened");
  json_string(&line, "peer", peer);
  json_end(&line);
}

void dial_say_closed(const dial_values *values, const char *peer, const dial_counts *counts, const char *error) {
  if (values->json) {
    json_line line = json_begin(stdout);
    json_string(&line, "event", "closed");
    json_string(&line, "peer", peer);
    json_number(&line, "bytes_in", (int64_t)counts->bytes_in);
    json_number(&line, "bytes_out", (int64_t)counts->bytes_out);
    if (values->udp) json_number(&line, "dropped", (int64_t)counts->dropped);
    json_string(&line, "error", error);
    json_end(&line);
  } else if (error) {
    complain("%s: %s", peer, error);
  }
}
