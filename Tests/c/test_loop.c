/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapped and own loops: running, posting, driving from outside, closing from everywhere. */
#include <rstream.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>
#include <uv.h>

#include "check.h"

static void count(void *data) {
  ++*(int *)data;
}

static void null_arguments(void) {
  rstream_loop *loop = NULL;
  CHECK_INT(rstream_loop_new(NULL), UV_EINVAL);
  CHECK_INT(rstream_loop_wrap(NULL, &loop), UV_EINVAL);
  CHECK(loop == NULL);
  CHECK(rstream_loop_uv(NULL) == NULL);
  CHECK_INT(rstream_loop_run(NULL), UV_EINVAL);
  CHECK_INT(rstream_loop_run_nowait(NULL), UV_EINVAL);
  CHECK_INT(rstream_loop_stop(NULL), UV_EINVAL);
  CHECK_INT(rstream_loop_fd(NULL), UV_EINVAL);
  CHECK_INT(rstream_loop_timeout(NULL), UV_EINVAL);
  CHECK_INT(rstream_loop_post(NULL, count, NULL), UV_EINVAL);
  CHECK_INT(rstream_loop_close(NULL, NULL, NULL), UV_EINVAL);
}

static void own_loop(void) {
  rstream_loop *loop = NULL;
  int posted = 0, closed = 0;
  CHECK_INT(rstream_loop_new(&loop), 0);
  CHECK(rstream_loop_uv(loop) != NULL);
  CHECK_INT(rstream_loop_run(loop), 0);
  CHECK_INT(rstream_loop_run_nowait(loop), 0);
  CHECK_INT(rstream_loop_post(loop, NULL, NULL), UV_EINVAL);
  CHECK_INT(rstream_loop_post(loop, count, &posted), 0);
  CHECK_INT(posted, 0);
  CHECK_INT(rstream_loop_run_nowait(loop), 0);
  CHECK_INT(posted, 1);
  /* What is still posted is run before the close callback. */
  CHECK_INT(rstream_loop_post(loop, count, &posted), 0);
  CHECK_INT(rstream_loop_close(loop, count, &closed), 0);
  CHECK_INT(posted, 2);
  CHECK_INT(closed, 1);

  CHECK_INT(rstream_loop_new(&loop), 0);
  CHECK_INT(rstream_loop_close(loop, NULL, NULL), 0);
}

static void wrapped_loop(void) {
  uv_loop_t uv;
  rstream_loop *loop = NULL;
  int posted = 0, closed = 0;
  CHECK_INT(uv_loop_init(&uv), 0);
  CHECK_INT(rstream_loop_wrap(&uv, &loop), 0);
  CHECK(rstream_loop_uv(loop) == &uv);
  CHECK_INT(rstream_loop_run(loop), UV_EINVAL);
  CHECK_INT(rstream_loop_run_nowait(loop), UV_EINVAL);
  CHECK_INT(rstream_loop_stop(loop), UV_EINVAL);
  CHECK_INT(rstream_loop_fd(loop), UV_EINVAL);
  CHECK_INT(rstream_loop_timeout(loop), UV_EINVAL);
  /* It does not keep the caller's loop running. */
  CHECK_INT(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(rstream_loop_post(loop, count, &posted), 0);
  CHECK_INT(rstream_loop_close(loop, count, &closed), 0);
  CHECK_INT(closed, 0);
  CHECK_INT(rstream_loop_close(loop, count, &closed), RSTREAM_ELOOP_CLOSED);
  CHECK_INT(rstream_loop_post(loop, count, &posted), RSTREAM_ELOOP_CLOSED);
  CHECK_INT(uv_run(&uv, UV_RUN_DEFAULT), 0);
  CHECK_INT(posted, 1);
  CHECK_INT(closed, 1);
  CHECK_INT(uv_loop_close(&uv), 0);
}

static rstream_loop *current;
static int closed_inside;

static void close_inside(void *data) {
  (void)data;
  CHECK_INT(rstream_loop_run(current), UV_EINVAL);
  CHECK_INT(rstream_loop_run_nowait(current), UV_EINVAL);
  CHECK_INT(rstream_loop_close(current, count, &closed_inside), 0);
  CHECK_INT(closed_inside, 0);
}

static void close_from_callback(void) {
  for (int waiting = 0; waiting < 2; waiting++) {
    closed_inside = 0;
    CHECK_INT(rstream_loop_new(&current), 0);
    CHECK_INT(rstream_loop_post(current, close_inside, NULL), 0);
    for (int turn = 0; turn < 100 && !closed_inside; turn++) {
      int left = waiting ? rstream_loop_run(current) : rstream_loop_run_nowait(current);
      CHECK(left == 0 || left == 1);
    }
    CHECK_INT(closed_inside, 1);
  }
}

static void stop_inside(void *data) {
  ++*(int *)data;
  CHECK_INT(rstream_loop_stop(current), 0);
}

static void never(uv_timer_t *timer) {
  (void)timer;
  CHECK(!"reached");
}

static void stopping(void) {
  uv_timer_t timer;
  int stopped = 0;
  CHECK_INT(rstream_loop_new(&current), 0);
  CHECK_INT(uv_timer_init(rstream_loop_uv(current), &timer), 0);
  CHECK_INT(uv_timer_start(&timer, never, 3600000, 0), 0);
  CHECK_INT(rstream_loop_post(current, stop_inside, &stopped), 0);
  CHECK_INT(rstream_loop_run(current), 1);
  CHECK_INT(stopped, 1);
  uv_close((uv_handle_t *)&timer, NULL);
  CHECK_INT(rstream_loop_run(current), 0);
  CHECK_INT(rstream_loop_close(current, NULL, NULL), 0);
}

static int arrivals;

static void arrived(uv_poll_t *watcher, int status, int events) {
  CHECK_INT(status, 0);
  CHECK_INT(events, UV_READABLE);
  CHECK_INT(uv_poll_stop(watcher), 0);
  arrivals++;
}

/* Drives a loop as a foreign one does: waits for its descriptor, for as long as its timeout says. */
static void driven_from_outside(void) {
  rstream_loop *loop = NULL;
  int posted = 0;
  CHECK_INT(rstream_loop_new(&loop), 0);
  CHECK_INT(rstream_loop_run_nowait(loop), 0);
  struct pollfd wait = {.fd = rstream_loop_fd(loop), .events = POLLIN};
  CHECK(wait.fd >= 0);
  CHECK_INT(poll(&wait, 1, 0), 0);
  CHECK_INT(rstream_loop_timeout(loop), -1);
  CHECK_INT(rstream_loop_post(loop, count, &posted), 0);
  CHECK_INT(poll(&wait, 1, 5000), 1);
  CHECK_INT(rstream_loop_run_nowait(loop), 0);
  CHECK_INT(posted, 1);
  CHECK_INT(poll(&wait, 1, 0), 0);

  uv_timer_t timer;
  CHECK_INT(uv_timer_init(rstream_loop_uv(loop), &timer), 0);
  CHECK_INT(uv_timer_start(&timer, never, 60000, 0), 0);
  int timeout = rstream_loop_timeout(loop);
  CHECK(timeout > 0 && timeout <= 60000);
  uv_close((uv_handle_t *)&timer, NULL);
  CHECK_INT(rstream_loop_timeout(loop), 0);
  CHECK_INT(rstream_loop_run_nowait(loop), 0);

  /* A descriptor that is newly watched asks for a turn at once: the loop's own descriptor does not know of it. */
  uv_poll_t watcher;
  int ends[2];
  CHECK_INT(pipe(ends), 0);
  CHECK_INT(uv_poll_init(rstream_loop_uv(loop), &watcher, ends[0]), 0);
  CHECK_INT(uv_poll_start(&watcher, UV_READABLE, arrived), 0);
  CHECK_INT(rstream_loop_timeout(loop), 0);
  CHECK_INT(rstream_loop_run_nowait(loop), 1);
  CHECK_INT(rstream_loop_timeout(loop), -1);
  CHECK_INT(poll(&wait, 1, 0), 0);
  CHECK_INT(write(ends[1], "x", 1), 1);
  CHECK_INT(poll(&wait, 1, 5000), 1);
  CHECK_INT(rstream_loop_run_nowait(loop), 0);
  CHECK_INT(arrivals, 1);
  uv_close((uv_handle_t *)&watcher, NULL);
  CHECK_INT(rstream_loop_close(loop, NULL, NULL), 0);
  CHECK_INT(close(ends[0]) | close(ends[1]), 0);
}

static void *misuse(void *data) {
  rstream_loop *loop = data;
  CHECK(rstream_loop_uv(loop) == NULL);
  CHECK_INT(rstream_loop_run(loop), RSTREAM_EWRONGTHREAD);
  CHECK_INT(rstream_loop_run_nowait(loop), RSTREAM_EWRONGTHREAD);
  CHECK_INT(rstream_loop_stop(loop), RSTREAM_EWRONGTHREAD);
  CHECK_INT(rstream_loop_fd(loop), RSTREAM_EWRONGTHREAD);
  CHECK_INT(rstream_loop_timeout(loop), RSTREAM_EWRONGTHREAD);
  CHECK_INT(rstream_loop_close(loop, NULL, NULL), RSTREAM_EWRONGTHREAD);
  return NULL;
}

static void wrong_thread(void) {
  rstream_loop *loop = NULL;
  pthread_t thread;
  CHECK_INT(rstream_loop_new(&loop), 0);
  CHECK_INT(pthread_create(&thread, NULL, misuse, loop), 0);
  pthread_join(thread, NULL);
  CHECK_INT(rstream_loop_close(loop, NULL, NULL), 0);
}

enum { THREADS = 4, POSTS = 2000 };

typedef struct poster {
  rstream_loop *loop;
  int next;
} poster;

typedef struct posted {
  poster *from;
  int number;
  int *left;
} posted;

static void in_order(void *data) {
  posted *post = data;
  CHECK_INT(post->number, post->from->next++);
  if (--*post->left == 0) CHECK_INT(rstream_loop_stop(post->from->loop), 0);
  free(post);
}

static int posts_left;

static void *post_many(void *data) {
  poster *from = data;
  for (int i = 0; i < POSTS; i++) {
    posted *post = malloc(sizeof *post);
    CHECK(post != NULL);
    *post = (posted){from, i, &posts_left};
    CHECK_INT(rstream_loop_post(from->loop, in_order, post), 0);
  }
  return NULL;
}

static void posts_from_threads(void) {
  rstream_loop *loop = NULL;
  pthread_t threads[THREADS];
  poster posters[THREADS];
  uv_timer_t hold;
  posts_left = THREADS * POSTS;
  CHECK_INT(rstream_loop_new(&loop), 0);
  CHECK_INT(uv_timer_init(rstream_loop_uv(loop), &hold), 0);
  CHECK_INT(uv_timer_start(&hold, never, 3600000, 0), 0);
  for (int i = 0; i < THREADS; i++) {
    posters[i] = (poster){loop, 0};
    CHECK_INT(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
  }
  CHECK_INT(rstream_loop_run(loop), 1);
  CHECK_INT(posts_left, 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  uv_close((uv_handle_t *)&hold, NULL);
  CHECK_INT(rstream_loop_close(loop, NULL, NULL), 0);
}

int main(void) {
  null_arguments();
  own_loop();
  wrapped_loop();
  close_from_callback();
  stopping();
  driven_from_outside();
  wrong_thread();
  posts_from_threads();
  return 0;
}
