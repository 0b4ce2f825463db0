// SPDX-License-Identifier: Apache-2.0
//
// librstream.hpp - librstream for C++20: handles that close themselves, results, callables and coroutines.
//
// The C headers document every operation, its errors and units; this header adds what C++ can carry:
//
// - A handle (loop, client, control, tunnel, stream, packets, engine) closes its object when it is destroyed. Handles may end in
//   any order: closing a parent closes its children first, and calls on a closed or moved-from handle return an error.
//   No callback touches what was destroyed. Handles are used and destroyed on their loop's thread.
// - Operations return result<T>, or take a callable that is given one. A callable is moved in (it may be move-only), costs
//   one allocation when it is registered and none when it is called, and is destroyed when it cannot be called again.
// - Without a callable an operation starts at once and may be awaited: `auto tunnel = co_await control.create_tunnel()`.
//   Dropping it unawaited forgets its result, which closes the handle in it. A handle has to outlive the call, not the wait.
// - An exception that leaves a callable never enters C: it goes to loop::on_exception(), or else is kept, stops an own
//   loop and leaves loop::run(), run_nowait() or rethrow(). Of several that are kept the first one stays.
// - A loop that is destroyed first closes all objects on it, and destroys the coroutines of spawn() that still wait then.
#ifndef LIBRSTREAM_HPP
#define LIBRSTREAM_HPP

#include <rstream.h>

#include <cerrno>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace rstrm {

// ---------------------------------------------------------------------------------------------------------- errors

/// librstream's own codes, to be compared with std::error_code. System errors compare equal to std::errc.
enum class errc : int {
  engine = RSTREAM_EENGINE,
  protocol = RSTREAM_EPROTOCOL,
  frame_too_large = RSTREAM_EFRAME_TOO_LARGE,
  control_closed = RSTREAM_ECONTROL_CLOSED,
  control_liveness = RSTREAM_ECONTROL_LIVENESS,
  control_overload = RSTREAM_ECONTROL_OVERLOAD,
  operation_timeout = RSTREAM_EOPERATION_TIMEOUT,
  tunnel_closed = RSTREAM_ETUNNEL_CLOSED,
  client_closed = RSTREAM_ECLIENT_CLOSED,
  stream_closed = RSTREAM_ESTREAM_CLOSED,
  engine_closed = RSTREAM_EENGINE_CLOSED,
  loop_closed = RSTREAM_ELOOP_CLOSED,
  wrong_thread = RSTREAM_EWRONGTHREAD,
  auth_conflict = RSTREAM_EAUTH_CONFLICT,
  auth_required = RSTREAM_EAUTH_REQUIRED,
  token_expired = RSTREAM_ETOKEN_EXPIRED,
  mtls_incomplete = RSTREAM_EMTLS_INCOMPLETE,
  tls = RSTREAM_ETLS,
  invalid_config = RSTREAM_EINVALID_CONFIG,
  invalid_engine = RSTREAM_EINVALID_ENGINE,
  engine_required = RSTREAM_EENGINE_REQUIRED,
  invalid_timeout = RSTREAM_EINVALID_TIMEOUT,
  invalid_tunnel = RSTREAM_EINVALID_TUNNEL,
  unsupported_tunnel = RSTREAM_EUNSUPPORTED_TUNNEL,
  unsupported_transport = RSTREAM_EUNSUPPORTED_TRANSPORT,
  invalid_local_endpoint = RSTREAM_EINVALID_LOCAL_ENDPOINT,
  backlog_full = RSTREAM_EBACKLOG_FULL,
  context_not_found = RSTREAM_ECONTEXT_NOT_FOUND,
  context_ambiguous = RSTREAM_ECONTEXT_AMBIGUOUS,
  invalid_api_url = RSTREAM_EINVALID_API_URL,
  invalid_region = RSTREAM_EINVALID_REGION,
  region_engine_conflict = RSTREAM_EREGION_ENGINE_CONFLICT,
  region_unavailable = RSTREAM_EREGION_UNAVAILABLE,
  region_ambiguous = RSTREAM_EREGION_AMBIGUOUS,
  project_endpoint_required = RSTREAM_EPROJECT_ENDPOINT_REQUIRED,
  stored_token_engine_override = RSTREAM_ESTORED_TOKEN_ENGINE_OVERRIDE,
  stored_mtls_engine_override = RSTREAM_ESTORED_MTLS_ENGINE_OVERRIDE,
  unsupported_token_storage = RSTREAM_EUNSUPPORTED_TOKEN_STORAGE,
  unsupported_mtls_storage = RSTREAM_EUNSUPPORTED_MTLS_STORAGE,
  engine_resolution = RSTREAM_EENGINE_RESOLUTION,
  api_http = RSTREAM_EAPI_HTTP,
  api_invalid_response = RSTREAM_EAPI_INVALID_RESPONSE,
  proxy = RSTREAM_EPROXY,
  engine_api_http = RSTREAM_EENGINE_API_HTTP,
  engine_api_payload = RSTREAM_EENGINE_API_PAYLOAD,
  invalid_filter = RSTREAM_EINVALID_FILTER,
  event_json = RSTREAM_EEVENT_JSON,
  engine_discovery = RSTREAM_EENGINE_DISCOVERY,
};

/// The category of every std::error_code made here: values are the negative codes of the C API.
inline const std::error_category &category() noexcept {
  static const struct : std::error_category {
    const char *name() const noexcept override {
      return "rstream";
    }
    std::string message(int code) const override {
      return rstream_strerror(code);
    }
    std::error_condition default_error_condition(int code) const noexcept override {
      // libuv's codes for what is no errno lie below -1000.
      if (code < 0 && code > -1000) return {-code, std::generic_category()};
      return {code, *this};
    }
  } instance;
  return instance;
}

inline std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), category()};
}

/// What went wrong: a code, the library's own words, and the engine's code when it was the engine that refused.
class error {
 public:
  explicit error(int code) : error(code, rstream_strerror(code)) {}
  error(int code, std::string message) : code_(code), message_(std::move(message)) {}
  explicit error(errc code) : error(static_cast<int>(code)) {}
  explicit error(const rstream_error *borrowed)
      : code_(rstream_error_code(borrowed)),
        engine_code_(rstream_error_engine_code(borrowed)),
        message_(borrowed ? rstream_error_message(borrowed) : "") {}

  std::error_code code() const noexcept {
    return {code_, category()};
  }
  /// The stable name of the code, e.g. "ERR_RSTREAM_ENGINE" or "ECONNREFUSED".
  const char *name() const noexcept {
    return rstream_err_name(code_);
  }
  /// See rstream_engine_code; 0 when the engine sent none.
  int engine_code() const noexcept {
    return engine_code_;
  }
  const std::string &message() const noexcept {
    return message_;
  }

 private:
  int code_;
  int engine_code_ = 0;
  std::string message_;
};

/// What result<T>::value() throws.
class exception : public std::system_error {
 public:
  explicit exception(rstrm::error error) : std::system_error(error.code(), error.message()), error_(std::move(error)) {}
  const rstrm::error &error() const noexcept {
    return error_;
  }
  const char *what() const noexcept override {
    return error_.message().c_str();
  }

 private:
  rstrm::error error_;
};

/// A value or an error. Looking at the one that is not there is an exception: value() throws rstrm::exception, error()
/// std::bad_variant_access; operator* and -> do as value().
template <class T>
class [[nodiscard]] result {
  using stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

 public:
  result() requires std::is_void_v<T> : content_(std::in_place_index<0>) {}
  template <class U = stored>
  requires(!std::is_void_v<T> && std::constructible_from<stored, U> && !std::same_as<std::remove_cvref_t<U>, result> &&
           !std::same_as<std::remove_cvref_t<U>, rstrm::error>) result(U &&value)
      : content_(std::in_place_index<0>, std::forward<U>(value)) {}
  result(rstrm::error error) : content_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const noexcept {
    return content_.index() == 0;
  }
  explicit operator bool() const noexcept {
    return has_value();
  }
  std::add_lvalue_reference_t<T> value() & {
    check();
    if constexpr (!std::is_void_v<T>) return std::get<0>(content_);
  }
  T value() && {
    check();
    if constexpr (!std::is_void_v<T>) return std::move(std::get<0>(content_));
  }
  stored &operator*() & {
    check();
    return std::get<0>(content_);
  }
  stored operator*() && {
    check();
    return std::move(std::get<0>(content_));
  }
  stored *operator->() {
    check();
    return &std::get<0>(content_);
  }
  const rstrm::error &error() const {
    return std::get<1>(content_);
  }
  /// The error's code; 0 in case of success.
  std::error_code code() const noexcept {
    const auto *failure = std::get_if<1>(&content_);
    return failure ? failure->code() : std::error_code(0, category());
  }

 private:
  void check() const {
    if (!has_value()) throw exception(error());
  }
  std::variant<stored, rstrm::error> content_;
};

/// Bytes to write: anything that is a span of bytes, or text without the NUL at its end.
class bytes_view {
 public:
  template <class R>
  requires(!std::same_as<std::remove_cvref_t<R>, bytes_view> &&
           (std::convertible_to<const R &, std::string_view> ||
            std::convertible_to<const R &, std::span<const std::byte>> ||
            std::convertible_to<const R &, std::span<const std::uint8_t>>)) bytes_view(const R &range)
  noexcept {
    if constexpr (std::convertible_to<const R &, std::string_view>) {
      set(std::string_view(range));
    } else if constexpr (std::convertible_to<const R &, std::span<const std::byte>>) {
      set(std::span<const std::byte>(range));
    } else {
      set(std::span<const std::uint8_t>(range));
    }
  }
  rstream_buf buf() const noexcept {
    return buf_;
  }

 private:
  template <class V>
  void set(V view) noexcept {
    buf_ = {view.data(), view.size()};
  }
  rstream_buf buf_{};
};

/// Received bytes as text.
inline std::string_view text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

template <class T>
class operation;
template <class T = void>
class task;
class stream;
class packets;
class tunnel;
class control;

// ------------------------------------------------------------------------------------------------- what handles share

namespace detail {

/// A pointer that counts. Everything happens on one thread, so the count is plain.
template <class N>
class ref {
 public:
  ref() = default;
  explicit ref(N *node) noexcept : node_(node) {
    if (node_) ++node_->refs;
  }
  ref(const ref &other) noexcept : ref(other.node_) {}
  ref(ref &&other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  ref &operator=(ref other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~ref() {
    if (node_ && --node_->refs == 0) delete node_;
  }
  /// Takes over a count that leak() left.
  static ref adopt(N *node) noexcept {
    ref taken;
    taken.node_ = node;
    return taken;
  }
  N *leak() noexcept {
    return std::exchange(node_, nullptr);
  }
  N *get() const noexcept {
    return node_;
  }
  N *operator->() const noexcept {
    return node_;
  }
  explicit operator bool() const noexcept {
    return node_ != nullptr;
  }

 private:
  N *node_ = nullptr;
};

/// A registered callable, which may replace or remove itself while it runs.
template <class... A>
class slot {
  struct base {
    virtual ~base() = default;
    virtual void call(A... arguments) = 0;
  };

 public:
  template <class F>
  static std::unique_ptr<base> make(F &&callable) {
    struct holder final : base {
      explicit holder(F &&given) : callable(std::forward<F>(given)) {}
      void call(A... arguments) override {
        callable(std::forward<A>(arguments)...);
      }
      std::decay_t<F> callable;
    };
    return std::make_unique<holder>(std::forward<F>(callable));
  }
  void set(std::unique_ptr<base> callable) noexcept {
    ++version_;
    callable_.swap(callable);
  }
  explicit operator bool() const noexcept {
    return callable_ != nullptr;
  }
  void operator()(A... arguments) {
    if (!callable_) return;
    const kept running{*this, std::move(callable_), version_};
    running.callable->call(std::forward<A>(arguments)...);
  }
  /// A call after which there is none.
  void last(A... arguments) {
    ++version_;
    if (const auto running = std::move(callable_)) running->call(std::forward<A>(arguments)...);
  }

 private:
  struct kept {
    slot &owner;
    std::unique_ptr<base> callable;
    unsigned version;
    kept(slot &slot_, std::unique_ptr<base> running, unsigned registered)
        : owner(slot_), callable(std::move(running)), version(registered) {}
    kept(const kept &) = delete;
    ~kept() {
      if (owner.version_ == version) owner.callable_ = std::move(callable);
    }
  };
  std::unique_ptr<base> callable_;
  unsigned version_ = 0;
};

struct loop_node;
struct completion_base;

/// The object behind a handle. C has its address as `data`; it lives until the last of handle, close callback and
/// pending operations has let go of it.
struct node {
  std::size_t refs = 0;
  ref<loop_node> loop;
  node *parent = nullptr, *first_child = nullptr, *previous = nullptr, *next = nullptr;
  bool closing = false, gone = false;
  std::vector<std::unique_ptr<completion_base>> close_waiters;

  node() = default;
  node(const node &) = delete;
  virtual ~node();
  /// Closes the C object.
  virtual int end(rstream_close_cb callback, void *data) noexcept = 0;
  /// Lets go of the callables.
  virtual void release() noexcept {}
  /// Answers whoever still waits for something of the closed object.
  virtual void closed() {}
  /// A waiting operation was dropped.
  virtual void abandon(completion_base *) noexcept {}

  void link(node &above) noexcept {
    parent = &above;
    next = above.first_child;
    if (next) next->previous = this;
    above.first_child = this;
  }
  void unlink() noexcept {
    if (!parent) return;
    (previous ? previous->next : parent->first_child) = next;
    if (next) next->previous = previous;
    parent = previous = next = nullptr;
  }
  int close() noexcept;
  /// The object is gone without a close callback: it was turned into something else.
  void dissolve() noexcept {
    closing = gone = true;
    unlink();
    release();
  }
  static void on_closed(void *data);
};

/// Where the result of a started operation goes. It belongs to C while the operation is under way.
struct completion_base {
  ref<node> owner;
  virtual ~completion_base() = default;
};

template <class T>
struct completion : completion_base {
  virtual void complete(result<T> outcome) = 0;
};

struct loop_node final : node {
  rstream_loop *raw = nullptr;
  bool own = false, running = false;
  slot<std::exception_ptr> handler;
  std::exception_ptr kept;
  std::vector<std::coroutine_handle<>> spawned;

  int end(rstream_close_cb callback, void *data) noexcept override {
    return rstream_loop_close(raw, callback, data);
  }
  void release() noexcept override {
    handler.set(nullptr);
  }
  void closed() override {
    while (!spawned.empty()) spawned.back().destroy();
  }
  void forget(std::coroutine_handle<> frame) noexcept {
    std::erase(spawned, frame);
  }
  void report(std::exception_ptr thrown) noexcept {
    try {
      if (handler) return handler(thrown);
    } catch (...) {
      thrown = std::current_exception();
    }
    if (!kept) kept = thrown;
    if (own && !closing) rstream_loop_stop(raw);
  }
  void rethrow() {
    if (kept) std::rethrow_exception(std::exchange(kept, nullptr));
  }
};

inline node::~node() = default;

/// Everything that C calls goes through here.
template <class F>
void guarded(node &node, F &&body) noexcept {
  const ref<loop_node> loop(node.loop ? node.loop.get() : static_cast<loop_node *>(&node));
  try {
    body();
  } catch (...) {
    loop->report(std::current_exception());
  }
}

template <class T>
void finish(void *data, const rstream_error *failure) noexcept {
  const std::unique_ptr<completion<T>> done(static_cast<completion<T> *>(data));
  guarded(*done->owner.get(), [&] { done->complete(failure ? result<T>(error(failure)) : result<T>()); });
}

inline int node::close() noexcept {
  if (closing) return -EALREADY;
  const ref<node> self(this);
  while (first_child) {
    if (const int code = first_child->close()) return code;
  }
  // An own loop calls back before rstream_loop_close() returns.
  closing = true;
  ++refs;
  if (const int code = end(on_closed, this)) {
    closing = false;
    --refs;
    return code;
  }
  unlink();
  release();
  return 0;
}

inline void node::on_closed(void *data) {
  const auto self = ref<node>::adopt(static_cast<node *>(data));
  self->gone = true;
  for (auto &waiter : std::exchange(self->close_waiters, {})) {
    guarded(*self.get(), [&] { static_cast<completion<void> &>(*waiter).complete({}); });
  }
  guarded(*self.get(), [&] { self->closed(); });
}

inline result<void> outcome(int code, rstream_error *failure = nullptr) {
  if (code >= 0) return {};
  if (!failure) return error(code);
  const std::unique_ptr<rstream_error, decltype(&rstream_error_free)> owned(failure, rstream_error_free);
  return error(failure);
}

/// The outcome of a call that explains its failure.
template <std::invocable<rstream_error **> F>
result<void> explained(F &&call) {
  rstream_error *failure = nullptr;
  const int code = call(&failure);
  return outcome(code, failure);
}

/// Starts an operation whose result a callable receives.
template <class T, class F, class Start>
result<void> begin(node *owner, F &&callable, Start start) {
  struct called final : completion<T> {
    explicit called(F &&given) : callable(std::forward<F>(given)) {}
    void complete(result<T> outcome) override {
      callable(std::move(outcome));
    }
    std::decay_t<F> callable;
  };
  auto target = std::make_unique<called>(std::forward<F>(callable));
  target->owner = ref<node>(owner);
  auto started = start(static_cast<completion<T> *>(target.get()));
  if (started) target.release();
  return started;
}

inline std::string_view view(const char *borrowed) noexcept {
  return borrowed ? std::string_view(borrowed) : std::string_view();
}

inline std::optional<std::string_view> maybe(const char *borrowed) noexcept {
  return borrowed ? std::optional<std::string_view>(borrowed) : std::nullopt;
}

}  // namespace detail

/// An operation under way. `co_await` gives its result<T>, on the loop's thread.
template <class T>
class operation {
 public:
  template <class Start>
  operation(detail::node *owner, Start start) {
    auto waiting = std::make_unique<waiter>();
    waiting->owner = detail::ref<detail::node>(owner);
    waiting->target = this;
    if (auto started = start(static_cast<detail::completion<T> *>(waiting.get()))) {
      if (!outcome_) pending_ = waiting.release();
    } else {
      outcome_.emplace(started.error());
    }
  }
  explicit operation(result<T> known) : outcome_(std::move(known)) {}
  operation(const operation &) = delete;
  ~operation() {
    if (!pending_) return;
    pending_->target = nullptr;
    pending_->owner->abandon(pending_);
  }
  bool await_ready() const noexcept {
    return outcome_.has_value();
  }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept {
    coroutine_ = coroutine;
  }
  result<T> await_resume() {
    return std::move(*outcome_);
  }

 private:
  struct waiter final : detail::completion<T> {
    operation *target = nullptr;
    void complete(result<T> outcome) override {
      if (!target) return;
      target->pending_ = nullptr;
      target->outcome_.emplace(std::move(outcome));
      if (const auto coroutine = target->coroutine_) coroutine.resume();
    }
  };
  waiter *pending_ = nullptr;
  std::optional<result<T>> outcome_;
  std::coroutine_handle<> coroutine_;
};

// ------------------------------------------------------------------------------------------------------- coroutines

/// A coroutine that starts when it is awaited, spawned or run, and ends with a value or an exception.
template <class T>
class [[nodiscard]] task {
  using stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
  struct promise_base {
    std::variant<std::monostate, stored, std::exception_ptr> outcome;
    std::coroutine_handle<> continuation = std::noop_coroutine();
    std::suspend_always initial_suspend() noexcept {
      return {};
    }
    auto final_suspend() noexcept {
      struct to_continuation {
        bool await_ready() noexcept {
          return false;
        }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept {
          return next;
        }
        void await_resume() noexcept {}
        std::coroutine_handle<> next;
      };
      return to_continuation{continuation};
    }
    void unhandled_exception() noexcept {
      outcome.template emplace<2>(std::current_exception());
    }
  };
  struct returns_value : promise_base {
    template <std::convertible_to<stored> U>
    void return_value(U &&value) {
      this->outcome.template emplace<1>(std::forward<U>(value));
    }
  };
  struct returns_void : promise_base {
    void return_void() noexcept {
      this->outcome.template emplace<1>();
    }
  };

 public:
  struct promise_type : std::conditional_t<std::is_void_v<T>, returns_void, returns_value> {
    task get_return_object() noexcept {
      return task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
  };

  task(task &&other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  task &operator=(task other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~task() {
    if (frame_) frame_.destroy();
  }
  bool done() const noexcept {
    return frame_ && frame_.done();
  }
  bool await_ready() const noexcept {
    return done();
  }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    frame_.promise().continuation = awaiting;
    return frame_;
  }
  T await_resume() {
    auto &outcome = frame_.promise().outcome;
    if (outcome.index() == 2) std::rethrow_exception(std::get<2>(outcome));
    if constexpr (!std::is_void_v<T>) return std::move(std::get<1>(outcome));
  }

 private:
  explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

namespace detail {

/// The coroutine around a spawned task: frees itself, or is destroyed with its loop.
struct detached {
  struct promise_type {
    ref<loop_node> loop;
    promise_type(const ref<loop_node> &on, const task<> &) : loop(on) {
      loop->spawned.push_back(frame());
    }
    ~promise_type() {
      loop->forget(frame());
    }
    std::coroutine_handle<> frame() noexcept {
      return std::coroutine_handle<promise_type>::from_promise(*this);
    }
    detached get_return_object() noexcept {
      return {};
    }
    std::suspend_never initial_suspend() noexcept {
      return {};
    }
    std::suspend_never final_suspend() noexcept {
      return {};
    }
    void return_void() noexcept {}
    void unhandled_exception() noexcept {
      loop->report(std::current_exception());
    }
  };
};

inline detached spawn(ref<loop_node>, task<> work) {
  co_await std::move(work);
}

/// Runs a task up to its end, of which it tells the loop, and leaves the outcome in the task.
struct driver {
  struct promise_type {
    driver get_return_object() noexcept {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_never initial_suspend() noexcept {
      return {};
    }
    std::suspend_always final_suspend() noexcept {
      return {};
    }
    void return_void() noexcept {}
    void unhandled_exception() noexcept {}
  };
  std::coroutine_handle<promise_type> frame;
  ~driver() {
    frame.destroy();
  }
};

template <class T>
driver drive(loop_node &loop, task<T> &work) {
  struct end_of {
    task<T> &work;
    bool await_ready() noexcept {
      return work.await_ready();
    }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
      return work.await_suspend(awaiting);
    }
    void await_resume() noexcept {}
  };
  co_await end_of{work};
  if (loop.running && !loop.closing) rstream_loop_stop(loop.raw);
}

/// What all handles can do.
template <class N>
class handle {
 public:
  handle() = default;
  handle(handle &&) noexcept = default;
  handle &operator=(handle &&other) noexcept {
    handle(std::move(other)).swap(*this);
    return *this;
  }
  ~handle() {
    if (!node_) return;
    node_->close();
    // C refused to close it, because this is another thread than the loop's: nothing may be freed under it.
    if (!node_->closing) node_.leak();
  }
  /// Whether there is an object that nobody has closed.
  explicit operator bool() const noexcept {
    return node_ && !node_->closing;
  }
  /// Closes the object now; may be awaited until it is gone.
  operation<void> close() {
    if (!node_) return operation<void>(error(-EINVAL));
    if (const int code = node_->close(); code < 0 && !node_->closing) return operation<void>(error(code));
    if (node_->gone) return operation<void>(result<void>());
    return operation<void>(node_.get(), [this](completion<void> *done) { return wait_closed(done); });
  }
  /// Closes the object and calls `callable()` when it is gone.
  template <std::invocable F>
  result<void> close(F &&callable) {
    if (!node_ || node_->closing) return error(node_ ? -EALREADY : -EINVAL);
    const ref<node> keep(node_.get());
    const std::size_t place = keep->close_waiters.size();
    auto started = begin<void>(
        nullptr, [callable = std::forward<F>(callable)](result<void>) mutable { callable(); },
        [&](completion<void> *done) {
          keep->close_waiters.emplace_back(done);
          return result<void>();
        });
    if (const int code = keep->close(); code < 0) {
      keep->close_waiters.erase(keep->close_waiters.begin() + static_cast<std::ptrdiff_t>(place));
      return error(code);
    }
    return started;
  }

 protected:
  explicit handle(ref<N> node) noexcept : node_(std::move(node)) {}
  void swap(handle &other) noexcept {
    std::swap(node_, other.node_);
  }
  auto c() const noexcept {
    return node_ && !node_->closing ? node_->raw : nullptr;
  }
  ref<N> node_;

 private:
  result<void> wait_closed(completion<void> *done) {
    node_->close_waiters.emplace_back(done);
    return {};
  }
};

}  // namespace detail

// ------------------------------------------------------------------------------------------------------------- loop

/// The loop that everything runs on (rstream/loop.h): an own one, or the program's uv_loop_t.
class loop : public detail::handle<detail::loop_node> {
 public:
  static result<loop> create() {
    return make(true, [](rstream_loop **out) { return rstream_loop_new(out); });
  }
  static result<loop> wrap(struct uv_loop_s *uv) {
    return make(false, [uv](rstream_loop **out) { return rstream_loop_wrap(uv, out); });
  }

  /// Runs an own loop until nothing is left (false) or it was stopped (true). Throws what a callable threw.
  result<bool> run() {
    return turn(rstream_loop_run);
  }
  /// Does what is ready; true when there is more to wait for. Throws what a callable threw. A loop that is driven by this
  /// alone is destroyed outside its callables: inside them only a run() around them can finish its work.
  result<bool> run_nowait() {
    return turn(rstream_loop_run_nowait);
  }
  /// Runs an own loop until the task has ended; throws what it threw, what a callable threw, or that nothing is left.
  template <class T>
  T run(task<T> work) {
    const auto keep = node_;
    if (!keep) throw exception(error(-EINVAL));
    const detail::driver driver = detail::drive(*keep.get(), work);
    while (!work.done()) {
      if (!turn(rstream_loop_run).value() && !work.done())
        throw exception(error(-EDEADLK, "the loop has nothing left to wait for, and the task has not ended"));
    }
    return work.await_resume();
  }
  /// Starts a coroutine that nobody waits for. What it throws is treated like a callable's exception.
  result<void> spawn(task<> work) {
    if (!c()) return error(errc::loop_closed);
    detail::spawn(node_, std::move(work));
    return {};
  }
  result<void> stop() {
    return detail::outcome(rstream_loop_stop(c()));
  }
  /// Has `callable()` run on the loop's thread. The only function for other threads.
  template <std::invocable F>
  result<void> post(F &&callable) {
    struct posted {
      detail::loop_node *loop;
      std::decay_t<F> callable;
    };
    std::unique_ptr<posted> work(new posted{node_.get(), std::forward<F>(callable)});
    const int code = rstream_loop_post(
        c(),
        [](void *data) {
          const std::unique_ptr<posted> posted_work(static_cast<posted *>(data));
          detail::guarded(*posted_work->loop, [&] { posted_work->callable(); });
        },
        work.get());
    if (code == 0) work.release();
    return detail::outcome(code);
  }
  /// Who hears of exceptions that leave callables: `callable(std::exception_ptr)`.
  template <std::invocable<std::exception_ptr> F>
  void on_exception(F &&callable) {
    if (c()) node_->handler.set(detail::slot<std::exception_ptr>::make(std::forward<F>(callable)));
  }
  /// Throws what a callable threw on a wrapped loop, if anything did; to be called after uv_run().
  void rethrow() {
    if (const auto keep = node_) keep->rethrow();
  }
  struct uv_loop_s *uv() const noexcept {
    return rstream_loop_uv(c());
  }
  /// For foreign loops: the descriptor to watch, and the milliseconds to wait at most (-1: for ever).
  result<int> fd() const {
    return number(rstream_loop_fd(c()), 0);
  }
  result<int> timeout() const {
    return number(rstream_loop_timeout(c()), -1);
  }

 private:
  friend class client;
  friend class engine;
  using handle::handle;
  template <class Make>
  static result<loop> make(bool own, Make construct) {
    detail::ref<detail::loop_node> node(new detail::loop_node);
    node->own = own;
    if (const int code = construct(&node->raw)) return error(code);
    return loop(std::move(node));
  }
  /// Makes an object that ends with the loop.
  template <class N, class Make>
  result<detail::ref<N>> below(Make construct) {
    detail::ref<N> node(new N);
    auto made = detail::explained([&](rstream_error **failure) { return construct(&node->raw, failure); });
    if (!made) return made.error();
    node->loop = node_;
    node->link(*node_.get());
    return node;
  }
  result<bool> turn(int (*run_loop)(rstream_loop *)) {
    // A callable may destroy this handle.
    const auto keep = node_;
    if (!keep || keep->gone) return error(errc::loop_closed);
    const bool outer = std::exchange(keep->running, true);
    const int code = run_loop(keep->raw);
    keep->running = outer;
    keep->rethrow();
    if (code < 0) return error(code);
    return code == 1;
  }
  static result<int> number(int value, int least) {
    if (value < least) return error(value);
    return value;
  }
};

// --------------------------------------------------------------------------------------------------------- settings

namespace detail {

/// A plain value of named strings; numbers and booleans are written the way the library reads them.
template <class C, int (*New)(C **), int (*Set)(C *, const char *, const char *, rstream_error **), void (*Free)(C *)>
class settings {
 public:
  settings() noexcept {
    C *made = nullptr;
    if (New(&made) == 0) c_.reset(made);
  }
  result<void> set(const std::string &name, const std::string &value) {
    return assign(name.c_str(), value.c_str());
  }
  template <std::integral V>
  result<void> set(const std::string &name, V value) {
    if constexpr (std::same_as<V, bool>) {
      return assign(name.c_str(), value ? "true" : "false");
    } else {
      return assign(name.c_str(), std::to_string(value).c_str());
    }
  }
  result<void> unset(const std::string &name) {
    return assign(name.c_str(), nullptr);
  }
  C *c() const noexcept {
    return c_.get();
  }

 private:
  result<void> assign(const char *name, const char *value) {
    return detail::explained([&](rstream_error **failure) { return Set(c_.get(), name, value, failure); });
  }
  struct deleter {
    void operator()(C *value) const noexcept {
      Free(value);
    }
  };
  std::unique_ptr<C, deleter> c_;
};

}  // namespace detail

/// Settings of a client: rstream/config.h lists them.
class config : public detail::settings<rstream_config, rstream_config_new, rstream_config_set, rstream_config_free> {
 public:
  std::optional<std::string_view> get(const std::string &name) const {
    return detail::maybe(rstream_config_get(c(), name.c_str()));
  }
  /// Fills in from the environment and the configuration file what was not set.
  result<void> load() {
    return detail::explained([&](rstream_error **failure) { return rstream_config_load(c(), failure); });
  }
};

/// Properties asked of a tunnel: rstream/tunnel.h lists them.
class tunnel_options : public detail::settings<rstream_tunnel_options, rstream_tunnel_options_new,
                                               rstream_tunnel_options_set, rstream_tunnel_options_free> {};

/// Settings of an embedded engine: rstream/engine.h lists them.
class engine_options : public detail::settings<rstream_engine_options, rstream_engine_options_new,
                                               rstream_engine_options_set, rstream_engine_options_free> {
 public:
  std::optional<std::string_view> get(const std::string &name) const {
    return detail::maybe(rstream_engine_options_get(c(), name.c_str()));
  }
  result<void> load_file(const std::string &path) {
    return detail::explained(
        [&](rstream_error **failure) { return rstream_engine_options_load_file(c(), path.c_str(), failure); });
  }
  result<void> load_environment() {
    return detail::explained(
        [&](rstream_error **failure) { return rstream_engine_options_load_environment(c(), failure); });
  }
};

// ----------------------------------------------------------------------------------------------------------- streams

namespace detail {

using chunk = std::span<const std::byte>;

/// What is read, by a callable or by one operation at a time: a V for each piece, and an empty V at the end.
template <class Raw, class V, int (*Stop)(Raw *)>
struct reading_node : node {
  using raw_type = Raw;
  using read_type = V;
  Raw *raw = nullptr;
  slot<result<V>> on_read;
  completion<V> *reader = nullptr;
  std::vector<std::byte> buffer;
  bool ended = false;

  void release() noexcept override {
    on_read.set(nullptr);
  }
  void closed() override {
    if (const auto waiting = take_reader()) waiting->complete(error(errc::stream_closed));
  }
  void abandon(completion_base *dropped) noexcept override {
    if (dropped != reader) return;
    const auto waiting = take_reader();
    if (!closing) Stop(raw);
  }
  std::unique_ptr<completion<V>> take_reader() noexcept {
    return std::unique_ptr<completion<V>>(std::exchange(reader, nullptr));
  }
  void arrived(chunk bytes, bool last, const rstream_error *failure) {
    ended = last && !failure;
    if (reader && !last) {
      Stop(raw);
      buffer.assign(bytes.begin(), bytes.end());
      bytes = buffer;
    }
    result<V> read = failure ? result<V>(error(failure)) : result<V>(last ? V() : V(bytes));
    if (reader) {
      take_reader()->complete(std::move(read));
    } else if (last) {
      on_read.last(std::move(read));
    } else {
      on_read(std::move(read));
    }
  }
};

struct stream_node final : reading_node<rstream_stream, chunk, rstream_stream_read_stop> {
  static constexpr auto close_raw = rstream_stream_close;
  bool reset = false;

  int end(rstream_close_cb callback, void *data) noexcept override {
    return reset ? rstream_stream_reset(raw, callback, data) : rstream_stream_close(raw, callback, data);
  }
  int start() noexcept {
    return rstream_stream_read_start(raw, read, this);
  }
  int stop() noexcept {
    return rstream_stream_read_stop(raw);
  }
  static void read(rstream_stream *, const std::uint8_t *bytes, std::size_t len, const rstream_error *failure,
                   void *data) noexcept {
    const ref<stream_node> self(static_cast<stream_node *>(data));
    guarded(*self.get(), [&] {
      self->arrived({reinterpret_cast<const std::byte *>(bytes), len}, failure || len == 0, failure);
    });
  }
};

/// A handle of what is read.
template <class N>
class reading_handle : public handle<N> {
  using value = typename N::read_type;

 protected:
  using handle<N>::handle;
  using handle<N>::node_;

  template <class F>
  result<void> start_reading(F &&callable) {
    if (!this->c()) return error(-EINVAL);
    if (is_read()) return error(-EALREADY);
    auto made = slot<result<value>>::make(std::forward<F>(callable));
    const int code = node_->start();
    if (code == 0) node_->on_read.set(std::move(made));
    return outcome(code);
  }
  result<void> stop_reading() {
    if (!this->c()) return error(-EINVAL);
    if (node_->reader) return error(-EALREADY);
    const int code = node_->stop();
    if (code == 0) node_->on_read.set(nullptr);
    return outcome(code);
  }
  operation<value> read_once() {
    if (this->c() && node_->ended) return operation<value>(result<value>(value()));
    return operation<value>(node_.get(), [this](completion<value> *done) -> result<void> {
      if (!this->c()) return error(-EINVAL);
      if (is_read()) return error(-EALREADY);
      const int code = node_->start();
      if (code == 0) node_->reader = done;
      return outcome(code);
    });
  }

 private:
  bool is_read() const noexcept {
    return node_->reader || node_->on_read;
  }
};

/// A handle's object for what C has made; what cannot be kept is closed.
template <class N>
ref<N> adopt(node &parent, ref<loop_node> loop, typename N::raw_type *raw) {
  try {
    ref<N> made(new N);
    made->raw = raw;
    made->loop = std::move(loop);
    made->link(parent);
    return made;
  } catch (...) {
    N::close_raw(raw, nullptr, nullptr);
    throw;
  }
}

struct tunnel_node;
struct client_node;

}  // namespace detail

/// A byte stream (rstream/stream.h). Destroying the handle closes it: what was written is still sent.
class stream : public detail::reading_handle<detail::stream_node> {
 public:
  stream() = default;

  /// `callable(result<std::span<const std::byte>>)` for every chunk, borrowed for the call; empty: the other side has
  /// ended its direction. After the end or an error the callable is destroyed, and with it what it owns.
  template <std::invocable<result<std::span<const std::byte>>> F>
  result<void> read_start(F &&callable) {
    return start_reading(std::forward<F>(callable));
  }
  result<void> read_stop() {
    return stop_reading();
  }
  /// The next bytes, valid until the next read() or the end of the handle; empty at the end of the other direction. The
  /// stream is read only while somebody waits. One read at a time.
  operation<std::span<const std::byte>> read() {
    return read_once();
  }

  /// Writes without asking when the bytes have left. They are taken over before the call returns, as in every write.
  result<void> send(bytes_view bytes) {
    const rstream_buf buf = bytes.buf();
    return detail::outcome(rstream_stream_write(c(), &buf, 1, nullptr, nullptr));
  }
  /// Writes; the operation ends when the bytes have left the process.
  operation<void> write(bytes_view bytes) {
    return operation<void>(node_.get(), [&](detail::completion<void> *done) { return start_write(bytes, done); });
  }
  template <std::invocable<result<void>> F>
  result<void> write(bytes_view bytes, F &&callable) {
    return detail::begin<void>(node_.get(), std::forward<F>(callable),
                               [&](detail::completion<void> *done) { return start_write(bytes, done); });
  }
  std::size_t write_queue_size() const noexcept {
    return rstream_stream_write_queue_size(c());
  }
  /// Ends the own direction after what was written.
  operation<void> shutdown() {
    return operation<void>(node_.get(), [this](detail::completion<void> *done) { return start_shutdown(done); });
  }
  template <std::invocable<result<void>> F>
  result<void> shutdown(F &&callable) {
    return detail::begin<void>(node_.get(), std::forward<F>(callable),
                               [this](detail::completion<void> *done) { return start_shutdown(done); });
  }
  /// Aborts: the other side sees a reset. May be awaited until the stream is gone.
  operation<void> reset() {
    if (node_ && !node_->closing) node_->reset = true;
    return close();
  }
  /// Turns the stream into a connected socket, which the caller owns. The handle is empty afterwards.
  result<int> into_fd() {
    if (node_ && node_->reader) return error(-EALREADY);
    int fd = -1;
    if (const int code = rstream_stream_into_fd(c(), &fd)) return error(code);
    node_->dissolve();
    node_ = {};
    return fd;
  }
  /// Borrowed while the handle lives; "" when unknown.
  std::string_view peer() const noexcept {
    return detail::view(rstream_stream_peer(c()));
  }
  std::string_view id() const noexcept {
    return detail::view(rstream_stream_id(c()));
  }

 private:
  friend struct detail::tunnel_node;
  friend struct detail::client_node;
  using reading_handle::reading_handle;
  static void finished(rstream_stream *, const rstream_error *failure, void *data) noexcept {
    detail::finish<void>(data, failure);
  }
  result<void> start_write(bytes_view bytes, detail::completion<void> *done) {
    const rstream_buf buf = bytes.buf();
    return detail::outcome(rstream_stream_write(c(), &buf, 1, finished, done));
  }
  result<void> start_shutdown(detail::completion<void> *done) {
    return detail::outcome(rstream_stream_shutdown(c(), finished, done));
  }
};

// ----------------------------------------------------------------------------------------------------------- packets

/// A packet that was received, maybe an empty one; none at the end of the channel.
using received_packet = std::optional<std::span<const std::byte>>;

namespace detail {

struct packets_node final : reading_node<rstream_packets, received_packet, rstream_packets_read_stop> {
  static constexpr auto close_raw = rstream_packets_close;
  slot<> on_drain;
  std::vector<std::unique_ptr<completion<void>>> senders;

  int end(rstream_close_cb callback, void *data) noexcept override {
    return rstream_packets_close(raw, callback, data);
  }
  void release() noexcept override {
    reading_node::release();
    on_drain.set(nullptr);
  }
  void closed() override {
    guarded(*this, [this] { answer_senders(error(errc::stream_closed)); });
    reading_node::closed();
  }
  void abandon(completion_base *dropped) noexcept override {
    std::erase_if(senders, [dropped](const auto &sender) { return sender.get() == dropped; });
    reading_node::abandon(dropped);
  }
  void answer_senders(const result<void> &room) {
    for (auto &sender : std::exchange(senders, {})) {
      guarded(*this, [&] { sender->complete(room); });
    }
  }
  int start() noexcept {
    return rstream_packets_read_start(raw, read, this);
  }
  int stop() noexcept {
    return rstream_packets_read_stop(raw);
  }
  static void read(rstream_packets *, const std::uint8_t *packet, std::size_t len, const rstream_error *failure,
                   void *data) noexcept {
    const ref<packets_node> self(static_cast<packets_node *>(data));
    guarded(*self.get(), [&] { self->arrived({reinterpret_cast<const std::byte *>(packet), len}, !packet, failure); });
  }
  static void drained(rstream_packets *, void *data) noexcept {
    const ref<packets_node> self(static_cast<packets_node *>(data));
    guarded(*self.get(), [&] { self->on_drain(); });
    self->answer_senders({});
  }
};

}  // namespace detail

/// A packet channel (rstream/packets.h). Destroying the handle closes it: packets that were taken are still sent.
class packets : public detail::reading_handle<detail::packets_node> {
 public:
  packets() = default;

  /// `callable(result<received_packet>)` for every packet, borrowed for the call; none: the other side has closed the
  /// channel. After that or an error the callable is destroyed, and with it what it owns.
  template <std::invocable<result<received_packet>> F>
  result<void> read_start(F &&callable) {
    return start_reading(std::forward<F>(callable));
  }
  result<void> read_stop() {
    return stop_reading();
  }
  /// The next packet, valid until the next read() or the end of the handle; none when the other side has closed the
  /// channel. Packets wait while nobody reads, and those of QUIC datagrams that find 64 waiting are dropped. One read at
  /// a time.
  operation<received_packet> read() {
    return read_once();
  }

  /// Sends a packet, which is taken over before the call returns, or not sent at all: std::errc::message_size when it is
  /// longer than max_size(), std::errc::resource_unavailable_try_again when 64 or 256 KiB of
  /// them wait, which drops and counts it.
  result<void> send(bytes_view packet) {
    const rstream_buf buf = packet.buf();
    return detail::explained(
        [&](rstream_error **failure) { return rstream_packets_send(c(), buf.base, buf.len, failure); });
  }
  /// Ends when a packet would not have to be dropped, or the channel has ended, of which send() tells. Whoever awaits it
  /// before each send() loses none on a channel whose path is "stream".
  operation<void> room() {
    if (c() && rstream_packets_queue_size(c()) < queue_limit) return operation<void>(result<void>());
    return operation<void>(node_.get(), [this](detail::completion<void> *done) -> result<void> {
      const int code = rstream_packets_on_drain(c(), detail::packets_node::drained, node_.get());
      if (code == 0) node_->senders.emplace_back(done);
      return detail::outcome(code);
    });
  }
  /// `callable()` when packets that waited to be sent have left, any number of times.
  template <std::invocable F>
  result<void> on_drain(F &&callable) {
    if (!c()) return error(-EINVAL);
    node_->on_drain.set(detail::slot<>::make(std::forward<F>(callable)));
    return detail::outcome(rstream_packets_on_drain(c(), detail::packets_node::drained, node_.get()));
  }
  /// How long a packet may be that is sent now; 0 when the handle is closed.
  std::size_t max_size() const noexcept {
    return rstream_packets_max_size(c());
  }
  /// Packets that wait to be sent.
  std::size_t queue_size() const noexcept {
    return rstream_packets_queue_size(c());
  }
  /// "sent", "received", "dropped_sending" or "dropped_receiving": how many, since the channel was opened.
  std::uint64_t count(const std::string &name) const noexcept {
    return rstream_packets_count(c(), name.c_str());
  }
  /// What packets travel on: "stream" or "quic-datagram". Borrowed while the handle lives, as what follows.
  std::string_view path() const noexcept {
    return detail::view(rstream_packets_path(c()));
  }
  std::string_view peer() const noexcept {
    return detail::view(rstream_packets_peer(c()));
  }
  std::string_view id() const noexcept {
    return detail::view(rstream_packets_stream_id(c()));
  }

 private:
  friend struct detail::tunnel_node;
  friend struct detail::client_node;
  using reading_handle::reading_handle;
  static constexpr std::size_t queue_limit = 64;
};

// ----------------------------------------------------------------------------------------------------------- tunnels

/// A forwarded connection has begun, or has ended after carrying so many bytes; `error` is what ended it.
struct forward_event {
  bool opened;
  std::string_view peer;
  std::uint64_t bytes_in, bytes_out;
  std::optional<rstrm::error> error;
};

namespace detail {

/// Where a tunnel's streams, or its packet channels, go: to a callable or to who accepts the next one.
template <class H>
struct arrivals {
  slot<H> callable;
  completion<H> *acceptor = nullptr;

  std::unique_ptr<completion<H>> take_acceptor() noexcept {
    return std::unique_ptr<completion<H>>(std::exchange(acceptor, nullptr));
  }
  void refuse(const error &why) {
    if (const auto waiting = take_acceptor()) waiting->complete(why);
  }
};

struct tunnel_node final : node {
  using raw_type = rstream_tunnel;
  static constexpr auto close_raw = rstream_tunnel_close;
  rstream_tunnel *raw = nullptr;
  arrivals<stream> streams;
  arrivals<packets> channels;
  slot<const forward_event &> on_forward;
  slot<result<void>> on_end;
  std::optional<result<void>> outcome;

  int end(rstream_close_cb callback, void *data) noexcept override {
    return rstream_tunnel_close(raw, callback, data);
  }
  void release() noexcept override {
    streams.callable.set(nullptr);
    channels.callable.set(nullptr);
    on_forward.set(nullptr);
    on_end.set(nullptr);
  }
  void closed() override {
    refuse_acceptors(error(errc::tunnel_closed));
  }
  void abandon(completion_base *dropped) noexcept override {
    if (dropped == streams.acceptor || dropped == channels.acceptor) {
      if (!closing) stop_listening();
      streams.take_acceptor();
      channels.take_acceptor();
    }
  }
  bool has_acceptor() const noexcept {
    return streams.acceptor || channels.acceptor;
  }
  void refuse_acceptors(const error &why) {
    guarded(*this, [&] { streams.refuse(why); });
    guarded(*this, [&] { channels.refuse(why); });
  }
  int listen(const arrivals<stream> &) noexcept {
    return rstream_tunnel_listen(raw, came<stream, stream_node, &tunnel_node::streams>, this);
  }
  int listen(const arrivals<packets> &) noexcept {
    return rstream_tunnel_listen_packets(raw, came<packets, packets_node, &tunnel_node::channels>, this);
  }
  /// Lets what comes in wait again.
  int stop_listening() noexcept {
    const int code = rstream_tunnel_listen(raw, nullptr, nullptr);
    return code == RSTREAM_EUNSUPPORTED_TUNNEL ? rstream_tunnel_listen_packets(raw, nullptr, nullptr) : code;
  }
  template <class H, class N, auto To>
  static void came(rstream_tunnel *, typename N::raw_type *arrived, void *data) noexcept {
    const ref<tunnel_node> self(static_cast<tunnel_node *>(data));
    guarded(*self.get(), [&] {
      // What came outlives tunnel and control channel; the client above them ends it.
      H accepted(adopt<N>(*self->parent->parent, self->loop, arrived));
      auto &to = self.get()->*To;
      if (!to.acceptor) return to.callable(std::move(accepted));
      self->stop_listening();
      to.take_acceptor()->complete(std::move(accepted));
    });
  }
  static void forwarded(rstream_tunnel *, int event, const char *peer, std::uint64_t bytes_in, std::uint64_t bytes_out,
                        const rstream_error *failure, void *data) noexcept {
    const ref<tunnel_node> self(static_cast<tunnel_node *>(data));
    guarded(*self.get(), [&] {
      self->on_forward({event == RSTREAM_FORWARD_OPENED, view(peer), bytes_in, bytes_out,
                        failure ? std::optional<error>(error(failure)) : std::nullopt});
    });
  }
  static void ended(rstream_tunnel *, const rstream_error *failure, void *data) noexcept {
    const ref<tunnel_node> self(static_cast<tunnel_node *>(data));
    guarded(*self.get(), [&] { self->outcome = failure ? result<void>(error(failure)) : result<void>(); });
    self->refuse_acceptors(self->why_ended());
    guarded(*self.get(), [&] { self->on_end.last(result<void>(*self->outcome)); });
  }
  error why_ended() const {
    return outcome && !outcome->has_value() ? outcome->error() : error(errc::tunnel_closed);
  }
};

struct control_node final : node {
  using raw_type = rstream_control;
  static constexpr auto close_raw = rstream_control_close;
  rstream_control *raw = nullptr;
  slot<result<void>> on_end;

  int end(rstream_close_cb callback, void *data) noexcept override {
    return rstream_control_close(raw, callback, data);
  }
  void release() noexcept override {
    on_end.set(nullptr);
  }
  static void ended(rstream_control *, const rstream_error *failure, void *data) noexcept {
    const ref<control_node> self(static_cast<control_node *>(data));
    guarded(*self.get(), [&] { self->on_end.last(failure ? result<void>(error(failure)) : result<void>()); });
  }
  static void created(rstream_tunnel *raw_tunnel, const rstream_error *failure, void *data) noexcept;
};

}  // namespace detail

/// A tunnel (rstream/tunnel.h). Destroying the handle closes it; streams that it gave out go on.
class tunnel : public detail::handle<detail::tunnel_node> {
 public:
  tunnel() = default;

  /// `callable(stream)` for every incoming stream.
  template <std::invocable<stream> F>
  result<void> listen(F &&callable) {
    return start_listening(&detail::tunnel_node::streams, std::forward<F>(callable));
  }
  /// `callable(packets)` for every packet channel that comes in by a datagram tunnel.
  template <std::invocable<packets> F>
  result<void> listen_packets(F &&callable) {
    return start_listening(&detail::tunnel_node::channels, std::forward<F>(callable));
  }
  /// Lets incoming streams, or packet channels, wait.
  result<void> listen_stop() {
    if (!c()) return error(-EINVAL);
    if (node_->has_acceptor()) return error(-EALREADY);
    const int code = node_->stop_listening();
    if (code == 0) {
      node_->streams.callable.set(nullptr);
      node_->channels.callable.set(nullptr);
    }
    return detail::outcome(code);
  }
  /// The next incoming stream; an error when the tunnel has ended. Streams wait while nobody accepts. One at a time.
  operation<stream> accept() {
    return accept_one(&detail::tunnel_node::streams);
  }
  /// The next packet channel that comes in by a datagram tunnel, in the same way.
  operation<packets> accept_packets() {
    return accept_one(&detail::tunnel_node::channels);
  }
  /// Connects what comes in to a local service.
  result<void> forward(const std::string &target) {
    return forward(target, [](const forward_event &) {});
  }
  /// The same, telling `callable(const forward_event &)` of every connection.
  template <std::invocable<const forward_event &> F>
  result<void> forward(const std::string &target, F &&callable) {
    if (node_ && node_->has_acceptor()) return error(-EALREADY);
    auto made = detail::slot<const forward_event &>::make(std::forward<F>(callable));
    rstream_error *failure = nullptr;
    const int code = rstream_tunnel_forward(c(), target.c_str(), detail::tunnel_node::forwarded, node_.get(), &failure);
    if (code == 0) {
      node_->streams.callable.set(nullptr);
      node_->channels.callable.set(nullptr);
      node_->on_forward.set(std::move(made));
    }
    return detail::outcome(code, failure);
  }
  /// `callable(result<void>)` when the tunnel ends without close(): revoked by the engine, or with its control channel.
  template <std::invocable<result<void>> F>
  result<void> on_end(F &&callable) {
    if (!c()) return error(errc::tunnel_closed);
    node_->on_end.set(detail::slot<result<void>>::make(std::forward<F>(callable)));
    return detail::outcome(rstream_tunnel_on_end(c(), detail::tunnel_node::ended, node_.get()));
  }
  /// A property as the engine confirmed it, borrowed while the handle lives.
  std::optional<std::string_view> property(const std::string &name) const {
    return detail::maybe(rstream_tunnel_property(c(), name.c_str()));
  }
  /// The name of the confirmed property number `index`; none past the last one.
  std::optional<std::string_view> property_name(std::size_t index) const {
    return detail::maybe(rstream_tunnel_property_name(c(), index));
  }
  std::string_view forwarding_address() const noexcept {
    return detail::view(rstream_tunnel_forwarding_address(c()));
  }

 private:
  friend struct detail::control_node;
  using handle::handle;
  template <class H, class F>
  result<void> start_listening(detail::arrivals<H> detail::tunnel_node::*to, F &&callable) {
    if (!c()) return error(-EINVAL);
    if (node_->has_acceptor()) return error(-EALREADY);
    auto made = detail::slot<H>::make(std::forward<F>(callable));
    auto &arrivals = node_.get()->*to;
    const int code = node_->listen(arrivals);
    if (code == 0) arrivals.callable.set(std::move(made));
    return detail::outcome(code);
  }
  template <class H>
  operation<H> accept_one(detail::arrivals<H> detail::tunnel_node::*to) {
    return operation<H>(node_.get(), [this, to](detail::completion<H> *done) -> result<void> {
      if (!c()) return error(-EINVAL);
      if (node_->outcome) return node_->why_ended();
      auto &arrivals = node_.get()->*to;
      if (node_->has_acceptor() || arrivals.callable) return error(-EALREADY);
      const int code = node_->listen(arrivals);
      if (code == 0) arrivals.acceptor = done;
      return detail::outcome(code);
    });
  }
};

// ----------------------------------------------------------------------------------------------------------- clients

/// A control channel (rstream/client.h). Destroying the handle closes it and its tunnels.
class control : public detail::handle<detail::control_node> {
 public:
  control() = default;

  /// Asks the engine for a tunnel; without options it has no property but the engine's defaults.
  operation<tunnel> create_tunnel() {
    return operation<tunnel>(node_.get(), [this](auto *done) { return start_create(nullptr, done); });
  }
  operation<tunnel> create_tunnel(const tunnel_options &options) {
    return operation<tunnel>(node_.get(), [&](auto *done) { return start_create(options.c(), done); });
  }
  /// The same with `callable(result<tunnel>)`.
  template <std::invocable<result<tunnel>> F>
  result<void> create_tunnel(const tunnel_options &options, F &&callable) {
    return detail::begin<tunnel>(node_.get(), std::forward<F>(callable),
                                 [&](auto *done) { return start_create(options.c(), done); });
  }
  /// `callable(result<void>)` when the channel ends without close(): a value when the engine closed it in an orderly way.
  template <std::invocable<result<void>> F>
  result<void> on_end(F &&callable) {
    if (!c()) return error(errc::control_closed);
    node_->on_end.set(detail::slot<result<void>>::make(std::forward<F>(callable)));
    return detail::outcome(rstream_control_on_end(c(), detail::control_node::ended, node_.get()));
  }
  std::string_view client_id() const noexcept {
    return detail::view(rstream_control_client_id(c()));
  }
  std::optional<std::string_view> server_detail(const std::string &name) const {
    return detail::maybe(rstream_control_server_detail(c(), name.c_str()));
  }

 private:
  friend struct detail::client_node;
  using handle::handle;
  result<void> start_create(const rstream_tunnel_options *options, detail::completion<tunnel> *done) {
    return detail::explained([&](rstream_error **failure) {
      return rstream_control_create_tunnel(c(), options, detail::control_node::created, done, failure);
    });
  }
};

namespace detail {

inline void control_node::created(rstream_tunnel *raw_tunnel, const rstream_error *failure, void *data) noexcept {
  const std::unique_ptr<completion<tunnel>> done(static_cast<completion<tunnel> *>(data));
  guarded(*done->owner.get(), [&] {
    if (failure) return done->complete(error(failure));
    tunnel made(adopt<tunnel_node>(*done->owner.get(), done->owner->loop, raw_tunnel));
    rstream_tunnel_on_end(raw_tunnel, tunnel_node::ended, made.node_.get());
    done->complete(std::move(made));
  });
}

struct client_node final : node {
  rstream_client *raw = nullptr;

  int end(rstream_close_cb callback, void *data) noexcept override {
    return rstream_client_close(raw, callback, data);
  }
  /// An operation of the client has ended: it gives a handle H, whose object is an N, or has failed.
  template <class H, class N>
  static void opened(typename N::raw_type *made, const rstream_error *failure, void *data) noexcept {
    const std::unique_ptr<completion<H>> done(static_cast<completion<H> *>(data));
    guarded(*done->owner.get(), [&] {
      if (failure) return done->complete(error(failure));
      done->complete(H(adopt<N>(*done->owner.get(), done->owner->loop, made)));
    });
  }
  static constexpr rstream_connect_cb connected = opened<control, control_node>;
  static constexpr rstream_dial_cb dialed = opened<stream, stream_node>;
  static constexpr rstream_dial_packets_cb packets_dialed = opened<packets, packets_node>;
};

}  // namespace detail

/// What knows an engine and how to reach it (rstream/client.h). Destroying the handle closes all that came from it.
class client : public detail::handle<detail::client_node> {
 public:
  client() = default;

  static result<client> create(loop &on, const config &config) {
    auto node = on.below<detail::client_node>(
        [&](auto **made, rstream_error **failure) { return rstream_client_new(on.c(), config.c(), made, failure); });
    if (!node) return node.error();
    return client(*std::move(node));
  }
  /// Opens a control channel.
  operation<control> connect() {
    return operation<control>(node_.get(), [this](auto *done) { return start_connect(done); });
  }
  template <std::invocable<result<control>> F>
  result<void> connect(F &&callable) {
    return detail::begin<control>(node_.get(), std::forward<F>(callable),
                                  [this](auto *done) { return start_connect(done); });
  }
  /// Opens a stream to a private tunnel.
  operation<stream> dial(const std::string &name_or_id) {
    return operation<stream>(node_.get(), [&](auto *done) { return start_dial(name_or_id, done); });
  }
  template <std::invocable<result<stream>> F>
  result<void> dial(const std::string &name_or_id, F &&callable) {
    return detail::begin<stream>(node_.get(), std::forward<F>(callable),
                                 [&](auto *done) { return start_dial(name_or_id, done); });
  }
  /// Opens a packet channel to a private datagram tunnel.
  operation<packets> dial_packets(const std::string &name_or_id) {
    return operation<packets>(node_.get(), [&](auto *done) { return start_dial_packets(name_or_id, done); });
  }
  template <std::invocable<result<packets>> F>
  result<void> dial_packets(const std::string &name_or_id, F &&callable) {
    return detail::begin<packets>(node_.get(), std::forward<F>(callable),
                                  [&](auto *done) { return start_dial_packets(name_or_id, done); });
  }

 private:
  using handle::handle;
  result<void> start_connect(detail::completion<control> *done) {
    return detail::outcome(rstream_client_connect(c(), detail::client_node::connected, done));
  }
  result<void> start_dial(const std::string &name_or_id, detail::completion<stream> *done) {
    return detail::outcome(rstream_client_dial(c(), name_or_id.c_str(), detail::client_node::dialed, done));
  }
  result<void> start_dial_packets(const std::string &name_or_id, detail::completion<packets> *done) {
    return detail::outcome(
        rstream_client_dial_packets(c(), name_or_id.c_str(), detail::client_node::packets_dialed, done));
  }
};

// ------------------------------------------------------------------------------------------------------------ engine

namespace detail {

struct engine_node final : node {
  rstream_engine *raw = nullptr;

  int end(rstream_close_cb callback, void *data) noexcept override {
    return rstream_engine_close(raw, callback, data);
  }
  static void stopped(rstream_engine *, void *data) noexcept {
    finish<void>(data, nullptr);
  }
};

}  // namespace detail

/// The embedded engine (rstream/engine.h). Destroying the handle closes it at once.
class engine : public detail::handle<detail::engine_node> {
 public:
  engine() = default;

  static result<engine> create(loop &on, const engine_options &options) {
    auto node = on.below<detail::engine_node>(
        [&](auto **made, rstream_error **failure) { return rstream_engine_new(on.c(), options.c(), made, failure); });
    if (!node) return node.error();
    return engine(*std::move(node));
  }
  /// Opens the listeners.
  result<void> start() {
    return detail::explained([&](rstream_error **failure) { return rstream_engine_start(c(), failure); });
  }
  /// Port of the listener "tls" or "http".
  result<int> port(const std::string &listener = "tls") const {
    const int port = rstream_engine_port(c(), listener.c_str());
    if (port < 0) return error(port);
    return port;
  }
  /// "address", "ca_file" or "host": what clients need to know. Borrowed while the handle lives.
  std::optional<std::string_view> info(const std::string &name) const {
    return detail::maybe(rstream_engine_info(c(), name.c_str()));
  }
  /// Stops in an orderly way; the operation ends when listeners and connections are gone.
  operation<void> stop() {
    return operation<void>(node_.get(), [this](auto *done) { return start_stop(done); });
  }
  template <std::invocable<result<void>> F>
  result<void> stop(F &&callable) {
    return detail::begin<void>(node_.get(), std::forward<F>(callable), [this](auto *done) { return start_stop(done); });
  }

 private:
  using handle::handle;
  result<void> start_stop(detail::completion<void> *done) {
    return detail::outcome(rstream_engine_stop(c(), detail::engine_node::stopped, done));
  }
};

}  // namespace rstrm

template <>
struct std::is_error_code_enum<rstrm::errc> : std::true_type {};

#endif  // LIBRSTREAM_HPP
