/* SPDX-License-Identifier: Apache-2.0 */
#include "local.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Bytes on their way to a handle, or waiting to be written to a file. */
struct local_piece {
  local_piece *next;
  local_t *end;
  uv_write_t request;
  size_t count, written;
  char bytes[];
};

static void write_next_to_file(local_t *end);
static void read_next_from_file(local_t *end);

int local_open(local_t *end, uv_loop_t *loop, uv_file file) {
  int status;
  end->loop = loop;
  end->file = file;
  end->flags = fcntl(file, F_GETFL);
  switch (uv_guess_handle(file)) {
    case UV_TTY:
      status = uv_tty_init(loop, &end->handle.tty, file, 0);
      break;
    case UV_NAMED_PIPE:
      status = uv_pipe_init(loop, &end->handle.pipe, 0);
      if (status == 0) status = uv_pipe_open(&end->handle.pipe, file);
      break;
    case UV_TCP:
      status = uv_tcp_init(loop, &end->handle.tcp);
      if (status == 0) status = uv_tcp_open(&end->handle.tcp, file);
      break;
    case UV_FILE:
      status = uv_timer_init(loop, &end->handle.none);
      end->is_file = true;
      break;
    default:
      status = UV_EBADF;
  }
  end->handle.any.data = end;
  return status;
}

int local_accept(local_t *end, uv_stream_t *listener) {
  end->loop = listener->loop;
  end->file = -1;
  int status = uv_tcp_init(end->loop, &end->handle.tcp);
  end->handle.any.data = end;
  if (status == 0) status = uv_accept(listener, &end->handle.stream);
  if (status == 0) uv_tcp_nodelay(&end->handle.tcp, 1);
  return status;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  local_t *end = handle->data;
  (void)suggested;
  *buf = uv_buf_init(end->buffer, sizeof end->buffer);
}

static void on_stream_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf) {
  local_t *end = stream->data;
  if (count > 0) {
    end->on_read(end, buf->base, (size_t)count, 0);
  } else if (count < 0) {
    local_read_stop(end);
    end->on_read(end, NULL, 0, count == UV_EOF ? 0 : (int)count);
  }
}

void local_read_start(local_t *end) {
  if (end->reads || end->is_closing) return;
  end->reads = true;
  if (end->is_file) {
    read_next_from_file(end);
  } else {
    uv_read_start(&end->handle.stream, on_alloc, on_stream_read);
  }
}

void local_read_stop(local_t *end) {
  end->reads = false;
  if (!end->is_file && !end->is_closing) uv_read_stop(&end->handle.stream);
}

/* Closed is what has neither handle nor request left. */
static void finish_closing(local_t *end) {
  if (!end->is_handle_closed || end->is_reading_file || end->is_writing_file) return;
  while (end->first) {
    local_piece *piece = end->first;
    end->first = piece->next;
    free(piece);
  }
  end->on_closed(end);
}

static void on_file_read(uv_fs_t *request) {
  local_t *end = request->data;
  ssize_t count = request->result;
  uv_fs_req_cleanup(request);
  end->is_reading_file = false;
  if (end->is_closing) {
    finish_closing(end);
    return;
  }
  if (count <= 0) end->reads = false;
  end->on_read(end, end->buffer, count > 0 ? (size_t)count : 0, count < 0 ? (int)count : 0);
  read_next_from_file(end);
}

static void read_next_from_file(local_t *end) {
  if (!end->reads || end->is_reading_file || end->is_closing) return;
  uv_buf_t buf = uv_buf_init(end->buffer, sizeof end->buffer);
  end->read_request.data = end;
  end->is_reading_file = uv_fs_read(end->loop, &end->read_request, end->file, &buf, 1, -1, on_file_read) == 0;
}

static void report_drained(local_t *end) {
  if (!end->is_closing) end->on_drained(end, end->error);
}

static local_piece *piece_of(local_t *end, const char *bytes, size_t count) {
  local_piece *piece = malloc(sizeof *piece + count);
  if (!piece) return NULL;
  piece->next = NULL;
  piece->end = end;
  piece->count = count;
  piece->written = 0;
  memcpy(piece->bytes, bytes, count);
  end->queued += count;
  return piece;
}

static void on_stream_written(uv_write_t *request, int status) {
  local_piece *piece = request->data;
  local_t *end = piece->end;
  end->queued -= piece->count;
  free(piece);
  if (status < 0 && end->error == 0) end->error = status;
  if (end->queued == 0 || end->error) report_drained(end);
}

static int write_to_stream(local_t *end, const char *bytes, size_t count) {
  uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)count);
  int written = end->queued == 0 ? uv_try_write(&end->handle.stream, &buf, 1) : UV_EAGAIN;
  if (written == UV_EAGAIN) written = 0;
  if (written < 0 || (size_t)written == count) return written < 0 ? written : 0;
  local_piece *piece = piece_of(end, bytes + written, count - (size_t)written);
  if (!piece) return UV_ENOMEM;
  piece->request.data = piece;
  buf = uv_buf_init(piece->bytes, (unsigned)piece->count);
  int status = uv_write(&piece->request, &end->handle.stream, &buf, 1, on_stream_written);
  if (status != 0) {
    end->queued -= piece->count;
    free(piece);
  }
  return status;
}

static void on_file_written(uv_fs_t *request) {
  local_t *end = request->data;
  local_piece *piece = end->first;
  ssize_t count = request->result;
  uv_fs_req_cleanup(request);
  end->is_writing_file = false;
  if (count < 0) {
    end->error = (int)count;
  } else {
    piece->written += (size_t)count;
    end->queued -= (size_t)count;
    if (piece->written == piece->count) {
      end->first = piece->next;
      free(piece);
    }
  }
  if (end->is_closing) {
    finish_closing(end);
  } else if (!end->first || end->error) {
    report_drained(end);
  } else {
    write_next_to_file(end);
  }
}

static void write_next_to_file(local_t *end) {
  if (!end->first || end->is_writing_file) return;
  local_piece *piece = end->first;
  uv_buf_t buf = uv_buf_init(piece->bytes + piece->written, (unsigned)(piece->count - piece->written));
  end->write_request.data = end;
  end->is_writing_file = uv_fs_write(end->loop, &end->write_request, end->file, &buf, 1, -1, on_file_written) == 0;
}

int local_write(local_t *end, const void *bytes, size_t count) {
  if (end->error) return end->error;
  if (end->is_closing) return UV_ECANCELED;
  if (!end->is_file) return write_to_stream(end, bytes, count);
  local_piece *piece = piece_of(end, bytes, count);
  if (!piece) return UV_ENOMEM;
  if (end->first) {
    end->last->next = piece;
  } else {
    end->first = piece;
  }
  end->last = piece;
  write_next_to_file(end);
  return 0;
}

size_t local_queued(const local_t *end) {
  return end->queued;
}

static void on_shutdown(uv_shutdown_t *request, int status) {
  local_t *end = request->data;
  /* Pipes and terminals have no half close and say so; what is only written to is closed all the same. */
  (void)status;
  if (end->closes_when_shut) local_close(end);
}

void local_shutdown(local_t *end) {
  if (end->is_closing) return;
  end->shutdown_request.data = end;
  if (end->is_file) {
    if (end->closes_when_shut) local_close(end);
  } else if (uv_shutdown(&end->shutdown_request, &end->handle.stream, on_shutdown) != 0) {
    on_shutdown(&end->shutdown_request, 0);
  }
}

static void on_handle_closed(uv_handle_t *handle) {
  local_t *end = handle->data;
  end->is_handle_closed = true;
  finish_closing(end);
}

static bool begin_closing(local_t *end) {
  if (end->is_closing) return false;
  end->is_closing = true;
  end->reads = false;
  /* Others may go on with the pipe or terminal behind the descriptor and expect it as it was. */
  if (end->file >= 0 && end->flags >= 0) fcntl(end->file, F_SETFL, end->flags);
  return true;
}

void local_close(local_t *end) {
  if (begin_closing(end)) uv_close(&end->handle.any, on_handle_closed);
}

void local_reset(local_t *end) {
  if (!begin_closing(end)) return;
  bool is_tcp = end->handle.any.type == UV_TCP;
  if (!is_tcp || uv_tcp_close_reset(&end->handle.tcp, on_handle_closed) != 0) {
    uv_close(&end->handle.any, on_handle_closed);
  }
}
